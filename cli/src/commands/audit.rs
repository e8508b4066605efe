//! `chiffon audit verify`. Writing the records out is left to `export`.

use chiffon_common::visible;

use super::{Context, export::export, read};
use crate::{args::Audit, exit::Exit, failure::Failure, output};

pub async fn audit(context: &mut Context<'_>, args: &Audit) -> Result<Exit, Failure> {
    match args {
        Audit::Verify => verify(context).await,
        Audit::Export(args) => export(context, args).await,
    }
}

async fn verify(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let report = read(context, async |client| client.verify_audit().await).await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &report, || {
        let counted = format!(
            "{} records in {} streams, {} seals, {} ledger commits",
            report.records, report.streams, report.seals, report.ledger_commits
        );
        if report.faults.is_empty() {
            return format!("{}: {counted}. Everything fits.", paint.good("ok"));
        }
        let faults: Vec<String> = report
            .faults
            .iter()
            .map(|fault| format!("  {}", visible(fault)))
            .collect();
        format!(
            "{}: {counted}. This does not fit:\n{}",
            paint.bad("broken"),
            faults.join("\n")
        )
    });
    match report.faults.is_empty() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}
