//! Confirming lines while `arbiter` serves, and noting in the database how far the files have come.
//!
//! A note takes the place of the one before it, and only of that. Where another one is there, the database was put back to an
//! older state while nobody looked, such as by a failover to a standby that lacked the last commits: then nothing is decided
//! until it has been given what stands in the files.

use std::{path::Path, sync::Arc, time::Duration};

use chiffon_common::{Digest, ErrorCode, Problem};
use chiffon_store::{AuditMark, Noting};
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Outbox, holds, lacked, wrote};
use crate::{
    audit::{Audit, Head, Reached, Weak},
    decide::{Confirm, Turns, store_problem},
    restore::Range,
    watch::Watch,
};

/// Confirmations that wait; each stands for a line that is on file, so that losing one would only cost a look at a start.
const CONFIRMING: usize = 8_192;
/// Confirmations of one commit.
const BATCH: usize = 1_000;
/// Between two notes of how far the files have come, where no line has to be confirmed.
const NOTING: Duration = Duration::from_secs(1);
/// Notes whose outcome is not known.
const TRIED: usize = 1_000;

/// Confirms lines until nobody decides any more.
pub(crate) struct Confirming(JoinHandle<Notes>);

/// What is noted in the database.
pub(super) struct Notes {
    outbox: Outbox,
    reached: Reached,
    /// Keeps nobody from ending.
    audit: Weak,
    rules: Digest,
    watch: Arc<Watch>,
    turns: Arc<Turns>,
    noted: Option<Head>,
    /// The note that is there, as far as is known.
    before: Option<AuditMark>,
    /// Notes since then that may be there, because nobody said what became of them.
    tried: Vec<AuditMark>,
    /// Whether it stands in the audit that the database was put back.
    is_told: bool,
    /// Whether nobody decides because of that.
    is_shut: bool,
}

impl Confirming {
    /// Once nobody decides any more: notes where the chain ends. What fails is found at the next start.
    pub(crate) async fn end(self, head: Head) {
        let Ok(mut notes) = self.0.await else { return };
        notes.note(&mut Vec::new(), head).await;
    }
}

impl Notes {
    pub(super) fn new(
        outbox: Outbox,
        audit: &Audit,
        rules: Digest,
        watch: Arc<Watch>,
        turns: Arc<Turns>,
    ) -> Self {
        let mine = |marked: &&chiffon_store::Marked| marked.replica == outbox.replica;
        let before = outbox.marks.iter().find(mine);
        let before = before.map(|marked| marked.mark.clone());
        Self {
            outbox,
            reached: audit.reached(),
            audit: audit.weak(),
            rules,
            watch,
            turns,
            noted: None,
            before,
            tried: Vec::new(),
            is_told: false,
            is_shut: false,
        }
    }

    pub(super) async fn start(mut self) -> (Confirm, Confirming) {
        // Before anything is answered: from here on the files are known.
        let head = self.reached.head();
        self.note(&mut Vec::new(), head).await;
        let (confirm, confirmed) = mpsc::channel(CONFIRMING);
        let task = tokio::spawn(self.confirming(confirmed));
        (confirm, Confirming(task))
    }

    async fn confirming(mut self, mut from: mpsc::Receiver<u64>) -> Self {
        let mut seqs = Vec::new();
        let mut noting = interval(NOTING);
        noting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = from.recv_many(&mut seqs, BATCH) => {
                    if received == 0 {
                        return self;
                    }
                }
                _ = noting.tick() => {}
            }
            let head = self.reached.head();
            self.note(&mut seqs, head).await;
        }
    }

    async fn note(&mut self, seqs: &mut Vec<u64>, head: Head) {
        // A store that could not be written is tried.
        if seqs.is_empty() && self.noted == Some(head) && !self.watch.is_failing() {
            return self.look().await;
        }
        let now = self.mark(head);
        let noting = Noting {
            before: self.before.clone(),
            now: now.clone(),
        };
        let Outbox { store, replica, .. } = &self.outbox;
        match store.audited(replica, seqs, Some(noting)).await {
            Ok(true) => {
                self.watch.note(&Ok(()));
                seqs.clear();
                self.is_noted(head, now);
                // Brought to the newest state again by somebody else.
                if self.is_shut {
                    *self.turns.shut().await = None;
                    (self.is_shut, self.is_told) = (false, false);
                }
            }
            Ok(false) => self.look().await,
            // With the next ones. What is never confirmed is found on file at the next start.
            Err(error) => {
                tracing::warn!(%error, "audit lines could not be confirmed");
                self.watch.note::<()>(&Err(error));
                seqs.truncate(CONFIRMING);
                if self.tried.last() != Some(&now) && self.tried.len() < TRIED {
                    self.tried.push(now);
                }
            }
        }
    }

    fn mark(&self, head: Head) -> AuditMark {
        AuditMark {
            seq: head.seq,
            hash: head.hash,
            folder: self.outbox.folder.to_string_lossy().into_owned(),
        }
    }

    fn is_noted(&mut self, head: Head, mark: AuditMark) {
        (self.noted, self.before) = (Some(head), Some(mark));
        self.tried.clear();
    }

    /// Looks whether the note is there that was left.
    async fn look(&mut self) {
        let marks = match self.outbox.store.marks().await {
            Ok(marks) => marks,
            Err(error) => return self.watch.note::<()>(&Err(error)),
        };
        let mine = marks
            .into_iter()
            .find(|it| it.replica == self.outbox.replica);
        let found = mine.map(|marked| marked.mark);
        if found == self.before {
            return;
        }
        if found
            .as_ref()
            .is_some_and(|found| self.tried.contains(found))
        {
            // One that was taken for lost.
            (self.before, self.noted) = (found, None);
            return;
        }
        self.mend(found).await;
    }

    /// The database was put back: gives it what it lacks while nobody decides.
    async fn mend(&mut self, found: Option<AuditMark>) {
        // At the end nobody decides any more; the next start finds the same.
        let Some(audit) = self.audit.upgrade() else {
            return;
        };
        let turns = Arc::clone(&self.turns);
        let mut shut = turns.shut().await;
        match self.bring_back(&audit, found).await {
            Ok(brought) => {
                tracing::warn!(brought, "the database has what it lacked; decisions go on");
                *shut = None;
                (self.is_shut, self.is_told) = (false, false);
                self.watch.tell(None);
            }
            Err(problem) => {
                let why = format!(
                    "the database was put back to another state, and cannot be given what it lacks: {}; {}",
                    problem.detail, problem.todo
                );
                self.watch.tell(Some(why.clone()));
                *shut = Some(why);
                self.is_shut = true;
            }
        }
    }

    async fn bring_back(
        &mut self,
        audit: &Audit,
        found: Option<AuditMark>,
    ) -> Result<u64, Problem> {
        let folder = self.outbox.folder.as_path();
        if !self.is_told {
            let detail = told(folder, self.before.as_ref(), found.as_ref());
            tracing::error!("{detail}");
            // Once it is on file, so is all that was decided before: nobody decides now.
            wrote(audit, &lacked(detail, self.rules)).await?;
            self.is_told = true;
        }
        let head = self.reached.head();
        let after = match &found {
            Some(found) => holds(folder, found, head)?,
            None => 0,
        };
        let end = head.seq;
        let now = Timestamp::now();
        let brought = self.outbox.bring_back(Range { after, end }, now).await?;
        let mark = self.mark(head);
        let noting = Noting {
            before: found,
            now: mark.clone(),
        };
        let Outbox { store, replica, .. } = &self.outbox;
        let noted = store.audited(replica, &[], Some(noting)).await;
        if !noted.map_err(|error| store_problem(&error))? {
            let detail = "somebody else notes how far the audit has come, such as an arbiter whose audit folder is a copy of this one";
            let todo = "stop the other one, or remove the file `replica` from its audit folder";
            return Err(Problem::new(ErrorCode::AuditInUse, detail, todo));
        }
        self.is_noted(head, mark);
        Ok(brought)
    }
}

fn told(folder: &Path, before: Option<&AuditMark>, found: Option<&AuditMark>) -> String {
    let seq = |mark: Option<&AuditMark>| match mark {
        Some(mark) => format!("record {}", mark.seq),
        None => "nothing".to_owned(),
    };
    format!(
        "the database was put back while arbiter served: it had noted {} of the audit in {}, and has {} now; what stands in the files after that is given to it before anything more is decided",
        seq(before),
        folder.display(),
        seq(found)
    )
}
