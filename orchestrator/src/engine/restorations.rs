//! What was put back of the ledger, told to whoever verifies. Each time it is put back has its record in the chain
//! (`heal`), and is a fault of the first verification that reads that record, whoever healed when; a second record says to
//! whom it was told, and from then on it is a note. So nobody damages the ledger unheard, and no race decides who hears it.

use std::{sync::PoisonError, time::Duration};

use chiffon_common::{AuditEntry, AuditRecord, Subject, visible};
use chiffon_store::{Commit, Error};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Editor, Shared};
use crate::ledger::LedgerError;

/// The action of the record of one that is put back.
pub(super) const RESTORED: &str = "ledger.restored";
/// The action of the record of who was told of it.
const TOLD: &str = "ledger.restoration_told";
/// So many of the newest ones that were told before are told again as notes.
const NOTED: usize = 5;
/// How long the scribe may take to make a damaged ledger anew until it is told the next time instead.
const HEALING: Duration = Duration::from_secs(30);

/// Those that the chain knows, in its order.
#[derive(Debug, Default)]
pub(super) struct Restorations(Vec<Restoration>);

#[derive(Debug)]
struct Restoration {
    seq: u64,
    at: Timestamp,
    how: String,
    /// The record by which it was told, and whom.
    told: Option<(u64, String)>,
}

impl Restorations {
    /// Takes in the next record of the chain.
    pub(super) fn read(&mut self, seq: u64, record: &AuditRecord) {
        let entry = &record.entry;
        match entry.action.as_str() {
            RESTORED => self.0.push(Restoration {
                seq,
                at: entry.ts,
                how: how(&entry.data),
                told: None,
            }),
            TOLD => {
                let up_to = entry.data["up_to"].as_u64().unwrap_or(0);
                let of_it = self.0.iter_mut().filter(|one| one.seq <= up_to);
                for one in of_it.filter(|one| one.told.is_none()) {
                    one.told = Some((seq, entry.actor.id.clone()));
                }
            }
            _ => {}
        }
    }

    /// The number of the last one that was told to nobody.
    pub(super) fn last_untold(&self) -> Option<u64> {
        let untold = self.0.iter().rev().find(|one| one.told.is_none());
        untold.map(|one| one.seq)
    }

    /// Those that were told to nobody, in words.
    pub(super) fn untold(&self) -> Vec<String> {
        let untold = self.0.iter().filter(|one| one.told.is_none());
        untold
            .map(|one| {
                format!(
                    "record {}: the ledger was not as it was left, and was put back from the database at {} ({}); \
                     find out who touched it. This is told once",
                    one.seq, one.at, one.how
                )
            })
            .collect()
    }

    /// The newest that were told before, in words.
    pub(super) fn told(&self) -> Vec<String> {
        let told = self
            .0
            .iter()
            .filter_map(|one| Some((one, one.told.as_ref()?)));
        let told: Vec<_> = told.collect();
        let older = told.len().saturating_sub(NOTED);
        let mut words = Vec::new();
        if older > 0 {
            words.push(format!("the ledger was put back {older} more times before"));
        }
        words.extend(told.iter().skip(older).map(|(one, (seq, whom))| {
            format!(
                "the ledger was put back from the database at {} by record {} ({}); {} was told by record {seq}",
                one.at,
                one.seq,
                one.how,
                visible(whom)
            )
        }));
        words
    }
}

/// What a record of one says of it.
fn how(data: &Value) -> String {
    let text = |name: &str| data[name].as_str();
    let from = text("from").map_or("main was gone".to_owned(), |from| {
        format!("main was at {from}")
    });
    let to = text("to").map_or(String::new(), |to| format!(", it is at {to}"));
    let because = text("because").unwrap_or("no reason is recorded");
    let aside = text("aside").map_or(String::new(), |aside| {
        format!("; the damaged one lies in {aside}")
    });
    visible(&format!("{from}{to}; {because}{aside}"))
}

impl Shared {
    /// Has a damaged ledger made anew, unless it was since it was put back so often, and waits a while for that.
    pub(super) async fn have_made_anew(&self, damage: LedgerError, times: u64) {
        let mut rounds = self.ledger_rounds.subscribe();
        if self.ledger_turn.lock().await.times != times {
            return;
        }
        let mut round = *rounds.borrow_and_update();
        self.ledger_is_damaged(damage);
        let made = async {
            loop {
                if rounds.wait_for(|now| *now > round).await.is_err() {
                    return;
                }
                round = *rounds.borrow_and_update();
                let waits = self.ledger_damage.lock();
                // Otherwise that round had begun before it heard of it.
                if waits.unwrap_or_else(PoisonError::into_inner).is_none() {
                    return;
                }
            }
        };
        let _told_the_next_time = tokio::time::timeout(HEALING, made).await;
    }

    /// Records that somebody was told of all that was put back up to a record.
    pub(super) async fn record_told(&self, up_to: u64, editor: &Editor) -> Result<(), Error> {
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "main".to_owned(),
        };
        let data = json!({ "up_to": up_to });
        let audit = AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            ..self.audit_of_fleet(TOLD, target, "verified", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
    }
}
