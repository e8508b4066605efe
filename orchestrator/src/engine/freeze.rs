//! The freeze: a person's word that nothing more is to be started, and its end. Obeying it is the arbiter's gate's; a
//! start that was judged before it came is refused by its own commit ([`Check::Freeze`](chiffon_store::Check::Freeze)).

use std::collections::BTreeMap;

use chiffon_common::{AuditEntry, Digest, Frozen, Subject, TenantId};
use chiffon_store::{Commit, Error, Expected, FreezeRow, SliceHead, Write};
use serde_json::json;

use super::{Editor, Shared};

/// Records read at once.
const PAGE: u32 = 1000;
/// One that is frozen and thawed all the time is read again so often.
const TRIES: usize = 5;

impl Shared {
    /// How it stands; the version is 0 where nobody has ever frozen the fleet.
    pub(crate) async fn freeze_row(&self) -> Result<FreezeRow, Error> {
        let tenant = &self.settings.tenant;
        let row = self.store.freeze(tenant).await?;
        Ok(row.unwrap_or_else(|| FreezeRow {
            tenant_id: tenant.clone(),
            version: 0,
            frozen: None,
        }))
    }

    /// Freezes the fleet, from how it stood.
    pub(crate) async fn freeze(
        &self,
        was: &FreezeRow,
        reason: String,
        editor: &Editor,
    ) -> Result<FreezeRow, Error> {
        let frozen = Frozen {
            by: editor.by.id.clone(),
            since: self.clock.now(),
            reason,
        };
        let because = frozen.words();
        self.set_freeze(was, Some(frozen), ("fleet.frozen", because), editor)
            .await
    }

    /// Ends the freeze, from how it stood. What waits is looked at at once.
    pub(crate) async fn thaw(&self, was: &FreezeRow, editor: &Editor) -> Result<FreezeRow, Error> {
        let before = was.frozen.as_ref().map_or_else(String::new, Frozen::words);
        let because = format!("thawed by {}; it was {before}", editor.by.id);
        self.set_freeze(was, None, ("fleet.thawed", because), editor)
            .await
    }

    async fn set_freeze(
        &self,
        was: &FreezeRow,
        frozen: Option<Frozen>,
        (action, because): (&str, String),
        editor: &Editor,
    ) -> Result<FreezeRow, Error> {
        let row = FreezeRow {
            version: was.version + 1,
            frozen,
            ..was.clone()
        };
        let expected = match was.version {
            0 => Expected::Absent,
            version => Expected::Version(version),
        };
        let target = Subject {
            kind: "fleet".to_owned(),
            id: row.tenant_id.to_string(),
        };
        let data = json!({ "because": because });
        let audit = AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            stream: stream_of(&row.tenant_id),
            slice: Some(proof(&row)?),
            slice_before: (was.version > 0).then(|| proof(was)).transpose()?,
            ..self.audit_of_fleet(action, target, "asked", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: row.tenant_id.clone(),
            writes: vec![Write::Freeze(expected, row.clone())],
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await?;
        // Those that wait are told so, or go on.
        self.nudges.dispatch.notify_one();
        Ok(row)
    }

    /// Holds the row against what its last record says; what does not fit.
    pub(super) async fn verify_freeze(
        &self,
        heads: &BTreeMap<String, SliceHead>,
    ) -> Result<Option<String>, Error> {
        let tenant = &self.settings.tenant;
        let stream = stream_of(tenant);
        let Some(mut head) = heads.get(&stream).copied() else {
            return match self.store.freeze(tenant).await? {
                // Before its records were a stream of their own they stood among those of the day.
                Some(_) if !self.was_frozen_before().await? => {
                    Ok(Some("the freeze is known to no audit record".to_owned()))
                }
                _ => Ok(None),
            };
        };
        let mut fault = None;
        for _try in 0..TRIES {
            let digest = match self.store.freeze(tenant).await? {
                Some(row) => Some(proof(&row)?),
                None => None,
            };
            if digest == Some(head.digest) {
                return Ok(None);
            }
            fault = Some(format!(
                "record {}: whether the fleet is frozen was changed: it is not as this record left it",
                head.seq
            ));
            // Somebody may have frozen or thawed since the chain was read.
            let last = self.store.last_of_stream(&stream).await?;
            let newest = last.and_then(|last| Some((last.seq, last.record.entry.slice?)));
            match newest {
                Some((seq, digest)) if seq != head.seq => {
                    head = SliceHead {
                        seq,
                        digest,
                        ..head
                    };
                }
                _ => break,
            }
        }
        Ok(fault)
    }

    async fn was_frozen_before(&self) -> Result<bool, Error> {
        let mut after = 0;
        loop {
            let page = self.store.audit_after(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(false);
            };
            after = last.seq;
            let actions = page.iter().map(|one| one.record.entry.action.as_str());
            let mut actions =
                actions.filter(|action| ["fleet.frozen", "fleet.thawed"].contains(action));
            if actions.next().is_some() {
                return Ok(true);
            }
        }
    }
}

/// The stream of what is done to the freeze.
fn stream_of(tenant: &TenantId) -> String {
    format!("freeze:{tenant}")
}

/// The digest over the row. Times are stored to the microsecond.
fn proof(row: &FreezeRow) -> Result<Digest, Error> {
    let frozen = row.frozen.as_ref().map(|frozen| {
        json!({ "by": frozen.by, "since": frozen.since.as_microsecond().to_string(), "reason": frozen.reason })
    });
    let row =
        json!({ "v": 1, "tenant_id": row.tenant_id, "version": row.version, "frozen": frozen });
    Digest::of_value(&row).map_err(|error| Error::Malformed(error.to_string()))
}
