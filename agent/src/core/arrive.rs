//! Messages: opened, held against the trusted keys, and answered. Known attempts are answered from
//! memory and never run again.

use chiffon_bus::Reject;
use chiffon_common::{
    AttemptRef, Envelope, EnvelopeError, ErrorCode, ErrorMessage, Payload, Problem, ResultStatus,
    WorkCancel, WorkQuery, WorkRequest,
};
use serde_json::Map;

use super::{
    Core, Effect, Highest, KEEP, MAX_ATTEMPTS, MAX_EARLY_CANCELS, Meta, Moment, Plan, Record, Said,
    Token,
    attempt::{Attempt, Open, Stage},
    judge,
    run::cancelled_by_person,
};

/// A message whose signature was verified, and by whose key.
pub(super) struct Signed {
    pub(super) meta: Meta,
    pub(super) key: String,
    pub(super) made: jiff::Timestamp,
    pub(super) payload: Payload,
}

impl Core {
    pub(super) fn arrived(&mut self, token: Token, bytes: &[u8], at: Moment, plan: &mut Plan) {
        let opened = Envelope::from_bytes(bytes).and_then(|envelope| {
            let payload = envelope.open()?;
            Ok((envelope, payload))
        });
        let (envelope, payload) = match opened {
            Ok(opened) => opened,
            Err(error) => return undeliverable(token, None, malformed(&error), plan),
        };
        let meta = Meta {
            message: envelope.message_id,
            trace: envelope.trace_id,
            request: envelope.request_id,
        };
        if let Err(error) = envelope.verify(&self.me.keys) {
            let problem =
                judge::refused(&format!("the message is not signed as it must be: {error}"));
            return self.unsigned(token, meta, &payload, problem, at, plan);
        }
        let key = envelope
            .signature
            .map(|signature| signature.key)
            .unwrap_or_default();
        let signed = Signed {
            meta,
            key,
            made: envelope.timestamp,
            payload,
        };
        self.signed_arrived(token, signed, at, plan);
    }

    /// A message that somebody trusted has signed.
    pub(super) fn signed_arrived(
        &mut self,
        token: Token,
        signed: Signed,
        at: Moment,
        plan: &mut Plan,
    ) {
        let Signed {
            meta,
            key,
            made,
            payload,
        } = signed;
        self.clocks.learn(&key, made, at);
        let addressee = match &payload {
            Payload::Bundle(piece) => Some(&piece.agent),
            Payload::WorkCancel(cancel) => Some(&cancel.agent),
            Payload::WorkQuery(query) => Some(&query.agent),
            _ => None,
        };
        if addressee.is_some_and(|agent| *agent != self.me.agent) {
            let error = error_message(ErrorCode::SealRefused, "the message is for another agent");
            return undeliverable(token, Some(meta), error, plan);
        }
        match payload {
            Payload::WorkRequest(request) => {
                self.work_requested(meta, request, &key, at, plan);
                plan.effect(Effect::Ack(token));
            }
            Payload::WorkCancel(cancel) => {
                self.cancel_asked(&cancel, at, plan);
                plan.effect(Effect::Ack(token));
            }
            Payload::WorkQuery(query) => {
                self.queried(meta, &query, plan);
                plan.effect(Effect::Ack(token));
            }
            Payload::Bundle(piece) => match self.piece_came(&piece, at, plan) {
                Ok(()) => plan.effect(Effect::Ack(token)),
                Err(why) => {
                    let error = error_message(ErrorCode::MalformedMessage, &why);
                    undeliverable(token, Some(meta), error, plan);
                }
            },
            Payload::Request(_)
            | Payload::WorkStatus(_)
            | Payload::WorkResult(_)
            | Payload::Heartbeat(_)
            | Payload::Error(_) => {
                let error = error_message(
                    ErrorCode::MalformedMessage,
                    "an agent takes no message of this type",
                );
                undeliverable(token, Some(meta), error, plan);
            }
        }
    }

    /// Work that nobody trusted has signed is refused by a result, so that an orchestrator whose key is
    /// missing here learns it; but a forgery never speaks for an attempt that is known, and never
    /// raises the highest attempt.
    fn unsigned(
        &mut self,
        token: Token,
        meta: Meta,
        payload: &Payload,
        problem: Problem,
        at: Moment,
        plan: &mut Plan,
    ) {
        match payload {
            Payload::WorkRequest(request)
                if !self.attempts.contains_key(&request.attempt)
                    && self.attempts.len() < MAX_ATTEMPTS =>
            {
                self.refuse(meta, request.attempt, problem, at, plan);
                plan.effect(Effect::Ack(token));
            }
            _ => {
                let error = error_message(problem.code, &problem.detail);
                undeliverable(token, Some(meta), error, plan);
            }
        }
    }

    fn work_requested(
        &mut self,
        meta: Meta,
        request: Box<WorkRequest>,
        key: &str,
        at: Moment,
        plan: &mut Plan,
    ) {
        let attempt = request.attempt;
        if let Some(known) = self.attempts.get_mut(&attempt) {
            known.given_again(request.not_after);
            return self.tell(attempt, plan);
        }
        let reading = self.clocks.read(key, at, self.me.max_clock_skew);
        let judged = judge::judge_seal(&self.me, &request)
            .and_then(|()| judge::judge_time(&request, reading, at));
        if let Err(problem) = judged {
            return self.refuse(meta, attempt, problem, at, plan);
        }
        let seen = self
            .highest
            .get(&attempt.task_id)
            .map_or(0, |highest| highest.attempt);
        if attempt.attempt < seen {
            // Not journaled: a lower attempt is refused by the higher one for as long as that is kept.
            let problem = judge::stale(attempt.attempt, seen);
            let seq = self.seq_base + 1;
            let result =
                Box::new(self.bare_result(attempt, seq, ResultStatus::Refused, Some(problem)));
            return plan.effect(Effect::PublishResult { meta, result });
        }
        self.accept(meta, request, at, plan);
    }

    fn accept(&mut self, meta: Meta, request: Box<WorkRequest>, at: Moment, plan: &mut Plan) {
        let (attempt, digest) = (request.attempt, request.bundle);
        self.supersede(attempt, at, plan);
        plan.record(Record::Accepted {
            meta,
            request: request.clone(),
        });
        self.remember_accepted(meta, request);
        if self.early_cancels.remove(&attempt).is_some() {
            let problem = cancelled_by_person("it was cancelled before it came");
            return self.close_bare(attempt, ResultStatus::Cancelled, problem, at, plan);
        }
        plan.effect(Effect::LookForBundle(digest));
        self.say(attempt, Said::message("accepted"), plan);
    }

    /// The state after `Record::Accepted`; used by the recovery too.
    pub(super) fn remember_accepted(&mut self, meta: Meta, request: Box<WorkRequest>) {
        let attempt = request.attempt;
        let until = request
            .not_after
            .saturating_add(KEEP)
            .unwrap_or(request.not_after);
        self.raise_highest(attempt, until);
        let open = Open {
            meta,
            request,
            seq: self.seq_base,
            progress: 0,
            asked_again: 0,
            stage: Stage::Looking,
        };
        self.attempts.insert(attempt, Attempt::Open(open));
    }

    pub(super) fn raise_highest(&mut self, attempt: AttemptRef, until: jiff::Timestamp) {
        let raised = Highest {
            attempt: attempt.attempt,
            until,
        };
        let highest = self.highest.entry(attempt.task_id).or_insert(raised);
        if highest.attempt < raised.attempt {
            highest.attempt = raised.attempt;
        }
        highest.until = highest.until.max(until);
    }

    /// Lower attempts of the task that are still open give way.
    fn supersede(&mut self, by: AttemptRef, at: Moment, plan: &mut Plan) {
        let lower: Vec<AttemptRef> = self
            .open()
            .map(|(key, _)| key)
            .filter(|key| key.task_id == by.task_id && key.attempt < by.attempt)
            .collect();
        for attempt in lower {
            let started = self
                .open_mut(attempt)
                .is_some_and(|open| open.stage.has_started());
            if started {
                self.stop(attempt, crate::worker::StopReason::Cancelled, at, plan);
            } else {
                let problem = judge::stale(attempt.attempt, by.attempt);
                self.close_bare(attempt, ResultStatus::Refused, problem, at, plan);
            }
        }
    }

    fn cancel_asked(&mut self, cancel: &WorkCancel, at: Moment, plan: &mut Plan) {
        let attempt = cancel.attempt;
        match self.attempts.get(&attempt) {
            Some(Attempt::Ended(_)) => self.tell(attempt, plan),
            Some(Attempt::Open(open)) if open.stage.has_started() => {
                self.stop(attempt, crate::worker::StopReason::Cancelled, at, plan);
            }
            Some(Attempt::Open(_)) => {
                let problem = cancelled_by_person("it was cancelled before it started");
                self.close_bare(attempt, ResultStatus::Cancelled, problem, at, plan);
            }
            None if self.clocks.latest(at) > cancel.not_after => {}
            None if self.early_cancels.len() >= MAX_EARLY_CANCELS => {}
            None => {
                let not_after = cancel.not_after;
                if self.early_cancels.insert(attempt, not_after) != Some(not_after) {
                    plan.record(Record::CancelledEarly { attempt, not_after });
                }
            }
        }
    }

    fn queried(&mut self, meta: Meta, query: &WorkQuery, plan: &mut Plan) {
        if self.attempts.contains_key(&query.attempt) {
            self.tell(query.attempt, plan);
        } else {
            self.never_seen(query.attempt, meta, plan);
        }
    }

    /// What is known of an attempt: its result, or how far it is.
    fn tell(&mut self, attempt: AttemptRef, plan: &mut Plan) {
        match self.attempts.get(&attempt) {
            Some(Attempt::Ended(closed)) => plan.effect(Effect::PublishResult {
                meta: closed.meta,
                result: closed.result.clone(),
            }),
            Some(Attempt::Open(_)) => self.say(attempt, Said::default(), plan),
            None => {}
        }
    }
}

fn undeliverable(token: Token, meta: Option<Meta>, error: ErrorMessage, plan: &mut Plan) {
    plan.effect(Effect::PublishError { meta, error });
    plan.effect(Effect::Reject(token, Reject::DeadLetter));
}

fn error_message(code: ErrorCode, message: &str) -> ErrorMessage {
    // A hostile message may come back in its own error text.
    let message = chiffon_common::visible(&message.chars().take(500).collect::<String>());
    ErrorMessage {
        code: code.number(),
        message,
        details: Map::new(),
    }
}

fn malformed(error: &EnvelopeError) -> ErrorMessage {
    let code = match error {
        EnvelopeError::TooLarge { .. } => ErrorCode::TooLarge,
        EnvelopeError::Version(_) => ErrorCode::UnknownVersion,
        EnvelopeError::Malformed(_)
        | EnvelopeError::Type(_)
        | EnvelopeError::Payload { .. }
        | EnvelopeError::Canonical(_) => ErrorCode::MalformedMessage,
        EnvelopeError::Signature(_) => ErrorCode::SealRefused,
    };
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    error_message(code, &format!("{error}{}", source.unwrap_or_default()))
}
