//! Anchors: what the audit chain and the ledger ended with at some time, noted where whoever could change the
//! database cannot (S67). Cutting both off at their end is found by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::{
    ErrorCode, Problem,
    api::{AuditAnchor, VerifyAudit},
};
use chiffon_store::AuditSeal;

use super::{Shared, held::Held, store_problem};

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

    /// The anchors to hold: those given, and where asked for those of the remote, with what else is there.
    pub(super) async fn anchors_of(
        &self,
        asked: VerifyAudit,
    ) -> Result<(Vec<AuditAnchor>, Option<Held>), Problem> {
        let mut anchors = asked.anchors;
        if !asked.remote {
            return Ok((anchors, None));
        }
        let held = self.held_by_remote().await?.ok_or_else(|| {
            Problem::new(
                ErrorCode::NotFound,
                "the ledger has no remote, so there is nothing to hold it against",
                "set ledger.remote in chiffon.yaml, or verify without --remote",
            )
        })?;
        anchors.extend(held.anchors.values().cloned());
        Ok((anchors, Some(held)))
    }

    /// Ledger commits that are known elsewhere and that no stored batch has any more; and what the remote lacks.
    pub(super) async fn lost_commits(
        &self,
        anchors: &[AuditAnchor],
        held: Option<&Held>,
    ) -> Result<Vec<String>, Problem> {
        let anchored = anchors
            .iter()
            .filter_map(|anchor| anchor.ledger_commit.as_deref());
        let there = held.into_iter().flat_map(Held::commits);
        let wanted: BTreeSet<&str> = anchored.chain(there).collect();
        let places = self.places_of_commits(&wanted).await?;
        let lost = wanted
            .iter()
            .filter(|commit| !places.contains_key(**commit));
        let lost = lost.map(|commit| format!("ledger: the anchored commit {commit} is missing"));
        let lacks = held.map(|held| held.faults(&places)).unwrap_or_default();
        let lacks = lacks.iter().map(|fault| format!("remote: {fault}"));
        Ok(lost.chain(lacks).collect())
    }

    /// The batch of each of these commits that has one.
    async fn places_of_commits(
        &self,
        wanted: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, u64>, Problem> {
        let mut places = BTreeMap::new();
        let mut after = 0;
        while places.len() < wanted.len() {
            let tenant = &self.settings.tenant;
            let page = self.store.ledger_batches(tenant, after, PAGE).await;
            let page = page.map_err(|error| store_problem(&error))?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.batch_no;
            for batch in page {
                let commit = batch
                    .commit
                    .filter(|commit| wanted.contains(commit.as_str()));
                places.extend(commit.map(|commit| (commit, batch.batch_no)));
            }
        }
        Ok(places)
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
