//! What a database and the audit files of this process have to do with each other. At a start they are held against each
//! other: the database has noted how far the files had come, so that files which were cut back, removed or replaced while
//! nobody looked are refused, and a database that was emptied, or is older than the files, is given what it lacks. From then
//! on each line that the database keeps for the files is confirmed once it is there, and how far they have come is noted.

mod left;
mod noting;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chiffon_arbiter::Gates;
use chiffon_common::{Digest, ErrorCode, Problem, ReasonCode};
use chiffon_store::{AuditMark, ControlStore, Marked};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    audit::{Audit, Head, record_at},
    config::{Config, Store},
    decide::{Confirm, Turns, store_problem},
    record::{self, Kind, Record},
    restore::{self, Range},
    watch::Watch,
};

/// The file that names the folder.
const NAME: &str = "replica";

pub(crate) use noting::Confirming;
use noting::Notes;

/// A database and the files beside it, held against each other.
pub(crate) struct Outbox {
    store: Arc<dyn ControlStore>,
    folder: PathBuf,
    replica: String,
    /// Whether the folder says so.
    is_named: bool,
    /// Whether the database is a file of this machine, for one audit.
    is_local: bool,
    /// What the database had noted of all folders.
    marks: Vec<Marked>,
    /// The last record that the database knows to be on file; before all where it knows none.
    noted: u64,
    /// Decisions that it lacked.
    brought: u64,
    /// What a decision is brought back by.
    gate: Gates,
    keep: Duration,
}

fn broken(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::AuditBroken, detail, todo)
}

const BRING_BACK: &str = "bring the files back; to go on without what they held, set another audit.path, where a new chain begins";

impl Outbox {
    /// Holds the files, which end at `head`, against the database, and gives it what it lacks; nothing with the store in
    /// memory, which has only the files. `now` is a time that it surely is. Blocks while it reads files.
    pub(crate) async fn hold(
        config: &Config,
        store: &Arc<dyn ControlStore>,
        head: Head,
        now: Timestamp,
    ) -> Result<Option<Self>, Problem> {
        let keep = match &config.store {
            Store::Memory { .. } => return Ok(None),
            Store::Sqlite { keep, .. } | Store::Postgres { keep, .. } => *keep,
        };
        let unusable = |error: io::Error| {
            let detail = format!("{}: {error}", config.audit.path.display());
            let todo = "make the audit folder writable";
            Problem::new(ErrorCode::InvalidValue, detail, todo)
        };
        let folder = fs::canonicalize(&config.audit.path).map_err(unusable)?;
        let name = replica(&folder).map_err(unusable)?;
        let marks = store.marks().await;
        let marks = marks.map_err(|error| store_problem(&error))?;
        let is_local = matches!(config.store, Store::Sqlite { .. });
        let found = Found {
            folder: &folder,
            name: name.as_deref(),
            head,
            is_local,
        };
        let mine = found.whose(&marks)?;
        let noted = match mine {
            Some(mine) => holds(&folder, &mine.mark, head)?,
            None => 0,
        };
        let known = mine.map(|mine| mine.replica.clone()).or(name.clone());
        let replica = known.unwrap_or_else(|| Uuid::now_v7().to_string());
        let mut outbox = Self {
            store: Arc::clone(store),
            folder,
            is_named: name.as_ref() == Some(&replica),
            replica,
            is_local,
            marks,
            noted,
            brought: 0,
            gate: config.policy.gate.clone(),
            keep,
        };
        let range = Range {
            after: outbox.noted,
            end: head.seq,
        };
        outbox.brought = outbox.bring_back(range, now).await?;
        Ok(Some(outbox))
    }

    /// Gives the database what stands in the files and it lacks; how many decisions that were.
    async fn bring_back(&self, range: Range, now: Timestamp) -> Result<u64, Problem> {
        let keep = SignedDuration::try_from(self.keep).ok();
        let since = keep.and_then(|keep| now.checked_sub(keep).ok());
        let since = since.unwrap_or(Timestamp::MIN);
        let (store, folder) = (&self.store, &self.folder);
        restore::bring_back(store, folder, range, &self.gate, since, now).await
    }

    /// Writes what the database had decided before a crash, tells what it lacked, and confirms lines from then on.
    pub(crate) async fn start(
        self,
        audit: &Audit,
        rules: Digest,
        (watch, turns): (Arc<Watch>, Arc<Turns>),
    ) -> Result<((String, Confirm), Confirming), Problem> {
        if !self.is_named {
            named(&self.folder, &self.replica).map_err(|error| {
                let detail = format!("{}: {error}", self.folder.display());
                Problem::new(
                    ErrorCode::InvalidValue,
                    detail,
                    "make the audit folder writable",
                )
            })?;
        }
        if self.brought > 0 {
            self.tell(audit, rules).await?;
        }
        let (store, folder) = (self.store.as_ref(), self.folder.as_path());
        let lines = restore::catch_up(store, audit, &[folder], &self.replica).await?;
        if lines > 0 {
            tracing::warn!(lines, "written to the audit: decided before the last end");
        }
        self.take_over(audit, &self.marks, |detail| {
            let now = Timestamp::now();
            left::told(detail, record::noted(rules, record::fresh_id(now), now))
        })
        .await?;
        let replica = self.replica.clone();
        let (confirm, confirming) = Notes::new(self, audit, rules, watch, turns).start().await;
        Ok(((replica, confirm), confirming))
    }

    /// That the database had lost something stands in the audit from now on.
    async fn tell(&self, audit: &Audit, rules: Digest) -> Result<(), Problem> {
        let detail = format!(
            "{} decisions that stand in the audit after record {} were not in the database, and are now: it was emptied, or put back to an older state",
            self.brought, self.noted
        );
        tracing::warn!("{detail}");
        wrote(audit, &lacked(detail, rules)).await
    }
}

/// The record that a database had lost something.
fn lacked(detail: String, rules: Digest) -> Record<'static> {
    let now = Timestamp::now();
    Record {
        kind: Kind::Repair,
        action: "bring_back_decisions".into(),
        reason_code: ReasonCode::Pass,
        detail: Some(detail.into()),
        ..record::noted(rules, record::fresh_id(now), now)
    }
}

/// Waits until a record is on file.
async fn wrote(audit: &Audit, record: &Record<'_>) -> Result<(), Problem> {
    let written = async { audit.place().await?.put(record.bytes(), None).wait().await };
    written.await.map_err(|error| {
        let todo = "make the audit folder writable";
        Problem::new(ErrorCode::AuditUnwritable, error.to_string(), todo)
    })
}

/// An audit folder as it was found.
struct Found<'a> {
    folder: &'a Path,
    /// The name in it, where it has one.
    name: Option<&'a str>,
    /// Where its files end.
    head: Head,
    is_local: bool,
}

impl Found<'_> {
    /// The audit that this is by what the database has noted: by its name; else, because a name may be lost, by the record
    /// that was noted, and beside a database of this machine by its place alone.
    fn whose<'m>(&self, marks: &'m [Marked]) -> Result<Option<&'m Marked>, Problem> {
        let named = marks
            .iter()
            .find(|marked| Some(&*marked.replica) == self.name);
        if named.is_some() {
            return Ok(named);
        }
        let is_here = |marked: &&Marked| Path::new(&marked.mark.folder) == self.folder;
        let here = marks.iter().filter(is_here).max_by_key(|it| it.mark.seq);
        if self.head.seq == 0 {
            return match here {
                Some(lost) => self.is_new(lost).map(|()| None),
                None => Ok(None),
            };
        }
        let mut same = None;
        for marked in marks {
            // Beside a database that many machines share, another one may have copied the files.
            let may_be = self.is_local || self.name.is_none() && is_here(&marked);
            let is_later = same.is_none_or(|same: &Marked| same.mark.seq < marked.mark.seq);
            if may_be && is_later && self.has(marked)? {
                same = Some(marked);
            }
        }
        if same.is_none() && !self.is_local && here.is_some() && self.name.is_none() {
            tracing::warn!(
                "the audit in {} has lost its name, or the database knows one there of a replica on another machine",
                self.folder.display()
            );
        }
        Ok(same.or(here.filter(|_| self.is_local)))
    }

    /// Whether the record that was noted of an audit is here.
    fn has(&self, marked: &Marked) -> Result<bool, Problem> {
        let mark = &marked.mark;
        if mark.seq == 0 || mark.seq > self.head.seq {
            return Ok(false);
        }
        let found = record_at(self.folder, mark.seq).map_err(|error| {
            let detail = format!("{}: {error}", self.folder.display());
            broken(detail, "make the audit files readable")
        })?;
        Ok(found == Some(mark.hash))
    }

    /// Holds a folder without any record against the audit that the database knows there.
    fn is_new(&self, lost: &Marked) -> Result<(), Problem> {
        let detail = format!(
            "there is no audit in {}, and the database has noted one there, up to record {}: it was removed",
            self.folder.display(),
            lost.mark.seq
        );
        // On another machine it may be another folder.
        if self.is_local {
            return Err(broken(detail, BRING_BACK));
        }
        tracing::warn!("{detail}, or it is that of a replica on another machine");
        Ok(())
    }
}

/// Holds files that end at `head` against what the database has noted of them; the number of the record that it noted.
fn holds(folder: &Path, mark: &AuditMark, head: Head) -> Result<u64, Problem> {
    let shown = folder.display();
    let seq = mark.seq;
    if seq > head.seq {
        let ends = match head.seq {
            0 => "has no record".to_owned(),
            end => format!("ends at record {end}"),
        };
        let detail = format!(
            "the audit in {shown} {ends}, and the database has noted record {seq}: its end was cut off or removed, or the folder is a copy of one that is in use"
        );
        return Err(broken(detail, BRING_BACK));
    }
    let found = record_at(folder, seq).map_err(|error| {
        let detail = format!("{shown}: {error}");
        broken(detail, "make the audit files readable")
    })?;
    // `audit.keep` may have removed it, where the database was put back to an older state.
    if found.is_some_and(|found| found != mark.hash) {
        let detail = format!(
            "record {seq} of the audit in {shown} is not the one that the database has noted: the files were replaced, or the database is that of another audit"
        );
        let todo = "put files and database of the same arbiter together; to go on with this database alone, set another audit.path, where a new chain begins";
        return Err(broken(detail, todo));
    }
    Ok(seq)
}

/// The name of this audit folder in a database that several may share, where it has one.
fn replica(folder: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(NAME)) {
        Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives it one, for good.
fn named(folder: &Path, name: &str) -> io::Result<()> {
    let path = folder.join(NAME);
    fs::write(&path, format!("{name}\n"))?;
    fs::File::open(&path)?.sync_all()?;
    fs::File::open(folder)?.sync_all()
}
