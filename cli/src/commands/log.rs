//! `chiffon log`: the ledger, newest first.

use super::{Context, read};
use crate::{args::Log, exit::Exit, failure::Failure, output, render};

pub async fn log(context: &mut Context<'_>, args: &Log) -> Result<Exit, Failure> {
    let lines = args.lines;
    let page = read(context, async |client| client.ledger(lines).await).await?;
    output::list(context.terminal, &page.items, &page, || {
        render::ledger(context.terminal.out, &page.items)
    });
    Ok(Exit::Ok)
}
