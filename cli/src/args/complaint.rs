//! A command line that clap does not take, told in the form that was asked for.

use clap::ValueEnum;

use crate::{failure::Failure, terminal::Format};

/// How data is to be written by arguments that do not fit together: what clap did not read is read by eye.
pub fn format_wished(arguments: &[std::ffi::OsString]) -> Format {
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .map(|word| word.to_str().unwrap_or_default())
        .take_while(|word| *word != "--")
        .collect();
    let mut wished = Format::Table;
    for (n, word) in words.iter().enumerate() {
        let named = match *word {
            "--json" => Some("json"),
            "-o" | "--output" => words.get(n + 1).copied(),
            word => word.strip_prefix("--output=").or(word.strip_prefix("-o")),
        };
        let named = named.map(|name| name.trim_start_matches('='));
        let format = named.and_then(|name| Format::from_str(name, false).ok());
        wished = format.unwrap_or(wished);
    }
    wished
}

/// What clap says, as the commands say it.
pub fn failure(said: &clap::Error) -> Failure {
    let text = said.render().to_string();
    let mut parts = text.trim().splitn(2, "\n\n");
    let what = parts.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what).trim();
    Failure::usage(what, parts.next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_command_line_is_a_document_where_one_was_asked_for() {
        let format = |line: &str| {
            let words: Vec<_> = line.split(' ').map(Into::into).collect();
            format_wished(&words)
        };
        assert_eq!(format("chiffon status --bogus"), Format::Table);
        assert_eq!(format("chiffon status --bogus --json"), Format::Json);
        assert_eq!(format("chiffon -o yaml bogus"), Format::Yaml);
        assert_eq!(format("chiffon bogus --output=ndjson"), Format::Ndjson);
        assert_eq!(format("chiffon bogus -- --json"), Format::Table);

        let error =
            super::super::parse(["chiffon", "status", "--bogus"].map(Into::into)).unwrap_err();
        let failure = failure(&error);
        assert_eq!(failure.what, "unexpected argument '--bogus' found");
        assert!(
            failure.todo.contains("Usage: chiffon status"),
            "{failure:?}"
        );
        assert_eq!(failure.exit.code(), 2);
    }
}
