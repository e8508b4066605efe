//! The log of a program that stays, on standard error.

use std::io;

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, filter::FilterFn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::settings::{LogFormat, LogLevel};

/// The client of the broker has a log of its own, in which messages stand whole; ours says what is wrong.
const SILENT: [&str; 4] = ["lapin", "amq_protocol", "async_rs", "executor_trait"];

/// Begins to log, once a process.
pub fn begin(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let ours = FilterFn::new(move |about| {
        let is_silent = SILENT
            .iter()
            .any(|silent| about.target().starts_with(silent));
        *about.level() <= level && !is_silent
    })
    .with_max_level_hint(LevelFilter::from_level(level));
    // A log that finds no room ends nothing: by default it would be told on the same standard error, which panics.
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_ansi(false);
    let registry = tracing_subscriber::registry();
    // A second call has no effect, and needs none.
    let _begun = match format {
        LogFormat::Text => registry.with(lines.with_filter(ours)).try_init(),
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_filter(ours))
            .try_init(),
    };
}
