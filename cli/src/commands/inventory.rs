//! `chiffon inventory show`.

use chiffon_common::visible;

use super::{Context, read};
use crate::{exit::Exit, failure::Failure, output, render};

pub async fn show(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let inventory = read(context, async |client| client.inventory().await).await?;
    let terminal = context.terminal;
    let hosts = inventory["hosts"].as_array().cloned().unwrap_or_default();
    output::list(terminal, &hosts, &inventory, || {
        render::inventory(terminal.out, &inventory)
    });
    match inventory["problem"]["detail"].as_str() {
        Some(problem) => {
            terminal.say(&visible(problem));
            Ok(Exit::Failure)
        }
        None => Ok(Exit::Ok),
    }
}
