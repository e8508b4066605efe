//! The freeze: a person's word that nothing more is to be started, and its end. Obeying it is the arbiter's gate's; a
//! start that was judged before it came is refused by its own commit ([`Check::Freeze`](chiffon_store::Check::Freeze)).

use chiffon_common::{AuditEntry, Frozen, Subject};
use chiffon_store::{Commit, Error, Expected, FreezeRow, Write};
use serde_json::json;

use super::{Editor, Shared};

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
}
