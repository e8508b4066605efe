//! Anchors: what the audit chain and the ledger ended with at some time, noted where whoever could change the
//! database cannot (S67). Cutting both off at their end is found by nothing else.

use chiffon_common::{
    ErrorCode, Problem,
    api::{AuditAnchor, VerifyAudit},
};
use chiffon_store::AuditSeal;

use super::{Shared, store_problem};

/// Batches read at once.
const PAGE: u32 = 500;

impl Shared {
    /// What to note now; nothing where nothing is recorded.
    pub(crate) async fn audit_head(&self) -> Result<Option<AuditAnchor>, Problem> {
        let store = |error| store_problem(&error);
        let tenant = &self.settings.tenant;
        // First the ledger: its commits follow from what is sealed already.
        let batch = self.store.last_ledger_batch(tenant).await.map_err(store)?;
        let written = match &batch {
            Some(batch) => self.last_written(batch).await.map_err(store)?,
            None => None,
        };
        let seal = self.store.last_seal().await.map_err(store)?;
        let ledger_commit = written.and_then(|batch| batch.commit);
        Ok(seal.map(|seal| AuditAnchor {
            seal_no: seal.seal_no,
            first_seq: seal.first_seq,
            last_seq: seal.last_seq,
            root: seal.root,
            previous: seal.previous,
            hash: seal.hash,
            ledger_commit,
            at: self.clock.now(),
        }))
    }

    /// The anchors to hold: those given, and where asked for those of the remote, with its `main`.
    pub(super) async fn anchors_of(
        &self,
        asked: VerifyAudit,
    ) -> Result<(Vec<AuditAnchor>, Option<String>), Problem> {
        let mut anchors = asked.anchors;
        if !asked.remote {
            return Ok((anchors, None));
        }
        let heads = self.remote_anchors().await?.ok_or_else(|| {
            Problem::new(
                ErrorCode::NotFound,
                "the ledger has no remote, so there is nothing to hold it against",
                "set ledger.remote in chiffon.yaml, or verify without --remote",
            )
        })?;
        anchors.extend(heads.anchors);
        Ok((anchors, heads.main))
    }

    /// Ledger commits that are known elsewhere and that no stored batch has any more.
    pub(super) async fn lost_commits(
        &self,
        anchors: &[AuditAnchor],
        main: Option<String>,
    ) -> Result<Vec<String>, Problem> {
        let mut wanted: Vec<&str> = anchors
            .iter()
            .filter_map(|anchor| anchor.ledger_commit.as_deref())
            .chain(main.as_deref())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut after = 0;
        while !wanted.is_empty() {
            let tenant = &self.settings.tenant;
            let page = self.store.ledger_batches(tenant, after, PAGE).await;
            let page = page.map_err(|error| store_problem(&error))?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.batch_no;
            wanted.retain(|commit| {
                !page
                    .iter()
                    .any(|batch| batch.commit.as_deref() == Some(*commit))
            });
        }
        let lost = |commit: &&str| format!("ledger: the anchored commit {commit} is missing");
        Ok(wanted.iter().map(lost).collect())
    }
}

/// The seal that an anchor noted.
pub(super) fn seal_of(anchor: &AuditAnchor) -> AuditSeal {
    AuditSeal {
        seal_no: anchor.seal_no,
        first_seq: anchor.first_seq,
        last_seq: anchor.last_seq,
        root: anchor.root.clone(),
        previous: anchor.previous.clone(),
        hash: anchor.hash.clone(),
    }
}
