//! docs/cli.md: every command with the words of its help.

/// What programs read.
const DOCUMENTS: &str = "
## Documents

With `-o json`, `yaml` or `ndjson`, standard output holds the API's own documents ([openapi.json](openapi.json) names
their fields): a command that shows one thing writes that object, a list writes the page (`items`, `next_cursor`), in ndjson
one element a line. Errors are documents on standard error: `{\"error\": {\"code\", \"detail\", \"todo\", \"exit_code\"}}`.
Messages stay on standard error. What goes on while it is watched is told in ndjson only, a line each:

- `run`, `chat`, `catalogue run`, `request retry`, `undo`, `watch REQUEST`: `{\"request_id\", \"line\": {...}}` for a line of output,
  `{\"request_id\", \"state\", \"because\"}` for each new state, and the whole request at its end.
- `watch` without a request: the events of the stream as they are; `audit export`: numbered records. Both have no single
  document, so `-o json` and `-o yaml` are refused with exit code 2.

`completions` and `man` write scripts and pages whatever the format. A reader that goes away ends a command that only
shows something with exit code 0; a request that a running `chiffon up` carries out goes on without it.
";

use clap::{Arg, Command};

use super::{MADE, cell, hold};
use crate::{args, exit::Exit};

const INTRODUCTION: &str = "\
Commands about requests, hosts, catalogue and record speak to the fleet of the data folder: to a running `chiffon up` if there is
one, else to one of their own for as long as they take. Data goes to standard output, messages to standard error.";

#[test]
fn docs_cli_is_what_the_program_says() {
    let mut program = args::command();
    // Gives every command its full name and the flags of all.
    program.build();
    hold("cli.md", &page(program));
}

fn page(mut program: Command) -> String {
    let mut text = format!("# The command line\n\n{MADE}\n\n{INTRODUCTION}\n\n");
    text += &examples(&program);
    text += "## Flags of every command\n\nBefore or after the name of the command. `--help` tells more than `-h`.\n\n";
    text += &arguments(&program, Arg::is_global_set);
    text += DOCUMENTS;
    text += "\n## Exit codes\n\nA number never changes its meaning.\n\n| code | meaning |\n| --- | --- |\n";
    for exit in Exit::ALL {
        text += &format!("| {} | {} |\n", exit.code(), cell(exit.meaning()));
    }
    for command in visible(&mut program) {
        text += &section(command, "chiffon", "##");
    }
    text
}

fn visible(command: &mut Command) -> impl Iterator<Item = &mut Command> {
    command
        .get_subcommands_mut()
        .filter(|one| !one.is_hide_set())
}

/// A command, and those below it one level deeper.
fn section(command: &mut Command, above: &str, level: &str) -> String {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut text = format!("\n{level} {name}\n\n{}.\n\n", about.trim_end_matches('.'));
    text += &examples(command);
    text += &format!("Usage: `{usage}`\n");
    let own = arguments(command, |arg| !arg.is_global_set());
    if !own.is_empty() {
        text += &format!("\n{own}");
    }
    if let Some(after) = command.get_after_help() {
        text += &format!("\n{after}\n");
    }
    for inner in visible(command) {
        text += &section(inner, &name, &format!("{level}#"));
    }
    text
}

/// `console` and not `sh`: they show what to type, and need a fleet with those hosts.
fn examples(command: &Command) -> String {
    let Some(text) = command.get_before_help() else {
        return String::new();
    };
    let text = text.to_string();
    let typed = text.lines().filter_map(|line| line.strip_prefix("  "));
    let typed: String = typed.map(|line| format!("$ {line}\n")).collect();
    format!("```console\n{typed}```\n\n")
}

/// One line an argument, without the help flag that every command has.
fn arguments(command: &Command, wanted: impl Fn(&Arg) -> bool) -> String {
    let shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help" && wanted(arg);
    let arguments = command.get_arguments().filter(shown);
    arguments.map(argument).collect()
}

fn argument(arg: &Arg) -> String {
    let mut text = format!("- `{}`", named(arg));
    if let Some(help) = arg.get_long_help().or(arg.get_help()) {
        text += &format!(": {help}");
    }
    let default: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    let takes_values = arg.get_action().takes_values();
    if takes_values && !default.is_empty() {
        text += &format!(" [default: {}]", default.join(", "));
    }
    let possible = arg.get_possible_values();
    if takes_values && !possible.is_empty() {
        let values: Vec<String> = possible
            .iter()
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        text += &format!(". One of {}", values.join(", "));
    }
    text + "\n"
}

/// `-o, --output <FORMAT>`, as the help writes it.
fn named(arg: &Arg) -> String {
    match (arg.get_short(), arg.is_positional()) {
        (Some(short), false) if arg.get_long().is_some() => format!("-{short}, {arg}"),
        _ => arg.to_string(),
    }
}
