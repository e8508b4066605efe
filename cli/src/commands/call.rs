//! `chiffon catalogue run`: an entry started with parameters, seen through like any other request.

use std::{collections::BTreeSet, fs::File, io::Read};

use chiffon_common::{EntryId, ErrorCode, Problem, RequestId, api::EntryRun, visible};
use serde_json::{Map, Value};
use serde_saphyr::Options;

use super::{
    Context,
    answer::Said,
    asking::{from_input, project, room, tell_taken},
    through::see_through,
    try_plan::catalogue,
};
use crate::{
    args::RunEntry,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

/// The API takes 256 KiB in all; this only bounds the reading.
const MOST_BYTES: u64 = 1 << 20;

const FORMS: &str =
    "Write NAME=TEXT, or NAME:=JSON for lists, mappings and exact types: 'paths:=[\"/etc\"]'.";

pub async fn call(context: &mut Context<'_>, args: &RunEntry) -> Result<Exit, Failure> {
    let entry = entry(&args.entry)?;
    let run = EntryRun {
        hosts: args.on.clone(),
        parameters: parameters(args.parameters.as_deref(), &args.parameter)?,
        project_id: project(&args.belongs)?,
        room_id: room(&args.belongs)?,
    };
    let said = Said {
        dry_run: args.dry_run,
        ..Said::beforehand(&args.consent, args.patience)
    };
    if !context.home.ansible_seen().exists() {
        // Installing an Ansible takes its time, and is not done for a slip of the keyboard.
        catalogue(context)?.find_asked(entry.as_str())?;
    }
    let session = Session::open(context, Need::OwnAgents).await?;
    let key = args.belongs.idempotency_key.as_deref();
    let ended = match start(context, &session, &entry, &run, key).await {
        Ok(id) => see_through(context, &session, id, &said).await,
        Err(failure) => Err(failure),
    };
    session.close().await;
    ended
}

async fn start(
    context: &Context<'_>,
    session: &Session,
    entry: &EntryId,
    run: &EntryRun,
    key: Option<&str>,
) -> Result<RequestId, Failure> {
    let accepted = session.client.run_entry(entry, run, key).await?;
    tell_taken(context.terminal, accepted.request_id);
    Ok(accepted.request_id)
}

fn entry(text: &str) -> Result<EntryId, Failure> {
    text.parse().map_err(|error| {
        let todo = "`chiffon catalogue list` shows all entries.";
        Problem::new(ErrorCode::UnknownEntry, format!("{error}."), todo).into()
    })
}

/// Those of the file, then those of the command line over them.
pub fn parameters(file: Option<&str>, given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut parameters = match file {
        None => Map::new(),
        Some("-") => {
            let text = from_input("Give a file, or NAME=VALUE.")?;
            of_text("standard input", &text)?
        }
        Some(path) => of_text(path, &of_file(path)?)?,
    };
    let mut named = BTreeSet::new();
    for given in given {
        let (name, value) = pair(given)?;
        if !named.insert(name.clone()) {
            let what = format!("{} is given twice.", visible(&name));
            return Err(Failure::usage(what, "Give each parameter once."));
        }
        parameters.insert(name, value);
    }
    Ok(parameters)
}

fn pair(given: &str) -> Result<(String, Value), Failure> {
    let shown = visible(given);
    let Some((name, value)) = given.split_once('=') else {
        return Err(Failure::usage(format!("{shown:?} is no parameter."), FORMS));
    };
    let (name, value) = match name.strip_suffix(':') {
        None => (name, Value::String(value.to_owned())),
        Some(name) => {
            let value = serde_json::from_str(value).map_err(|error| {
                let what = format!("{} is no JSON: {error}.", visible(name));
                Failure::usage(what, FORMS)
            })?;
            (name, value)
        }
    };
    match name.is_empty() {
        true => Err(Failure::usage(format!("{shown:?} has no name."), FORMS)),
        false => Ok((name.to_owned(), value)),
    }
}

fn of_file(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    let why = match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MOST_BYTES) => {
            return Ok(text);
        }
        Ok(_) => "it is larger than 1 MiB".to_owned(),
        Err(error) => error.to_string(),
    };
    let what = format!("--parameters: {path} cannot be read: {why}.");
    let todo = "Name a text file with an object of parameters, in JSON or YAML.";
    Err(Failure::usage(what, todo))
}

/// JSON is tried first where it looks like it: its errors are the better ones then. No part of the text is shown
/// in an error, for it may hold secrets.
fn of_text(place: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    let json = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).map_err(|error| Some(error.to_string())),
        false => Err(None),
    };
    let read = json.or_else(|json| {
        let yaml = serde_saphyr::from_str_with_options::<Map<String, Value>>(text, options());
        yaml.map_err(|error| json.unwrap_or_else(|| in_words(&error)))
    });
    read.map_err(|why| {
        Failure::usage(
            format!("{place} holds no parameters: {}.", visible(&why)),
            "Write an object of names and values, in JSON or YAML.",
        )
    })
}

fn options() -> Options {
    serde_saphyr::options! {
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        with_snippet: false,
    }
}

fn in_words(error: &serde_saphyr::Error) -> String {
    let reason = chiffon_program::settings::yaml_reason(error);
    match error.location() {
        Some(at) => format!("line {}: {reason}", at.line()),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_text_or_exactly_what_its_json_says() {
        let pair = |given: &str| pair(given).unwrap();
        assert_eq!(pair("a=1"), ("a".to_owned(), json!("1")));
        assert_eq!(pair("a="), ("a".to_owned(), json!("")));
        assert_eq!(pair("a=b=c:=d"), ("a".to_owned(), json!("b=c:=d")));
        assert_eq!(pair("a:=[1, \"x=y\"]"), ("a".to_owned(), json!([1, "x=y"])));
        for bad in ["a", "=x", ":=1", "a:=x", ""] {
            let failure = super::pair(bad).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{bad}");
            assert!(failure.todo.contains("NAME=TEXT"), "{failure:?}");
        }
    }

    #[test]
    fn a_file_of_parameters_is_json_or_yaml() {
        let wanted = json!({"a": "1", "b": [1, 2], "c": {"d": true}});
        for text in [
            wanted.to_string(),
            "a: '1'\nb: [1, 2]\nc:\n  d: true\n".to_owned(),
            "{a: '1', b: [1, 2], c: {d: true}}".to_owned(),
        ] {
            assert_eq!(
                Value::Object(of_text("x", &text).unwrap()),
                wanted,
                "{text}"
            );
        }
        for bad in ["- a", "text", "{\"a\": ", "a: 1\na: 2\n", "{a: [}"] {
            let failure = of_text("x", bad).unwrap_err();
            assert!(failure.what.starts_with("x holds no"), "{failure:?}");
            assert!(!failure.what.contains("error:"), "{failure:?}");
        }
    }
}
