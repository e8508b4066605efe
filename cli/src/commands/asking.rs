//! What is asked, from the words of the command line: for every command that hands a request in.

use std::io::Read;

use chiffon_common::{
    EventError, Problem, ProjectId, RequestId, RoomId, api::NewRequest, validate_text,
};

use crate::{
    args::Belongs,
    failure::Failure,
    terminal::{Format, Terminal},
};

/// The API refuses what is longer than a few thousand characters; this only bounds the reading.
const MOST_BYTES: u64 = 1 << 20;

/// A request in a sentence.
pub fn new_request(text: &str, belongs: &Belongs) -> Result<NewRequest, Failure> {
    let text = match text {
        "-" => {
            let text = from_input("Give the sentence as an argument.")?;
            without_line_end(&text).to_owned()
        }
        text => text.to_owned(),
    };
    within_bounds(&text)?;
    Ok(NewRequest {
        text,
        project_id: project(belongs)?,
        room_id: room(belongs)?,
        idempotency_key: belongs.idempotency_key.clone(),
    })
}

/// Says what is too long before anything is started for it.
fn within_bounds(text: &str) -> Result<(), Failure> {
    match validate_text(text) {
        Err(error @ EventError::TooLong { .. }) => {
            Err(Problem::new(error.code(), error.to_string(), error.todo()).into())
        }
        _ => Ok(()),
    }
}

/// `--project`.
pub fn project(belongs: &Belongs) -> Result<Option<ProjectId>, Failure> {
    let read = belongs.project.as_deref().map(str::parse).transpose();
    read.map_err(|error| Failure::usage(format!("--project: {error}."), "Give another name."))
}

/// `--room`.
pub fn room(belongs: &Belongs) -> Result<Option<RoomId>, Failure> {
    let read = belongs.room.as_deref().map(str::parse).transpose();
    read.map_err(|error| Failure::usage(format!("--room: {error}."), "Give another name."))
}

/// Standard input to its end.
pub fn from_input(instead: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MOST_BYTES)
        .read_to_end(&mut bytes);
    read.map_err(|error| {
        let what = format!("Standard input cannot be read: {error}.");
        Failure::usage(what, instead)
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage("Standard input is no UTF-8 text.", instead))
}

/// The line end that every tool writes after its output is no part of the sentence.
fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Tells a person the id as soon as there is one.
pub fn tell_taken(terminal: &Terminal, id: RequestId) {
    if terminal.format == Format::Table {
        let words = format!("Request {id}");
        terminal.say(&terminal.err.dim(&words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_no_part_of_the_sentence() {
        for (read, sentence) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            assert_eq!(without_line_end(read), sentence);
        }
    }

    #[test]
    fn a_name_that_is_not_permitted_names_its_flag() {
        let mut belongs = Belongs {
            project: Some("a b".to_owned()),
            room: None,
            idempotency_key: None,
        };
        assert!(project(&belongs).unwrap_err().what.starts_with("--project"));
        belongs.room = Some("\u{1b}[2J".to_owned());
        assert!(room(&belongs).unwrap_err().what.starts_with("--room"));
    }
}
