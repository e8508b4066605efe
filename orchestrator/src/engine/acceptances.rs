//! What persons have accepted of the catalogue: each acceptance is an audit record that names entries with the digests
//! over all their files, and the stream of these records is all that is kept of it. An entry that changes is not
//! accepted any more, because its digest is another one.

use chiffon_common::{AuditEntry, GENESIS, Subject, TenantId};
use chiffon_store::{Commit, Error};
use serde_json::json;

use super::{Editor, Shared};
use crate::catalogue::Acceptances;

/// The action of such a record.
const ACCEPTED: &str = "catalogue.accepted";

impl Shared {
    /// Reads the records, once at the start.
    pub(crate) async fn remember_acceptances(&self) -> Result<(), Error> {
        let stream = stream_of(&self.settings.tenant);
        let mut accepted = Acceptances::new();
        let mut last = GENESIS.to_owned();
        for one in self.store.audit_stream(&stream).await? {
            // One that somebody edited or slipped in counts nothing, and neither does what stands on it.
            if !one.record.is_intact() || one.record.previous != last {
                let seq = one.seq;
                tracing::warn!(
                    seq,
                    "an acceptance was changed after it was recorded, so it and all after it count nothing: chiffon audit verify"
                );
                break;
            }
            last.clone_from(&one.record.hash);
            let entry = one.record.entry;
            let named = entry.data.get("accepted").cloned().unwrap_or_default();
            if entry.action != ACCEPTED {
                continue;
            }
            match serde_json::from_value::<Acceptances>(named) {
                Ok(named) => accepted.extend(named),
                // Less is believed of the catalogue, never more.
                Err(error) => tracing::warn!(%error, "an acceptance cannot be read"),
            }
        }
        self.library.accept(accepted);
        Ok(())
    }

    /// Reads them again where another orchestrator has recorded one since `seen`.
    pub(super) async fn look_at_acceptances(&self, seen: &mut Option<u64>) -> Result<(), Error> {
        let stream = stream_of(&self.settings.tenant);
        let last = self.store.last_of_stream(&stream).await?;
        let last = last.map(|one| one.seq);
        if last != *seen {
            self.remember_acceptances().await?;
            *seen = last;
        }
        Ok(())
    }

    /// Records that these count as what they say of themselves, as they are now.
    pub(crate) async fn accept(&self, accepted: Acceptances, editor: &Editor) -> Result<(), Error> {
        let tenant = &self.settings.tenant;
        let target = Subject {
            kind: "catalogue".to_owned(),
            id: tenant.to_string(),
        };
        let data = json!({ "accepted": accepted });
        let audit = AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            stream: stream_of(tenant),
            ..self.audit_of_fleet(ACCEPTED, target, "asked", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await?;
        self.library.accept(accepted);
        Ok(())
    }
}

fn stream_of(tenant: &TenantId) -> String {
    format!("catalogue:{tenant}")
}
