//! The words for what went wrong in a run: which code, what happened, what to do.

use chiffon_common::{ErrorCode, Problem, visible};

/// A failure on a host, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    host: String,
    task: String,
    message: String,
    code: ErrorCode,
    /// Contact was lost after it had been made: what the task began there may go on.
    lost: bool,
}

impl Failure {
    pub(super) fn new(
        host: &str,
        task: &str,
        message: &str,
        outputs: &[String],
        unreachable: bool,
    ) -> Self {
        let code = match unreachable {
            false if is_locked(message, outputs) => ErrorCode::PackagesLocked,
            false => ErrorCode::PlaybookFailed,
            true if message.contains("HOST IDENTIFICATION HAS CHANGED") => {
                ErrorCode::HostKeyChanged
            }
            true if message.contains("host key is known for")
                || message.contains("Host key verification failed") =>
            {
                ErrorCode::HostKeyUnknown
            }
            true => ErrorCode::HostUnreachable,
        };
        let mut words = one_line(message, 600);
        let says_nothing = words.is_empty()
            || words.starts_with("non-zero return code")
            || words.starts_with("MODULE FAILURE");
        if says_nothing {
            let output = outputs
                .iter()
                .rev()
                .find(|output| !output.trim().is_empty());
            let last = output.and_then(|output| output.trim_end().lines().last());
            words = [words.as_str(), &one_line(last.unwrap_or_default(), 400)].join(" ");
        }
        Self {
            host: host.to_owned(),
            task: task.to_owned(),
            message: words.trim().to_owned(),
            code,
            lost: code == ErrorCode::HostUnreachable && !never_began(message, outputs),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn problem(&self) -> Problem {
        let Self {
            host,
            task,
            message,
            code,
            lost: _,
        } = self;
        let (detail, todo) = match code {
            ErrorCode::HostKeyChanged => (
                format!(
                    "{host} shows another host key than the pinned one; nothing was sent to it."
                ),
                format!(
                    "If the host was installed anew, compare its key and pin it: \
                     `chiffon inventory trust {host}`. If not, somebody may stand in between."
                ),
            ),
            ErrorCode::HostKeyUnknown => (
                format!("No host key of {host} is pinned, so it was not connected to."),
                format!(
                    "Compare the key with the host's own and pin it: `chiffon inventory trust {host}`."
                ),
            ),
            ErrorCode::HostUnreachable => (
                format!("{host} did not answer: {message}"),
                format!(
                    "See that {host} is on and that its address, user and SSH key are right; then ask again."
                ),
            ),
            ErrorCode::PackagesLocked => (
                format!(
                    "The task {task:?} found the package manager of {host} at work for somebody else: {message}"
                ),
                format!(
                    "Wait until updates on {host} have ended, or see there who holds it; then ask again."
                ),
            ),
            _ if lacks_root(message) => (
                format!(
                    "The playbook must become root on {host}, and sudo there is missing or asks for a password."
                ),
                format!(
                    "Let the login on {host} use sudo without a password, or log in as root; on this machine, \
                     run Chiffon as root. Then ask again."
                ),
            ),
            _ => (
                format!("The task {task:?} failed on {host}: {message}"),
                "Read the output of the run, mend the cause and ask again.".to_owned(),
            ),
        };
        Problem::new(*code, detail, todo)
    }
}

/// What package managers say while another holds their lock: apt and dpkg, and dnf and yum. Only these exact words:
/// whatever else a task says is a failure of its own, which no waiting heals.
fn is_locked(message: &str, outputs: &[String]) -> bool {
    const SAYINGS: [&str; 9] = [
        "Could not get lock /var/lib/dpkg/",
        "Could not get lock /var/lib/apt/",
        "Could not get lock /var/cache/apt/",
        "Unable to acquire the dpkg frontend lock",
        "Failed to lock apt for exclusive operation",
        "dpkg frontend lock was locked by another process",
        "Waiting for process with pid",
        "Another app is currently holding the yum lock",
        "lock is already held by another process",
    ];
    let texts = || std::iter::once(message).chain(outputs.iter().map(String::as_str));
    SAYINGS
        .iter()
        .any(|saying| texts().any(|text| text.contains(saying)))
}

/// What ssh and Ansible say of a host where the task did not begin: no connection, no login, no folder for its files.
/// Whatever else ends a connection may have ended it in the middle of the task. Only these words: a new one is taken for
/// contact lost, which costs a look, and never for nothing done.
fn never_began(message: &str, outputs: &[String]) -> bool {
    const SAYINGS: [&str; 12] = [
        "ssh: connect to host ",
        "Could not resolve hostname",
        "Permission denied (",
        "Too many authentication failures",
        "Host key verification failed",
        "kex_exchange_identification",
        "ssh_exchange_identification",
        "during banner exchange",
        "no matching host key type found",
        "Bad owner or permissions on",
        "Invalid/incorrect password",
        "Failed to create temporary directory",
    ];
    let texts = || std::iter::once(message).chain(outputs.iter().map(String::as_str));
    SAYINGS
        .iter()
        .any(|saying| texts().any(|text| text.contains(saying)))
}

/// What Ansible says when it may not become root, over its versions and sudo's.
fn lacks_root(message: &str) -> bool {
    const SAYINGS: [&str; 6] = [
        "sudo: not found",
        "sudo: command not found",
        "sudo: a password is required",
        "Missing sudo password",
        "waiting for become success",
        "is not in the sudoers file",
    ];
    SAYINGS.iter().any(|saying| message.contains(saying))
}

/// The one problem that stands for all: a changed key before an unknown one, a failed task before what passes by
/// itself, so that nothing is tried again for one host that has failed for good on another.
pub(super) fn worst(failures: &[Failure]) -> Option<Problem> {
    const ORDER: [ErrorCode; 5] = [
        ErrorCode::HostKeyChanged,
        ErrorCode::HostKeyUnknown,
        ErrorCode::PlaybookFailed,
        ErrorCode::PackagesLocked,
        ErrorCode::HostUnreachable,
    ];
    let first = |code: ErrorCode| failures.iter().find(|failure| failure.code == code);
    let failure = ORDER.into_iter().find_map(first)?;
    let mut problem = failure.problem();
    let others = failures
        .iter()
        .filter(|other| other.host != failure.host)
        .count();
    if others > 0 {
        problem.detail.push_str(&format!(" (and on {others} more)"));
    }
    Some(problem)
}

/// Ansible ended with an error before a task could fail, say over a syntax error.
pub(super) fn without_event(exit: Option<i32>, signal: Option<i32>, printed: &[&str]) -> Problem {
    let is_error = |line: &&&str| line.starts_with("ERROR") || line.starts_with("[ERROR]");
    let first_error = printed.iter().position(|line| is_error(&line));
    let words = match first_error {
        Some(at) => printed[at..]
            .iter()
            .take(6)
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
        None => printed
            .iter()
            .rev()
            .take(3)
            .rev()
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
    };
    let how = match (exit, signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    Problem::new(
        ErrorCode::PlaybookFailed,
        format!("ansible-playbook {how}: {}", one_line(&words, 800)),
        "Mend the playbook or the inventory; `chiffon catalogue check` reads the catalogue.",
    )
}

/// A run that touched no host.
pub(super) fn nobody() -> Problem {
    Problem::new(
        ErrorCode::PlaybookFailed,
        "The playbook ran on none of the hosts.",
        "See that its plays have `hosts: all`, or a group that these hosts are in.",
    )
}

fn one_line(text: &str, limit: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = words.floor_char_boundary(limit);
    let dots = if end < words.len() { " ..." } else { "" };
    visible(&words[..end]) + dots
}
