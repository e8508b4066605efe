//! `config.yaml` as a mapping: read within bounds, so that no file can hang the program or eat its memory. Which keys
//! there are and what their values must be is left to `config`.

use std::{fs::File, io::Read, path::Path};

use chiffon_common::{ErrorCode, Problem, visible};
use serde_json::{Map, Value};
use serde_saphyr::{MessageFormatter, Options, UserMessageFormatter};

/// Thousands of tenants and roles fit.
const MOST_BYTES: u64 = 4 << 20;

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, Problem> {
    parse(&text_of(path)?).map_err(|unread| unreadable(path, &unread.why, unread.todo))
}

/// Why a text is no configuration, with its line, and what to do.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) why: String,
    pub(super) todo: &'static str,
}

const FORM: &str = "write `section:` and, indented below it, `key: value`";

fn unreadable(path: &Path, why: &str, todo: &str) -> Problem {
    let detail = format!("{} cannot be read: {}", path.display(), visible(why));
    Problem::new(ErrorCode::InvalidValue, detail, todo)
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let wrong = |why: &str| {
        let todo = "name a readable text file with --config; docs/arbiter.md shows one";
        unreadable(path, why, todo)
    };
    // A pipe would be waited for.
    let about = std::fs::metadata(path).map_err(|error| wrong(&error.to_string()))?;
    if !about.is_file() {
        return Err(wrong("it is no file"));
    }
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    let length = read.map_err(|error| wrong(&error.to_string()))?;
    match u64::try_from(length) {
        Ok(length) if length <= MOST_BYTES => Ok(text),
        _ => Err(wrong("it is larger than 4 MiB")),
    }
}

/// The mapping of a text; the first fault in words, with its line.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, Unread> {
    for (at, line) in (1..).zip(text.lines()) {
        if let Some(odd) = plain(line).find(|word| is_odd(word)) {
            return Err(Unread {
                why: format!(
                    "line {at}: {odd} is read as one number by some and as another by others"
                ),
                todo: "write it in decimal, or in quotes where it is a text",
            });
        }
    }
    let read = serde_saphyr::from_str_with_options::<Option<Map<String, Value>>>(text, options());
    read.map(Option::unwrap_or_default).map_err(|error| {
        let (reason, todo) = reason(&error);
        let why = match error.location() {
            Some(at) => format!("line {}: {reason}", at.line()),
            None => reason,
        };
        Unread { why, todo }
    })
}

fn reason(error: &serde_saphyr::Error) -> (String, &'static str) {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.as_deref().unwrap_or("a key");
        let todo = "keep one of the two, and everything that is to hold below it";
        return (format!("{key:?} stands here for the second time"), todo);
    }
    let reason = UserMessageFormatter.format_message(error);
    let reason = reason.lines().next().unwrap_or("it is no YAML");
    (reason.to_owned(), FORM)
}

/// The words of a line that stand in no quotes and no comment.
fn plain(line: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    let mut before = ' ';
    let parts = line.split(move |c: char| {
        let is_begin = before.is_whitespace() || "{[,".contains(before);
        before = c;
        match quote {
            Some('#') => true,
            Some(open) if c == open => {
                quote = None;
                true
            }
            Some(_) => true,
            None if (c == '"' || c == '\'' || c == '#') && is_begin => {
                quote = Some(c);
                true
            }
            None => c.is_whitespace() || "{}[],".contains(c),
        }
    });
    parts.filter(|part| !part.is_empty())
}

/// Whether it is a number in another base than ten, or in ten with what other readers of YAML do not have.
fn is_odd(word: &str) -> bool {
    let word = word.trim_start_matches(['+', '-']);
    let is_number = word
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit());
    let is_digits = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_');
    let has_base = word.strip_prefix('0').is_some_and(|rest| {
        let digits = rest.trim_start_matches(['x', 'X', 'o', 'O', 'b', 'B']);
        digits.len() < rest.len()
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'_')
    });
    is_number
        && (has_base
            || is_digits && (word.contains('_') || word.len() > 1 && word.starts_with('0')))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            max_nodes: 200_000,
            max_anchors: 100,
            max_aliases: 100,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        with_snippet: false,
    }
}
