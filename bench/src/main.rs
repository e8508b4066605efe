//! Figures of Chiffon beside peers and limits: one measure a call, printed as rows of the table in bench/README.md.
//! A figure is told, never asserted. Building, the order of the measures and those of the program as a whole are
//! left to `bench/run`.

mod ansible;
mod arbiter;
mod arbiter_http;
mod fleet;
mod history;
mod ledger;
mod load;
mod opa;
mod planner;
mod store;
mod table;

use std::process::ExitCode;

use anyhow::{Context, bail};

fn main() -> ExitCode {
    // The agent's supervisor is this very program.
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.is_some_and(|first| first == chiffon_agent_infra::SUPERVISE_ARG) {
        return chiffon_agent_infra::supervise(arguments);
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chiffon-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("which measure?")?;
    let amount = arguments.next().map(|text| text.parse::<u32>());
    let amount = amount.transpose().context("an amount is a number")?;
    match name.as_str() {
        "fleet" => in_runtime(fleet::measure(amount.unwrap_or(1_000)))?,
        "ansible" => in_runtime(ansible::measure(amount.unwrap_or(7)))?,
        "arbiter" => arbiter::measure(amount.unwrap_or(200_000)),
        "arbiter-http" => arbiter_http::measure(amount.unwrap_or(10_000)),
        "planner" => planner::measure(amount.is_some()),
        "store" => in_runtime(store::measure(amount.unwrap_or(5)))?,
        "ledger" => ledger::measure(amount.unwrap_or(10_000)),
        "history" => in_runtime(history::measure(amount.unwrap_or(100_000)))?,
        other => {
            bail!(
                "no measure {other:?}: fleet, ansible, arbiter, arbiter-http, planner, store, ledger or history"
            )
        }
    }
}

fn in_runtime<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// A folder for one measure: not among temporary files, which are often in memory.
fn on_disk() -> anyhow::Result<tempfile::TempDir> {
    std::fs::create_dir_all("target")?;
    Ok(tempfile::tempdir_in("target")?)
}
