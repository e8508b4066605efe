//! `chiffon replay`: a request told again, event by event.

use super::{Context, read};
use crate::{args::Replay, exit::Exit, failure::Failure, output, render};

pub async fn replay(context: &mut Context<'_>, args: &Replay) -> Result<Exit, Failure> {
    let report = read(context, async |client| {
        client.replay(client.resolve(&args.request).await?).await
    });
    let report = report.await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &report, || render::replay(paint, &report));
    match report.same {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}
