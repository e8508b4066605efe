//! The ledger and the head of the audit chain, pushed to a remote repository: an anchor that whoever owns this machine
//! cannot take back unseen (S67). Never forced onto `main`: what somebody else pushed there is told, not overwritten.
//!
//! Done by the `git` of this machine, which knows how to reach the remote and with whose key. A remote that cannot be
//! reached holds up nothing; it is told by the health, and tried again. Holding what lies there against what was pushed is
//! left to `held`.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::PoisonError,
    time::Duration,
};

use chiffon_common::{AuditEntry, Subject, visible};
use chiffon_store::Commit;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{Shared, posts::Post, shared::nudged, store_problem};

/// How long one call of git may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to fetch all that a remote holds.
const ALL_OF_IT: Duration = Duration::from_secs(600);
/// How often is pushed at most; commits that come meanwhile go together.
const PERIOD: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(120);
/// Where the heads lie: one reference a day, which moves on during the day.
pub(super) const ANCHORS: &str = "refs/chiffon/anchors";
/// The action of the record of a push that failed.
const FAULT: &str = "ledger.remote_fault";
/// Longest words of git that are passed on.
const WORDS: usize = 500;

impl Shared {
    /// Pushes for ever, where a remote is configured.
    pub(crate) async fn push_anchors(&self) {
        let Some(remote) = self.settings.ledger_remote.clone() else {
            return;
        };
        let mut pushed = None;
        // One that stays tells from its start on how it is; one that comes and goes has no time to.
        let mut waits = !self.settings.stays;
        if !waits {
            // What is pushed is to be looked at first.
            let mut rounds = self.ledger_rounds.subscribe();
            let first = rounds.wait_for(|rounds| *rounds > 0);
            let _timed_out = tokio::time::timeout(AGAIN, first).await;
        }
        loop {
            if waits {
                nudged(&self.nudges.anchor, AGAIN).await;
            }
            waits = true;
            if !self.has_post(Post::Anchors).await.unwrap_or_default() {
                // Whoever holds it says how the remote is.
                continue;
            }
            let pause = match self.push_once(&remote, &mut pushed).await {
                Ok(true) => {
                    self.remote_is(Ok(())).await;
                    PERIOD
                }
                // Nothing to push says nothing of the remote.
                Ok(false) => continue,
                Err(why) => {
                    self.remote_is(Err(why)).await;
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// How it is with the remote, in one word or in the words of git; nothing where nobody has tried.
    pub(crate) async fn remote_state(&self) -> Option<String> {
        let known = self.remote_tried.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(Ok(())) => Some("ok".to_owned()),
            Some(Err(why)) => Some(why),
            None => match self.remote_before().await? {
                Ok(()) => Some("ok".to_owned()),
                Err(why) => Some(format!("{why} (so it was when it was last tried)")),
            },
        }
    }

    /// How it was by its last record.
    async fn remote_before(&self) -> Option<Result<(), String>> {
        let last = self.store.last_of_stream(&self.stream_of_remote()).await;
        let entry = last.ok()??.record.entry;
        Some(match entry.action == FAULT {
            true => Err(entry.data["because"]
                .as_str()
                .unwrap_or_default()
                .to_owned()),
            false => Ok(()),
        })
    }

    /// Its own, so that the last record of it is found after a start.
    fn stream_of_remote(&self) -> String {
        format!("remote:{}", self.settings.tenant)
    }

    /// Whether it was pushed, or is as it was pushed; `false` where there is nothing to push.
    async fn push_once(&self, remote: &str, pushed: &mut Option<String>) -> Result<bool, String> {
        let head = self.audit_head().await.map_err(|problem| problem.detail)?;
        let Some(head) = head else {
            return Ok(false);
        };
        if pushed.as_ref() == Some(&head.hash) {
            return Ok(true);
        }
        if !self.settings.ledger.path.join("HEAD").exists() {
            return Ok(false);
        }
        let text = serde_json::to_string(&head).map_err(|error| error.to_string())?;
        let blob = self
            .git(&["hash-object", "-w", "--stdin"], text.as_bytes())
            .await?;
        let day = head.at.strftime("%Y-%m-%d");
        let anchor = format!("+{}:{ANCHORS}/{day}", blob.trim());
        // All or nothing: whose `main` does not follow must not move today's anchor either.
        let mut push = vec!["push", "--quiet", "--atomic", "--", remote, anchor.as_str()];
        // What the rows know, and not what `main` may be ahead of them.
        let main = head.ledger_commit.as_ref();
        let main = main.map(|commit| format!("{commit}:refs/heads/main"));
        push.extend(main.as_deref());
        chiffon_failpoint::hit!("remote.push.before");
        self.git(&push, b"").await?;
        chiffon_failpoint::hit!("remote.push.after");
        let day = day.to_string();
        let commit = head.ledger_commit.as_deref();
        self.remember(remote, &day, blob.trim(), commit).await;
        *pushed = Some(head.hash);
        Ok(true)
    }

    /// What git says on its standard output; in words why it failed.
    pub(super) async fn git(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let folder = of_folder(&self.settings.ledger.path);
        git(folder, arguments, input, PATIENCE).await
    }

    /// The same in another repository, which knows of the remote what ours does and has none of its objects.
    pub(super) async fn git_apart(
        &self,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<String, String> {
        let config = std::path::absolute(self.settings.ledger.path.join("config"));
        let config = config.map_err(|error| error.to_string())?;
        let mut include = OsString::from("include.path=");
        include.push(config);
        let before = [OsStr::new("-c"), include.as_os_str()];
        let before = before.into_iter().chain(of_folder(folder));
        git(before, arguments, b"", ALL_OF_IT).await
    }

    /// Tells a change once, in the log and the audit record; the health tells it as long as it lasts.
    async fn remote_is(&self, tried: Result<(), String>) {
        let before = {
            let known = self.remote_tried.lock();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            known.replace(tried.clone())
        };
        // A fault that lasts over a start has its record, and its end is to get one.
        let before = match before {
            Some(before) => before,
            None => self.remote_before().await.unwrap_or(Ok(())),
        };
        let (action, result) = match (&before, &tried) {
            (Ok(()), Err(error)) => {
                tracing::warn!(%error, "the ledger could not be pushed to its remote; it is tried again");
                (FAULT, "failed")
            }
            (Err(_), Ok(())) => ("ledger.remote_healed", "ok"),
            _ => return,
        };
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "remote".to_owned(),
        };
        let data = json!({ "because": tried.err() });
        let audit = AuditEntry {
            stream: self.stream_of_remote(),
            result: result.to_owned(),
            ..self.audit_of_fleet(action, target, "remote", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        if let Err(error) = self.commit(commit).await {
            let problem = store_problem(&error);
            tracing::warn!(%error, code = %problem.code, "a change of the remote's state could not be recorded");
        }
    }
}

fn of_folder(folder: &Path) -> [&OsStr; 2] {
    [OsStr::new("--git-dir"), folder.as_os_str()]
}

async fn git<'a>(
    before: impl IntoIterator<Item = &'a OsStr>,
    arguments: &[&str],
    input: &[u8],
    patience: Duration,
) -> Result<String, String> {
    let mut command = Command::new("git");
    command
        .args(before)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_OBJECT_DIRECTORY")
        .env_remove("GIT_ALTERNATE_OBJECT_DIRECTORIES")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let run = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await?;
        }
        child.wait_with_output().await
    };
    let done = tokio::time::timeout(patience, run).await;
    let done = done.map_err(|_| format!("git took longer than {} s", patience.as_secs()))?;
    let done = done.map_err(|error| format!("git cannot be run: {error}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(words(done.status, &done.stderr)),
    }
}

/// The last line says most; a URL may hold a password, which git itself leaves out of its words.
fn words(status: ExitStatus, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let said: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let said = visible(&said.join("; "));
    let end = said.floor_char_boundary(WORDS);
    match said.is_empty() {
        true => format!("git ended with {status}"),
        false => said[..end].to_owned(),
    }
}
