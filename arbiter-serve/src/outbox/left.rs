//! Decisions that wait in a database for files which are not written to any more, because `audit.path` leads elsewhere now or
//! the folder has lost its name: they are in force, and were kept from those files by a crash. They are written to the
//! files in use, unless somebody else still writes the others.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem, ReasonCode};
use chiffon_store::Marked;
use jiff::{SignedDuration, Timestamp};

use super::{Outbox, replica, wrote};
use crate::{
    audit::{self, Audit},
    decide::store_problem,
    record::Record,
    restore::{catch_up, told_at},
};

/// From then on a line that waits is not one of somebody who is about to write it.
const LONG: SignedDuration = SignedDuration::from_mins(5);

/// What is known of the files that lines wait for.
enum Files {
    /// Nobody writes to them; where they are, if they still are. Held as long as this lives.
    Left(Option<PathBuf>, Vec<File>),
    /// Somebody does, or they may be on another machine.
    Others,
}

impl Outbox {
    /// Writes lines of other folders where nobody else will.
    pub(super) async fn take_over(
        &self,
        audit: &Audit,
        marks: &[Marked],
        note: impl Fn(String) -> Record<'static>,
    ) -> Result<(), Problem> {
        let store = self.store.as_ref();
        let waiting = store.backlog().await;
        let waiting = waiting.map_err(|error| store_problem(&error))?;
        for behind in waiting.iter().filter(|it| it.replica != self.replica) {
            let name = &behind.replica;
            let mark = marks.iter().find(|marked| marked.replica == *name);
            let noted = mark.map(|marked| PathBuf::from(&marked.mark.folder));
            let shown = noted.as_deref().unwrap_or(Path::new("an unknown folder"));
            let shown = shown.display().to_string();
            let (old, _held) = match self.files_of(name, noted)? {
                Files::Left(old, held) => (old, held),
                Files::Others => {
                    self.warn_of(name, &shown, behind.lines).await?;
                    continue;
                }
            };
            let mut folders = vec![self.folder.as_path()];
            folders.extend(old.as_deref().filter(|old| *old != self.folder));
            let caught = catch_up(store, audit, &folders, name).await;
            let lines = caught.map_err(|problem| {
                let detail = format!(
                    "{} decisions wait in the database for the audit in {shown}, and are not yet in that of {}: {}",
                    behind.lines,
                    self.folder.display(),
                    problem.detail
                );
                Problem::new(problem.code, detail, problem.todo)
            })?;
            if lines > 0 {
                let detail = format!(
                    "{lines} decisions before this record were kept from the audit in {shown} by a crash, and stand here, in {}, because that one is not written to any more",
                    self.folder.display()
                );
                tracing::warn!("{detail}");
                wrote(audit, &note(detail)).await?;
            }
        }
        Ok(())
    }

    fn files_of(&self, name: &str, noted: Option<PathBuf>) -> Result<Files, Problem> {
        let nobody = match self.is_local {
            true => Files::Left(None, Vec::new()),
            false => Files::Others,
        };
        let Some(folder) = noted.filter(|folder| folder.is_dir()) else {
            return Ok(nobody);
        };
        // With a database that many machines share, only the name says that it is the very folder.
        let is_its = replica(&folder).ok().flatten().as_deref() == Some(name);
        if !is_its && !self.is_local {
            return Ok(nobody);
        }
        if folder == self.folder {
            return Ok(Files::Left(Some(folder), Vec::new()));
        }
        let unusable = |error: std::io::Error| {
            let detail = format!(
                "decisions wait in the database for the audit in {}, which cannot be looked at: {error}; the one in use is {}",
                folder.display(),
                self.folder.display()
            );
            let todo = "make that folder readable, or move it away: then they are written to the one in use";
            Problem::new(ErrorCode::InvalidValue, detail, todo)
        };
        match audit::unused(&folder).map_err(unusable)? {
            Some(held) => Ok(Files::Left(Some(folder), held)),
            None => Ok(Files::Others),
        }
    }

    /// Lines that wait for long are told of: nobody may know of them.
    async fn warn_of(&self, name: &str, shown: &str, lines: u64) -> Result<(), Problem> {
        let first = self.store.unaudited(name, 0, 1).await;
        let first = first.map_err(|error| store_problem(&error))?;
        let oldest = first.first().and_then(|one| told_at(&one.line));
        let is_old = oldest.is_some_and(|at| Timestamp::now().duration_since(at) > LONG);
        if is_old {
            tracing::warn!(
                replica = name,
                lines,
                "decisions wait in the database for the audit in {shown}, which is on another machine or somebody writes: start the arbiter of that folder with this database, or bring the folder here and name it in audit.path"
            );
        }
        Ok(())
    }
}

/// What a record says of them.
pub(super) fn told(detail: String, noted: Record<'static>) -> Record<'static> {
    Record {
        kind: crate::record::Kind::Repair,
        action: "take_over_decisions".into(),
        reason_code: ReasonCode::Pass,
        detail: Some(detail.into()),
        ..noted
    }
}
