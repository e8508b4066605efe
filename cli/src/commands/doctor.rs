//! `chiffon doctor`: looks for what is wrong, and says of each thing what to do. Changes nothing where
//! nothing was set up yet.

mod fleet;
mod local;

use serde::Serialize;

use super::Context;
use crate::{exit::Exit, failure::Failure, output, render::one_line, terminal::Paint};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Ok,
    Warn,
    Fail,
}

/// What was found of one thing.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    what: &'static str,
    word: Word,
    found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    todo: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Word::Ok, found, "")
    }

    fn warn(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(what, Word::Warn, found, todo)
    }

    fn fail(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(what, Word::Fail, found, todo)
    }

    fn failed(what: &'static str, failure: impl Into<Failure>) -> Self {
        let failure = failure.into();
        Self::new(what, Word::Fail, failure.what, failure.todo)
    }

    fn new(
        what: &'static str,
        word: Word,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            what,
            word,
            found: found.into(),
            todo: todo.into(),
        }
    }
}

pub async fn doctor(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let mut findings = local::home(context);
    let is_sound = findings.iter().all(|finding| finding.word != Word::Fail);
    findings.extend(local::tools(context).await);
    if is_sound && context.home.exists() {
        findings.extend(fleet::look(context).await);
    }
    let terminal = context.terminal;
    output::list(terminal, &findings, &findings, || {
        table(terminal.out, &findings)
    });
    let failed = findings.iter().any(|finding| finding.word == Word::Fail);
    Ok(if failed { Exit::Failure } else { Exit::Ok })
}

fn table(paint: Paint, findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let word = match finding.word {
            Word::Ok => paint.good("ok  "),
            Word::Warn => paint.warn("warn"),
            Word::Fail => paint.bad("FAIL"),
        };
        lines.push(format!(
            "{word}  {:<12} {}",
            finding.what,
            one_line(&finding.found, 300)
        ));
        if !finding.todo.is_empty() {
            let todo = one_line(&finding.todo, 300);
            lines.push(format!("                   {}", paint.bold(&todo)));
        }
    }
    lines.join("\n")
}
