//! Which key may sign the ledger. The first one that signed does, until a person says that another took its place: that is
//! a record in a stream of its own. A key that is another without such a record signs nothing, and is named, by the scribe
//! as by `audit verify`; so are commits by one. What a replaced key has signed stays good (`ledger::signing`).

use chiffon_common::{
    AuditEntry, AuditRecord, ErrorCode, Problem, SshSigner, Subject, TenantId, api::LedgerKey,
    visible,
};
use chiffon_store::{Commit, Error, LedgerBatchRow};
use serde_json::json;

use super::{Editor, Shared, scribe::ScribeError, store_problem};
use crate::ledger::LedgerError;

/// The action of the record by which a key takes the place of another.
const REPLACED: &str = "ledger.key_replaced";
/// More unrecorded changes are not listed.
const LISTED: usize = 10;

/// The stream of those records.
fn stream_of(tenant: &TenantId) -> String {
    format!("ledger-key:{tenant}")
}

/// The keys that signed the batches, in their order.
#[derive(Debug, Default)]
pub(super) struct Signers {
    in_force: Option<String>,
    switches: Vec<Switch>,
}

#[derive(Debug)]
struct Switch {
    batch_no: u64,
    from: String,
    to: Option<String>,
}

impl Signers {
    /// Takes in the next batch. Those of before the ledger was signed come first.
    pub(super) fn read(&mut self, batch: &LedgerBatchRow) {
        let from = match &self.in_force {
            Some(from) if batch.signer.as_ref() != Some(from) => from.clone(),
            Some(_) => return,
            None => {
                self.in_force.clone_from(&batch.signer);
                return;
            }
        };
        if self.switches.len() < LISTED {
            self.switches.push(Switch {
                batch_no: batch.batch_no,
                from,
                to: batch.signer.clone(),
            });
        }
        // One that is not signed is named, and the next is held against the key of before.
        if batch.signer.is_some() {
            self.in_force.clone_from(&batch.signer);
        }
    }
}

/// What the chain says of replaced keys, in its order.
#[derive(Debug, Default)]
pub(super) struct Replacements(Vec<Replacement>);

#[derive(Debug)]
struct Replacement {
    from: String,
    to: String,
    words: String,
}

impl Replacements {
    /// Takes in the next record of the chain.
    pub(super) fn read(&mut self, seq: u64, record: &AuditRecord) {
        let entry = &record.entry;
        if entry.action != REPLACED {
            return;
        }
        let key = |name: &str| entry.data[name].as_str().unwrap_or_default().to_owned();
        let (from, to) = (key("from"), key("to"));
        let words = format!(
            "the ledger's key {from} was replaced by {to} at {} by {}, by record {seq}: {}",
            entry.ts,
            entry.actor.id,
            key("because")
        );
        self.0.push(Replacement {
            from,
            to,
            words: visible(&words),
        });
    }

    /// Each replacement, in words.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|one| one.words.clone())
    }

    /// Batches that a key signed which no record put in force, and a key that is here and that no record did.
    pub(super) fn faults(&self, signers: &Signers, here: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut rest = self.0.iter();
        for Switch { batch_no, from, to } in &signers.switches {
            let Some(to) = to else {
                faults.push(format!(
                    "ledger: batch {batch_no} is not signed, though those before it are, by {from}"
                ));
                continue;
            };
            let ahead = rest.clone();
            let mut force = from;
            while force != to
                && let Some(next) = rest.find(|one| one.from == *force)
            {
                force = &next.to;
            }
            if force != to {
                rest = ahead;
                faults.push(format!(
                    "ledger: batch {batch_no} and what follows is signed by {to}, and no record says that this key took \
                     the place of {from}: find out who signed it"
                ));
            }
        }
        let last = self.0.last().map(|one| &one.to);
        if let Some(force) = last.or(signers.in_force.as_ref())
            && here != Some(force.as_str())
        {
            let here = here.unwrap_or("missing");
            faults.push(format!("ledger: {}", another(force, here)));
        }
        faults
    }
}

fn another(signer: &str, here: &str) -> LedgerError {
    LedgerError::Key {
        signer: signer.to_owned(),
        ours: here.to_owned(),
    }
}

impl Shared {
    /// The fingerprint of the key that is here.
    pub(super) fn ledger_key(&self) -> Option<String> {
        let key = self.settings.ledger.key.as_ref();
        key.map(SshSigner::fingerprint)
    }

    /// The key that may sign the next batch; nothing where none has signed yet.
    pub(super) async fn key_in_force(&self) -> Result<Option<String>, Error> {
        let tenant = &self.settings.tenant;
        let last = self.store.last_of_stream(&stream_of(tenant)).await?;
        let named = last
            .filter(|last| last.record.is_intact())
            .and_then(|last| last.record.entry.data["to"].as_str().map(str::to_owned));
        match named {
            Some(named) => Ok(Some(named)),
            None => {
                let last = self.store.last_ledger_batch(tenant).await?;
                Ok(last.and_then(|last| last.signer))
            }
        }
    }

    /// Refuses to sign by another key than the one in force.
    pub(super) async fn may_sign(&self) -> Result<(), ScribeError> {
        if let Some(fault) = &self.settings.ledger.key_fault {
            return Err(LedgerError::KeyUnreadable(fault.clone()).into());
        }
        let Some(force) = self.key_in_force().await? else {
            return Ok(());
        };
        match self.ledger_key() {
            Some(here) if here == force => Ok(()),
            here => Err(another(&force, here.as_deref().unwrap_or("missing")).into()),
        }
    }

    /// A person's word that the key that is here takes the place of the one in force. Without effect where it is in
    /// force already.
    pub(crate) async fn accept_ledger_key(
        &self,
        key: &str,
        because: &str,
        editor: &Editor,
    ) -> Result<LedgerKey, Problem> {
        let store = |error| store_problem(&error);
        let here = self.ledger_key();
        if here.as_deref() != Some(key) {
            let here = here.unwrap_or_else(|| "none".to_owned());
            return Err(Problem::new(
                ErrorCode::LedgerKey,
                format!("the key that is here is {here}, and not {key}"),
                "look into the folder keys of the data folder; start again after a key was put there",
            ));
        }
        let force = self.key_in_force().await.map_err(store)?;
        let Some(from) = force.filter(|force| force != key) else {
            return Ok(LedgerKey {
                key: key.to_owned(),
                replaced: None,
                record: None,
            });
        };
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "key".to_owned(),
        };
        let data = json!({ "from": from, "to": key, "because": because });
        let audit = AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            stream: stream_of(&self.settings.tenant),
            ..self.audit_of_fleet(REPLACED, target, "asked", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        let done = self.commit(commit).await.map_err(store)?;
        self.nudges.record.notify_one();
        Ok(LedgerKey {
            key: key.to_owned(),
            replaced: Some(from),
            record: done.audit_seqs.first().copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(of: &[Option<&str>]) -> Signers {
        let mut signers = Signers::default();
        for (signer, batch_no) in of.iter().zip(1..) {
            signers.read(&LedgerBatchRow {
                tenant_id: TenantId::default(),
                batch_no,
                first_entry: batch_no,
                last_entry: batch_no,
                time: jiff::Timestamp::UNIX_EPOCH,
                parent: None,
                commit: None,
                signer: signer.map(str::to_owned),
            });
        }
        signers
    }

    fn replaced(of: &[(&str, &str)]) -> Replacements {
        let one = |(from, to): &(&str, &str)| Replacement {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            words: String::new(),
        };
        Replacements(of.iter().map(one).collect())
    }

    #[test]
    fn a_key_is_good_from_the_record_on_that_puts_it_in_force() {
        let faults = |of: &[Option<&str>], records: &[(&str, &str)], here| {
            replaced(records).faults(&signers(of), Some(here)).len()
        };
        let (none, a, b, c) = (None, Some("a"), Some("b"), Some("c"));
        assert_eq!(faults(&[], &[], "a"), 0);
        assert_eq!(faults(&[none, none], &[], "a"), 0);
        assert_eq!(faults(&[none, a, a], &[], "a"), 0);
        assert_eq!(faults(&[a, none, a], &[], "a"), 1, "one is not signed");
        assert_eq!(faults(&[a, a], &[], "b"), 1, "another is here");
        assert_eq!(faults(&[a, b], &[], "b"), 1, "another has signed");
        assert_eq!(faults(&[a, b], &[], "a"), 2);
        assert_eq!(faults(&[a, b], &[("a", "b")], "b"), 0);
        assert_eq!(faults(&[a, a], &[("a", "b")], "b"), 0, "not signed yet");
        assert_eq!(faults(&[a, a], &[("a", "b")], "a"), 1, "put back unasked");
        assert_eq!(faults(&[a, c], &[("a", "b"), ("b", "c")], "c"), 0);
        assert_eq!(faults(&[a, b, a], &[("a", "b")], "b"), 1);
        assert_eq!(faults(&[a, b, a, b], &[("a", "b"), ("b", "a")], "b"), 2);
        assert_eq!(
            faults(&[b, a], &[("a", "b")], "b"),
            1,
            "the other way round"
        );
    }
}
