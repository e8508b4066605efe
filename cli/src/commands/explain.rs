//! `chiffon explain`: the page of an error code, or the list of all. The pages are part of the program.

use chiffon_common::{ErrorCode, Retry};
use serde::Serialize;

use crate::{args::Explain, exit::Exit, failure::Failure, output, render, terminal::Terminal};

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    line: Line,
    page: &'static str,
}

#[derive(Serialize)]
struct Line {
    code: ErrorCode,
    title: &'static str,
    http_status: u16,
    retry: Retry,
}

impl Line {
    fn of(code: ErrorCode) -> Self {
        Self {
            code,
            title: code.title(),
            http_status: code.http_status(),
            retry: code.retry(),
        }
    }
}

/// Shows the page, or the list where no code is named.
pub fn explain(terminal: &Terminal, args: &Explain) -> Result<Exit, Failure> {
    let Some(number) = args.code else {
        list(terminal);
        return Ok(Exit::Ok);
    };
    let known = u16::try_from(number).ok().and_then(ErrorCode::from_number);
    let code = known.ok_or_else(|| unknown(number))?;
    let page = Page {
        line: Line::of(code),
        page: code.page(),
    };
    output::one(terminal, &page, || render::page(terminal.out, page.page));
    Ok(Exit::Ok)
}

fn list(terminal: &Terminal) {
    let lines: Vec<Line> = ErrorCode::ALL.iter().map(|code| Line::of(*code)).collect();
    output::list(terminal, &lines, &lines, || {
        render::error_codes(terminal.out, ErrorCode::ALL)
    });
}

fn unknown(number: u64) -> Failure {
    let apart = |code: &ErrorCode| u64::from(code.number()).abs_diff(number);
    let mut near = ErrorCode::ALL.to_vec();
    near.sort_by_key(apart);
    // Further away it is no slip of the finger.
    near.retain(|code| apart(code) < 100);
    near.truncate(3);
    near.sort();
    let near: Vec<String> = near
        .iter()
        .map(|code| format!("{code} ({})", code.title()))
        .collect();
    let todo = match near.is_empty() {
        true => "The codes lie between 5001 and 5999.".to_owned(),
        false => format!("The nearest: {}.", near.join(", ")),
    };
    Failure::plain(
        Exit::NotFound,
        format!("There is no error code {number}."),
        format!("{todo} `chiffon explain` lists all."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_names_its_neighbours_or_the_range() {
        let near = unknown(5418);
        assert_eq!(near.exit, Exit::NotFound);
        assert!(near.todo.contains("5417 (the agent"), "{near:?}");
        for far in [0, 404, 70_000, u64::MAX] {
            let far = unknown(far);
            assert!(far.todo.contains("between 5001 and 5999"), "{far:?}");
        }
    }
}
