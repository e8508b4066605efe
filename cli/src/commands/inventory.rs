//! `chiffon inventory show`.

use super::{Context, read};
use crate::{exit::Exit, failure::Failure, output, render};

pub async fn show(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let inventory = read(context, async |client| client.inventory().await).await?;
    let terminal = context.terminal;
    output::list(terminal, &inventory.hosts, &inventory, || {
        render::inventory(terminal.out, &inventory.hosts)
    });
    match inventory.problem {
        Some(problem) => Err(Failure {
            exit: Exit::Failure,
            ..Failure::from(problem)
        }),
        None => Ok(Exit::Ok),
    }
}
