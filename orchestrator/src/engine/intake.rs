//! The one way in: whatever came, from wherever, becomes an event, is judged, and is durable before it is
//! answered (DESIGN sections 4.1 and 4.2).

use chiffon_arbiter::{
    Answering, Case, Judged, Judgement, Led, ProofError, Refusal, Run, TenantState, process,
    process_answer, wordless_event,
};
use chiffon_authorizer::Crowded;
use chiffon_common::{
    Action, AuthZRequest, CanonicalError, Digest, Event, EventError, ReasonCode, RequestId,
    ResponsePlan, TraceId,
};
use chiffon_store::{Commit, Error, EventRow, Write};

use super::closing::RESULT;
use super::{
    AdvanceError, Advanced, Along, Fate, Fired, KeyClaim, Shared,
    arrived::{Answer, accepted},
    authorise::Word,
    judged::{answer, prior},
    room::Open,
    rows,
};

/// Rounds against others who bring the same event or open the same room at the same time.
const ROUNDS: usize = 8;

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The request it became, now or the first time.
    pub(crate) request: Option<RequestId>,
    /// The stored answer.
    pub(crate) plan: ResponsePlan,
    /// Whether it was taken before.
    pub(crate) is_repeated: bool,
}

/// An event on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// What was said.
    pub(crate) event: Event,
    /// The trace that all of it belongs to.
    pub(crate) trace: TraceId,
    /// The key under which the answer is kept.
    pub(crate) claim: Option<KeyClaim>,
    /// Who brought it.
    pub(crate) way: Way,
    /// The schedule that asks, where nobody does by hand.
    pub(crate) schedule: Option<Box<Fired>>,
}

/// Who brings an event, and what follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// This program, for a principal that it knows, by its own clock.
    Own,
    /// An adapter of a room, whose clock the event's time is, and who says who the actor is.
    Adapter,
    /// The same from the bus, by which nothing is approved or stopped.
    Bus,
}

impl Incoming {
    /// Whether who brings it is told to come again, instead of a stored answer that nothing is done: everybody but an
    /// adapter, which says what its answer was. A schedule comes again only where nobody has decided: while load turns it
    /// away, its time passes.
    fn comes_again(&self, code: ReasonCode) -> bool {
        let is_due = |fired: &Fired| fired.scheduled().due_at.is_some();
        let passes = self.schedule.as_deref().is_some_and(is_due) && !is_undecided(code);
        self.way == Way::Own && opens_again(code) && !passes
    }
}

/// What one judgement of an event came to.
enum Round {
    Over(Intake),
    /// The authoriser is to be asked, and the event judged again with its word.
    Ask(Box<AuthZRequest>),
    /// Somebody else was faster; the answer that was refused, where one was.
    Again(Option<Refusal>),
}

/// A judgement, and what it went by.
struct Verdict<'w> {
    judged: Judgement,
    answering: Option<Answering>,
    /// The authoriser's word, where it was needed.
    by: Option<&'w Word>,
    /// The question that is answered.
    open: Option<Open>,
}

/// Why an event was not taken. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error(transparent)]
    Malformed(EventError),
    /// A name that is kept for Chiffon itself: which field, and what it may not do.
    #[error("{field} may not {not}, which Chiffon keeps for itself")]
    Reserved {
        field: &'static str,
        not: &'static str,
    },
    #[error("the control plane takes no work (control.jobs)")]
    NoWork,
    #[error("a yes or no is no work")]
    AnswersNothing,
    #[error("the same id was used for another event")]
    Conflict,
    #[error(transparent)]
    Unanswered(#[from] Box<AdvanceError>),
    #[error("the answer was refused")]
    Refused(Refusal),
    #[error("a gate is shut")]
    Shut(ReasonCode),
    #[error("nothing waits for this result")]
    Unasked(ReasonCode),
    #[error(transparent)]
    Crowded(#[from] Crowded),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("event has no canonical form")]
    Canonical(#[from] CanonicalError),
    #[error("event cannot be stored")]
    Unwritable(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Shared {
    /// Takes an event. When this returns, the answer is durable.
    pub(crate) async fn intake(&self, mut incoming: Incoming) -> Result<Intake, IntakeError> {
        if incoming.event.event_id.as_str().starts_with(RESULT) {
            return Err(IntakeError::Reserved {
                field: "event_id",
                not: "begin with `result:`",
            });
        }
        let (mut word, mut refused, mut alone) = (None, None, None);
        for _round in 0..ROUNDS {
            match self.round(&mut incoming, word.as_ref()).await? {
                Round::Over(intake) => return Ok(intake),
                Round::Ask(question) => {
                    if alone.is_none() {
                        alone = self.alone_on(&question).await?;
                        // It may be answered by now.
                        if alone.as_ref().is_some_and(|alone| alone.waited) {
                            continue;
                        }
                    }
                    word = Some(self.word_on(*question).await?);
                }
                Round::Again(refusal) => refused = refusal.or(refused),
            }
        }
        Err(match refused {
            Some(refusal) => IntakeError::Refused(refusal),
            None => IntakeError::Store(Error::Conflict {
                what: format!("event {}", incoming.event.event_id),
            }),
        })
    }

    /// Judges an event once, by what is stored now. No authoriser is waited for here: others wait for this turn.
    async fn round(
        &self,
        incoming: &mut Incoming,
        word: Option<&Word>,
    ) -> Result<Round, IntakeError> {
        let _turn = match self.settings.policy.counts() {
            true => Some(self.gate_turn.lock().await),
            false => None,
        };
        let event = &mut incoming.event;
        let stored = self.store.event(&event.tenant_id, &event.event_id).await?;
        if let Some(stored) = &stored {
            // The time is our own clock's, not part of what was asked.
            if incoming.way == Way::Own {
                event.ts = serde_json::from_value::<Event>(stored.event.clone())?.ts;
            }
        }
        if stored.is_none() {
            self.asks_for_work(incoming)?;
        }
        let event = &incoming.event;
        let prior = stored.as_ref().map(prior).transpose()?;
        let places = self.places(&event.tenant_id, &event.room_id).await?;
        let now = self.clock.now();
        let case = Case {
            event,
            prior: prior.as_ref(),
            room: &places.room_state,
            tenant: &places.tenant_state,
            policy: &self.settings.policy,
            authorisation: None,
            now,
        };
        let Verdict {
            judged,
            answering,
            by,
            open,
        } = self.judged(&case, incoming.way, word).await?;
        let (plan, stages, room, tenant) = match judged {
            Judgement::NeedsAuthorisation(question) => return Ok(Round::Ask(question)),
            Judgement::Malformed(error) => return Err(IntakeError::Malformed(error)),
            Judgement::Conflict => return Err(IntakeError::Conflict),
            Judgement::Repeated { plan } => {
                return Ok(Round::Over(Intake {
                    request: stored.and_then(|stored| stored.request_id),
                    plan,
                    is_repeated: true,
                }));
            }
            Judgement::Fresh {
                plan,
                stages,
                room,
                tenant,
            } => (plan, stages, room, tenant),
        };
        if incoming.comes_again(plan.reason_code) {
            return Err(IntakeError::Shut(plan.reason_code));
        }
        let read = places.tenant_state.as_read(plan.plan_id, now);
        let led_to = Led {
            answer: answer(&plan)?,
            room: room.clone(),
            tenant: TenantState::left_as_read(tenant.as_ref(), &read, plan.plan_id, now),
            ..Led::default()
        };
        let judged = Judged::Event {
            event: Box::new(wordless_event(&incoming.event)),
            body: Digest::of_value(&incoming.event)?,
            room: places.room_state.clone(),
            tenant: read,
            authorisation: by.map(|word| word.said.clone()),
            answering,
        };
        let fresh = Answer {
            plan: &plan,
            stages: &stages,
            recorded: self.recorded(judged, led_to, now)?,
        };
        let moved = self.moves_of(&incoming.event, &places, room, tenant)?;
        let stored = self.store_answer(incoming, fresh, moved, open).await;
        self.after_storing(stored, plan)
    }

    /// Whoever asks Chiffon itself wants work and nothing else. Where that cannot be, nothing is judged: a text that nobody
    /// makes would hold the room.
    fn asks_for_work(&self, incoming: &Incoming) -> Result<(), IntakeError> {
        if incoming.way != Way::Own {
            return Ok(());
        }
        if !self.settings.policy.jobs {
            return Err(IntakeError::NoWork);
        }
        let content = &incoming.event.content;
        let is_sentence = content.kind == "text" && incoming.schedule.is_none();
        let is_word = || is_a_word(&content.text);
        match is_sentence && is_word() {
            true => Err(IntakeError::AnswersNothing),
            false => Ok(()),
        }
    }

    fn after_storing(
        &self,
        stored: Result<Option<RequestId>, IntakeError>,
        plan: ResponsePlan,
    ) -> Result<Round, IntakeError> {
        match stored {
            // Answered by somebody else meanwhile, or by this very event: it is looked at again.
            Err(IntakeError::Refused(refusal)) => Ok(Round::Again(Some(refusal))),
            Err(IntakeError::Store(Error::Conflict { .. })) => Ok(Round::Again(None)),
            Err(error) => Err(error),
            Ok(request) => {
                self.policy_is_told();
                self.nudges.asked.notify_one();
                if let Some(request) = request {
                    self.care_for(request);
                }
                Ok(Round::Over(Intake {
                    request,
                    plan,
                    is_repeated: false,
                }))
            }
        }
    }

    /// What becomes of an event, and the question that it answers, where it does.
    async fn judged<'w>(
        &self,
        case: &Case<'_>,
        way: Way,
        word: Option<&'w Word>,
    ) -> Result<Verdict<'w>, IntakeError> {
        let asked = match way {
            _ if case.prior.is_some() => None,
            Way::Own => None,
            Way::Adapter => self.asked_in_room(case.event).await?,
            Way::Bus => self.said_on_bus(case.event),
        };
        let judge = |case: &Case<'_>| match &asked {
            Some(asked) => process_answer(case, &asked.answering),
            None => process(case),
        };
        let mut judged = judge(case)?;
        let by = match &judged {
            Judgement::NeedsAuthorisation(question) => word.filter(|word| word.is_on(question)),
            _ => None,
        };
        if let Some(word) = by {
            judged = judge(&Case {
                authorisation: Some(&word.said),
                ..*case
            })?;
        }
        let answers = |plan: &ResponsePlan| {
            let code = plan.reason_code;
            matches!(code, ReasonCode::Approved | ReasonCode::Rejected)
        };
        let is_answer = matches!(&judged, Judgement::Fresh { plan, .. } if answers(plan));
        let open = asked.as_ref().and_then(|asked| asked.open);
        Ok(Verdict {
            judged,
            answering: asked.map(|asked| asked.answering),
            by,
            open: open.filter(|_| is_answer),
        })
    }

    async fn store_answer(
        &self,
        incoming: &Incoming,
        fresh: Answer<'_>,
        moved: Vec<Write>,
        open: Option<Open>,
    ) -> Result<Option<RequestId>, IntakeError> {
        let now = self.clock.now();
        let event = &incoming.event;
        let plan = fresh.plan;
        let wants_work = plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::StartAgentJob { .. }));
        let new = wants_work.then(|| self.new_run(incoming));
        let limits = &self.settings.lifecycles;
        let run = new.clone().map(|new| Run::received(new, now, limits));
        let request = run.as_ref().map(|run| run.request.request_id);
        let mut writes = vec![Write::Event(EventRow {
            tenant_id: event.tenant_id.clone(),
            event_id: event.event_id.clone(),
            body: Digest::of_value(event)?,
            request_id: request,
            created_at: now,
            event: serde_json::to_value(event)?,
            plan: serde_json::to_value(plan)?,
        })];
        writes.extend(moved);
        writes.extend(self.project_of(event).await?);
        if let Some(run) = &run {
            writes.extend(rows::writes(None, &rows::Versions::default(), run, now)?);
        }
        if let (Some(new), Some(run)) = (new, &run) {
            writes.push(self.told_of_new(new, run)?);
        }
        let mut audit = vec![self.audit_of_answer(incoming, fresh, run.as_ref())?];
        if let Some(fired) = &incoming.schedule {
            let fate = request.map_or(Fate::Refused(plan.reason_code), Fate::Asked);
            let (write, records) = self.schedule_parts(fired, fate)?;
            writes.push(write);
            audit.extend(records);
        }
        if let Some(open) = open {
            let along = Along { writes, audit };
            return match self.answer_in_room(open, incoming, along).await? {
                Advanced::Refused(refusal) => Err(IntakeError::Refused(refusal)),
                Advanced::Moved | Advanced::HandledBefore => Ok(None),
            };
        }
        let idempotency = match (&incoming.claim, request) {
            (Some(claim), Some(request)) => Some(claim.with(&accepted(request)?, now)?),
            _ => None,
        };
        let commit = Commit {
            tenant_id: event.tenant_id.clone(),
            idempotency,
            writes,
            audit,
            ..Commit::default()
        };
        chiffon_failpoint::hit!("intake.commit.before");
        self.commit(commit).await?;
        chiffon_failpoint::hit!("intake.commit.after");
        if let Some(request) = request {
            self.changed(request);
            self.nudges.planning.notify_one();
        }
        Ok(request)
    }
}

/// Whether a text says yes or no and asks for nothing.
fn is_a_word(text: &str) -> bool {
    use chiffon_arbiter::Word;
    Word::of(text).or(Word::meant(text)).is_some()
}

/// Whether there is no decision of the authoriser.
const fn is_undecided(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::AuthzUnavailable | ReasonCode::AuthzUnreadable
    )
}

/// Whether it is a gate that is shut now and opens again, or an authoriser that will answer again.
const fn opens_again(code: ReasonCode) -> bool {
    is_undecided(code)
        || matches!(
            code,
            ReasonCode::GeneratingLock
                | ReasonCode::Cooldown
                | ReasonCode::Backpressure
                | ReasonCode::RateLimited
        )
}
