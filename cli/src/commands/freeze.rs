//! `chiffon freeze` and `chiffon thaw`.

use super::{Context, read};
use crate::{args::Freeze, exit::Exit, failure::Failure, output, render::one_line};

/// Longest words of a freeze on one line.
const MOST: usize = 600;

pub async fn freeze(context: &mut Context<'_>, args: &Freeze) -> Result<Exit, Failure> {
    let reason = &args.reason;
    let view = read(context, async |client| client.freeze(reason).await).await?;
    let terminal = context.terminal;
    output::one(terminal, &view, || {
        let words = view.frozen.as_ref().map(|frozen| frozen.words());
        let words = one_line(&words.unwrap_or_default(), MOST);
        format!(
            "{}: nothing is started until `chiffon thaw`; what runs goes on.",
            terminal.out.warn(&format!("The fleet is {words}"))
        )
    });
    Ok(Exit::Ok)
}

/// Whose freeze it is, is told with its end.
pub async fn thaw(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (was, view) = read(context, async |client| {
        let was = client.frozen().await?;
        let view = client.thaw(&was).await?;
        Ok((was.value, view))
    })
    .await?;
    let terminal = context.terminal;
    output::one(terminal, &view, || match &was.frozen {
        Some(frozen) => {
            let words = one_line(&frozen.words(), MOST);
            format!("Thawed: what waits goes on. The fleet was {words}")
        }
        None => "The fleet was not frozen; nothing has changed.".to_owned(),
    });
    Ok(Exit::Ok)
}
