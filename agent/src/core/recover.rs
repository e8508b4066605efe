//! From a journal back to memory, and from memory to a shorter journal.

use std::collections::{BTreeMap, VecDeque};

use chiffon_common::AttemptRef;

use super::{
    Core, Effect, Highest, Identity, Moment, OrchestratorClocks, Plan, Record,
    attempt::{Attempt, Stage, SweepCause},
    bundles::Assemblies,
};

/// Room for the sequence numbers of one start: 2^32 statuses, and 2^21 starts stay exact in JSON.
const SEQ_SHIFT: u32 = 32;

/// Why a journal may know less than it once did. A record is on the disk before its effect; but a disk can lose what
/// it had kept, and a run must not be begun again because the word that it had begun is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubt {
    /// The last record was torn: it may have been any word about any attempt.
    pub(crate) is_torn: bool,
    /// Attempts that have left a folder, which is made when a run begins.
    pub(crate) begun: Vec<AttemptRef>,
}

impl Doubt {
    fn is_of(&self, attempt: AttemptRef) -> bool {
        self.is_torn || self.begun.contains(&attempt)
    }
}

impl Core {
    /// Memory after these records, and what must be done now: sweep what had started or may have, look for the
    /// bundles of what had not, publish what was not confirmed.
    pub(crate) fn recover(
        me: Identity,
        slots: usize,
        history: Vec<Record>,
        doubt: &Doubt,
        at: Moment,
    ) -> (Self, Plan) {
        let mut core = Self {
            me,
            slots,
            draining: false,
            attempts: BTreeMap::new(),
            waiting: VecDeque::new(),
            highest: BTreeMap::new(),
            early_cancels: BTreeMap::new(),
            clocks: OrchestratorClocks::default(),
            assemblies: Assemblies::default(),
            seq_base: 0,
            pruned: None,
        };
        let mut boots = 0;
        let forgets_starts = chiffon_failpoint::mutant!("rerun-interrupted");
        for record in history {
            if !(forgets_starts && matches!(record, Record::Started { .. })) {
                core.replay(record, &mut boots);
            }
        }
        boots += 1;
        core.seq_base = boots << SEQ_SHIFT;
        core.forget_old(at);
        if !forgets_starts {
            core.doubt(doubt);
        }
        let mut plan = Plan::default();
        plan.record(Record::Boot { number: boots });
        core.resume(&mut plan);
        (core, plan)
    }

    fn replay(&mut self, record: Record, boots: &mut u64) {
        match record {
            Record::Life { .. } => {}
            Record::Boot { number } => *boots = number.max(*boots),
            Record::Accepted { meta, request } => {
                self.early_cancels.remove(&request.attempt);
                self.remember_accepted(meta, request);
            }
            Record::Started { attempt } => {
                if let Some(open) = self.open_mut(attempt) {
                    open.stage = Stage::Sweeping(SweepCause::Restarted);
                }
            }
            Record::Ended {
                meta,
                at,
                not_after,
                result,
            } => self.remember_ended(meta, at, not_after, result),
            Record::Confirmed { attempt } => {
                self.remember_confirmed(attempt);
            }
            Record::CancelledEarly { attempt, not_after } => {
                self.early_cancels.insert(attempt, not_after);
            }
            Record::Highest {
                task,
                attempt,
                until,
            } => {
                let attempt = chiffon_common::AttemptRef {
                    task_id: task,
                    attempt,
                };
                self.raise_highest(attempt, until);
            }
        }
    }

    fn doubt(&mut self, doubt: &Doubt) {
        for (key, attempt) in &mut self.attempts {
            if let Attempt::Open(open) = attempt
                && !open.stage.has_started()
                && doubt.is_of(*key)
            {
                tracing::warn!(task.id = %key.task_id, attempt = key.attempt, "the journal does not say that this run had begun, and it may have: it counts as begun");
                open.stage = Stage::Sweeping(SweepCause::Restarted);
            }
        }
    }

    fn resume(&mut self, plan: &mut Plan) {
        let base = self.seq_base;
        let mut digests = Vec::new();
        for (key, attempt) in &mut self.attempts {
            match attempt {
                Attempt::Ended(closed) if closed.confirmed => {}
                Attempt::Ended(closed) => plan.effect(Effect::PublishResult {
                    meta: closed.meta,
                    result: closed.result.clone(),
                }),
                Attempt::Open(open) => {
                    open.seq = base;
                    if open.stage.has_started() {
                        plan.effect(Effect::Sweep(*key));
                    } else {
                        digests.push(open.request.bundle);
                    }
                }
            }
        }
        digests.sort_unstable();
        digests.dedup();
        for digest in digests {
            plan.effect(Effect::LookForBundle(digest));
        }
    }

    /// Everything that must outlive a compaction, after the first record.
    pub(crate) fn snapshot(&mut self, at: Moment) -> Vec<Record> {
        self.forget_old(at);
        let mut records = vec![Record::Boot {
            number: self.seq_base >> SEQ_SHIFT,
        }];
        for (task, Highest { attempt, until }) in &self.highest {
            records.push(Record::Highest {
                task: *task,
                attempt: *attempt,
                until: *until,
            });
        }
        for (attempt, not_after) in &self.early_cancels {
            records.push(Record::CancelledEarly {
                attempt: *attempt,
                not_after: *not_after,
            });
        }
        for (key, attempt) in &self.attempts {
            match attempt {
                Attempt::Open(open) => {
                    records.push(Record::Accepted {
                        meta: open.meta,
                        request: open.request.clone(),
                    });
                    if open.stage.has_started() {
                        records.push(Record::Started { attempt: *key });
                    }
                }
                Attempt::Ended(closed) => {
                    records.push(Record::Ended {
                        meta: closed.meta,
                        at: closed.at,
                        not_after: closed.not_after,
                        result: closed.result.clone(),
                    });
                    if closed.confirmed {
                        records.push(Record::Confirmed { attempt: *key });
                    }
                }
            }
        }
        records
    }
}
