//! The ledger and the head of the audit chain, pushed to a remote repository: an anchor that whoever owns this machine
//! cannot take back unseen (S67). Never forced onto `main`: what somebody else pushed there is told, not overwritten.
//!
//! Done by the `git` of this machine, which knows how to reach the remote and with whose key. A remote that cannot be
//! reached holds up nothing; it is told by the health, and tried again. Holding what lies there against what was pushed is
//! left to `held`.

use std::{
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
/// How often is pushed at most; commits that come meanwhile go together.
const PERIOD: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(120);
/// Where the heads lie: one reference a day, which moves on during the day.
pub(super) const ANCHORS: &str = "refs/chiffon/anchors";
/// Longest words of git that are passed on.
const WORDS: usize = 500;

impl Shared {
    /// Pushes for ever, where a remote is configured.
    pub(crate) async fn push_anchors(&self) {
        let Some(remote) = self.settings.ledger_remote.clone() else {
            return;
        };
        let mut pushed = None;
        loop {
            nudged(&self.nudges.anchor, AGAIN).await;
            if !self.has_post(Post::Anchors).await.unwrap_or_default() {
                continue;
            }
            let pause = match self.push_once(&remote, &mut pushed).await {
                Ok(()) => {
                    self.remote_is(None).await;
                    PERIOD
                }
                Err(why) => {
                    self.remote_is(Some(why)).await;
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn push_once(&self, remote: &str, pushed: &mut Option<String>) -> Result<(), String> {
        let head = self.audit_head().await.map_err(|problem| problem.detail)?;
        let Some(head) = head.filter(|head| pushed.as_ref() != Some(&head.hash)) else {
            return Ok(());
        };
        if !self.settings.ledger.path.join("HEAD").exists() {
            return Ok(());
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
        Ok(())
    }

    /// What git says on its standard output; in words why it failed.
    pub(super) async fn git(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let mut command = Command::new("git");
        command
            .arg("--git-dir")
            .arg(&self.settings.ledger.path)
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C")
            .env_remove("GIT_DIR")
            .env_remove("GIT_INDEX_FILE")
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
        let done = tokio::time::timeout(PATIENCE, run).await;
        let done = done.map_err(|_| format!("git took longer than {} s", PATIENCE.as_secs()))?;
        let done = done.map_err(|error| format!("git cannot be run: {error}"))?;
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            false => Err(words(done.status, &done.stderr)),
        }
    }

    /// Tells a change once, in the log and the audit record; the health tells it as long as it lasts.
    async fn remote_is(&self, fault: Option<String>) {
        let before = {
            let known = self.remote_fault.lock();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, fault.clone())
        };
        let (action, result) = match (&before, &fault) {
            (None, Some(error)) => {
                tracing::warn!(%error, "the ledger could not be pushed to its remote; it is tried again");
                ("ledger.remote_fault", "failed")
            }
            (Some(_), None) => ("ledger.remote_healed", "ok"),
            _ => return,
        };
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "remote".to_owned(),
        };
        let data = json!({ "because": fault });
        let audit = AuditEntry {
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
