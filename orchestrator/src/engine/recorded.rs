//! What is kept of every event that a request took, so that its moves can be told again: the event, its time,
//! the ids it minted and the limits it was judged by. Telling it again is left to `replay`.

use chiffon_arbiter::{Moved, NewRun, Run, RunEvent, RunPolicy};
use chiffon_common::{CanonicalError, Digest, Frozen};
use chiffon_store::{RunEventRow, Write};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Shared, rows::Versions};

/// What a row of `run_events` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub(crate) enum Told {
    /// The request came.
    Received {
        /// What it was made from.
        new: Box<NewRun>,
        /// When.
        at: Timestamp,
        /// The program that judged it.
        version: String,
    },
    /// Something happened to it.
    Event {
        /// What.
        event: Box<RunEvent>,
        /// When.
        at: Timestamp,
        /// The ids that were used.
        minted: Vec<Uuid>,
        /// Digest of the rules in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rules: Option<Digest>,
        /// Who had frozen the fleet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frozen: Option<Frozen>,
    },
}

/// When an event of this row was taken; nothing where the row says none.
pub(super) fn told_at(row: &RunEventRow) -> Option<Timestamp> {
    Timestamp::deserialize(row.doc.get("at")?).ok()
}

/// The limits in force, as they are kept beside the events that were judged by them.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    digest: Digest,
    doc: Value,
}

impl Limits {
    pub(crate) fn of(policy: &RunPolicy) -> Result<Self, CanonicalError> {
        // Numbers and words only: it has a JSON form wherever it has a canonical one.
        let doc = serde_json::to_value(policy).unwrap_or_default();
        let digest = Digest::of_value(&doc)?;
        Ok(Self { digest, doc })
    }
}

impl Shared {
    /// The row of a request that has just come.
    pub(super) fn told_of_new(&self, new: NewRun, run: &Run) -> Result<Write, serde_json::Error> {
        let told = Told::Received {
            new: Box::new(new),
            at: run.request.created_at,
            version: self.settings.version.clone(),
        };
        self.told(run, 1, &told)
    }

    /// The row of an event that was taken, under the version that the request has after it.
    pub(super) fn told_of(
        &self,
        event: &RunEvent,
        at: Timestamp,
        moved: &Moved,
        versions: &Versions,
    ) -> Result<Write, serde_json::Error> {
        let told = Told::Event {
            event: Box::new(event.clone()),
            at,
            minted: moved.minted.clone(),
            rules: Some(self.settings.rules),
            frozen: versions.frozen().cloned(),
        };
        self.told(&moved.run, versions.next(), &told)
    }

    fn told(&self, run: &Run, version: u64, told: &Told) -> Result<Write, serde_json::Error> {
        let limits = &self.settings.limits;
        Ok(Write::RunEvent(RunEventRow {
            tenant_id: run.request.tenant_id.clone(),
            request_id: run.request.request_id,
            version,
            policy: limits.digest,
            policy_doc: Some(limits.doc.clone()),
            doc: serde_json::to_value(told)?,
        }))
    }
}
