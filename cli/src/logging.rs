//! The log on standard error: nothing but errors for a command unless `-v`, `log.level` for `chiffon up`
//! (C3).

use std::io;

use tracing::level_filters::LevelFilter;

use chiffon_program::settings::{LogFormat, LogLevel};

use crate::{settings::Settings, terminal::Terminal};

/// Begins to log, once a process. `verbose` counts `-v`; a lasting process logs by its settings.
pub fn begin(settings: &Settings, terminal: &Terminal, verbose: u8, is_lasting: bool) {
    let configured = match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let level = match (verbose, is_lasting) {
        (0, true) => configured,
        // What matters of a failure is said by the command itself.
        (0, false) => LevelFilter::OFF,
        (1, _) => configured.max(LevelFilter::INFO),
        (_, _) => LevelFilter::DEBUG,
    };
    // A log that finds no room ends nothing: by default it would be told on the same standard error, which panics.
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_max_level(level)
        .with_ansi(terminal.err.is_on());
    // A second call has no effect, and needs none.
    let _begun = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
