//! The lines of shell blocks that do not run exactly as they are written, each with its reason. Every other line
//! runs as it is.

use crate::stage::Stage;

/// How a line runs, or why it cannot.
pub fn as_run(line: &str, stage: &Stage) -> Result<String, String> {
    // The port of `chiffon up` is a free one here, so that pages run beside each other and beside a fleet in use.
    let line = line.replace("127.0.0.1:8420", &stage.address);
    let command = line.split('#').next().unwrap_or_default().trim();
    let repository = stage.repository.display();

    // The same program, but the one that the tests have built.
    if let Some(rest) = command.strip_prefix("cargo run --release -- ") {
        return Ok(format!("chiffon {rest}"));
    }
    // It was built before this line is reached, or it could not be.
    if command == "cargo build" {
        return Ok("chiffon version".to_owned());
    }
    // What runs these lines is that very program: it is there, bash understands it, and it knows the suite.
    if let Some(rest) = command.strip_prefix("./scripts/test") {
        let script = format!("{repository}/scripts/test");
        let suite = match rest.trim() {
            "" => "all",
            suite => suite,
        };
        return Ok(format!(
            "bash -n {script} && {script} --help | grep -qw -- {suite}"
        ));
    }
    if command == ".ci/run" {
        return Ok(format!("bash -n {repository}/.ci/run"));
    }
    if command.starts_with("cargo ") {
        return Err(
            "how this runs in the tests has to be said first, in tests/docs/lines.rs".to_owned(),
        );
    }
    // A reader goes on when it says that it listens.
    if command.starts_with("chiffon up") && command.ends_with('&') {
        return Ok(format!("{command} up_listens $!"));
    }
    Ok(line)
}

/// A line of a block whose commands are asked something by a terminal.
pub fn as_asked(line: &str, answer: &str) -> String {
    match line.starts_with("chiffon ") {
        true => format!("answered '{answer}' {line}"),
        false => line.to_owned(),
    }
}
