//! How an attempt gets its one result: by the worker's word, or without it.

use chiffon_common::{AttemptRef, Problem, ResourceUsage, ResultStatus, WorkResult};

use super::{
    Core, Effect, Meta, Moment, Plan, Record,
    attempt::{Attempt, Closed},
    fit,
};

impl Core {
    /// A result without a run.
    pub(super) fn bare_result(
        &self,
        attempt: AttemptRef,
        seq: u64,
        status: ResultStatus,
        error: Option<Problem>,
    ) -> WorkResult {
        WorkResult {
            attempt,
            agent: self.me.agent.clone(),
            incarnation: self.me.incarnation,
            seq,
            status,
            output: String::new(),
            duration_seconds: 0.0,
            resource_usage: ResourceUsage::default(),
            hosts: std::collections::BTreeMap::new(),
            diff: None,
            error,
            isolation: String::new(),
            done_before: None,
        }
    }

    /// Refuses an attempt that is not known yet, and remembers it, so that it never runs here later.
    pub(super) fn refuse(
        &mut self,
        meta: Meta,
        attempt: AttemptRef,
        problem: Problem,
        at: Moment,
        plan: &mut Plan,
    ) {
        let seq = self.seq_base + 1;
        let result = self.bare_result(attempt, seq, ResultStatus::Refused, Some(problem));
        self.finish(meta, result, at, plan);
    }

    /// Ends an open attempt that has no word from a worker.
    pub(super) fn close_bare(
        &mut self,
        attempt: AttemptRef,
        status: ResultStatus,
        problem: Problem,
        at: Moment,
        plan: &mut Plan,
    ) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        let (seq, meta) = (open.seq + 1, open.meta);
        let result = self.bare_result(attempt, seq, status, Some(problem));
        self.finish(meta, result, at, plan);
    }

    /// The end: into the journal, then out until it is confirmed.
    pub(super) fn finish(&mut self, meta: Meta, result: WorkResult, at: Moment, plan: &mut Plan) {
        let result = Box::new(fit::fit(result));
        let not_after = match self.attempts.get(&result.attempt) {
            Some(Attempt::Open(open)) => Some(open.request.not_after),
            Some(Attempt::Ended(_)) | None => None,
        };
        plan.record(Record::Ended {
            meta,
            at: at.now,
            not_after,
            result: result.clone(),
        });
        plan.effect(Effect::PublishResult {
            meta,
            result: result.clone(),
        });
        self.remember_ended(meta, at.now, not_after, result);
    }

    /// The state after `Record::Ended`; used by the recovery too.
    pub(super) fn remember_ended(
        &mut self,
        meta: Meta,
        at: jiff::Timestamp,
        not_after: Option<jiff::Timestamp>,
        result: Box<WorkResult>,
    ) {
        let closed = Closed {
            meta,
            at,
            not_after,
            confirmed: false,
            result,
        };
        self.attempts
            .insert(closed.result.attempt, Attempt::Ended(closed));
    }

    pub(super) fn confirmed(&mut self, attempt: AttemptRef, plan: &mut Plan) {
        if self.remember_confirmed(attempt) {
            plan.record(Record::Confirmed { attempt });
        }
    }

    /// The state after `Record::Confirmed`; whether it is news.
    pub(super) fn remember_confirmed(&mut self, attempt: AttemptRef) -> bool {
        match self.attempts.get_mut(&attempt) {
            Some(Attempt::Ended(closed)) if !closed.confirmed => {
                closed.confirmed = true;
                fit::shorten_for_keeping(&mut closed.result);
                true
            }
            _ => false,
        }
    }
}
