//! `POST /v0/events`: an event becomes a response plan.

use std::borrow::Cow;

use chiffon_arbiter::{
    Authorisation, Case, Judgement, StageRecord, TenantState, plan_id_of, process,
};
use chiffon_authorizer::Crowded;
use chiffon_common::{
    AuthZRequest, Digest, ErrorCode, Event, Problem, ReasonCode, ResponsePlan, TraceId,
    read_contract,
};
use chiffon_store::{ControlCommit, ControlKey, ControlKind, Loaded};
use jiff::Timestamp;

use super::{
    About, Arbiter, Refused, Said, TRIES, Turn, by_rule, crowded, first_action, json, malformed,
    prior, repeated,
};
use crate::{
    audit::Place,
    record::{self, Judged, Kind, Next, Record},
    states,
};

/// What a turn came to.
enum Step {
    Over(Turn),
    Ask(Box<AuthZRequest>),
    /// Somebody else moved the room or tenant.
    Again,
}

/// What an event's turns go by.
struct Asked<'a> {
    event: &'a Event,
    body: Digest,
    word: Option<Authorisation>,
    trace_id: Option<TraceId>,
}

impl Arbiter {
    /// Judges an event from its bytes.
    pub(crate) async fn event(&self, bytes: &[u8], trace_id: Option<TraceId>) -> Said {
        let event: Event = match read_contract(bytes) {
            Ok(event) => event,
            Err(error) => return self.unread(Kind::Event, &error, trace_id).await,
        };
        let body = Digest::of_value(&event)?;
        let mut place = Some(self.place().await?);
        let mut asked = Asked {
            event: &event,
            body,
            word: None,
            trace_id,
        };
        match self.event_turns(&mut asked, &mut place).await {
            Ok(turn) => self.settled(turn).await,
            Err(refused) => {
                let about = About {
                    tenant_id: Some(&event.tenant_id),
                    room_id: Some(&event.room_id),
                    correlation_id: Some(plan_id_of(&event.tenant_id, &event.event_id)),
                    trace_id,
                    ..About::nothing(Kind::Event)
                };
                self.turned_away(about, refused, place).await
            }
        }
    }

    async fn event_turns(
        &self,
        asked: &mut Asked<'_>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Turn, Refused> {
        // Held until the answer is stored.
        let mut alone = None;
        for _ in 0..TRIES {
            let question = match self.event_turn(asked, place).await? {
                Step::Over(turn) => return Ok(turn),
                Step::Ask(question) => question,
                Step::Again => continue,
            };
            // A policy that asks one comes with one.
            let Some(authorizer) = &self.authorizer else {
                asked.word = Some(Authorisation::Unavailable);
                continue;
            };
            if alone.is_none() {
                let got = self.asking(authorizer.alone(&question)).await?;
                let waited = got.waited;
                alone = Some(got);
                // Its answer may be there by now.
                if waited {
                    continue;
                }
            }
            asked.word = Some(self.asking(authorizer.ask(&question)).await?);
        }
        Err(crowded())
    }

    /// Waits for the authoriser, and for nothing once this process ends.
    async fn asking<T>(
        &self,
        asking: impl Future<Output = Result<T, Crowded>>,
    ) -> Result<T, Refused> {
        let Some(asked) = self.ending.run_until_cancelled(asking).await else {
            let detail = "the arbiter is shutting down";
            return Err(Problem::new(ErrorCode::ShuttingDown, detail, "send it again").into());
        };
        asked.map_err(|crowded| {
            let todo = "send it again later; the authoriser is slow";
            Problem::new(ErrorCode::Overloaded, crowded.to_string(), todo).into()
        })
    }

    async fn event_turn(
        &self,
        asked: &Asked<'_>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Step, Refused> {
        let event = asked.event;
        let _turn = self.turns.of(&event.tenant_id).await?;
        let key = ControlKey {
            tenant_id: event.tenant_id.clone(),
            kind: ControlKind::Event,
            id: event.event_id.to_string(),
        };
        let loaded = self.store.load(&key, Some(&event.room_id)).await?;
        let prior = prior(&loaded)?;
        let room = states::read(loaded.room.as_ref())?;
        let tenant: TenantState = states::read(loaded.tenant.as_ref())?;
        let now = Self::now();
        let judged = process(&Case {
            event,
            prior: prior.as_ref(),
            room: &room,
            tenant: &tenant,
            policy: &self.policy,
            authorisation: asked.word.as_ref(),
            now,
        })?;
        let about = About {
            tenant_id: Some(&event.tenant_id),
            room_id: Some(&event.room_id),
            correlation_id: prior.as_ref().map(|prior| prior.plan.plan_id),
            trace_id: asked.trace_id,
            ..About::nothing(Kind::Event)
        };
        let (plan, stages, next) = match judged {
            Judgement::NeedsAuthorisation(question) => return Ok(Step::Ask(question)),
            Judgement::Malformed(error) => {
                return Ok(Step::Over(self.note(
                    about,
                    Err(malformed(&error, "/content/text")),
                    place,
                )?));
            }
            Judgement::Conflict => {
                let said = Err(by_rule(ReasonCode::IdConflict, "event_id"));
                return Ok(Step::Over(self.note(about, said, place)?));
            }
            Judgement::Repeated { plan } => {
                let about = About {
                    action: first_action(&plan),
                    ..about
                };
                return Ok(Step::Over(self.note(about, repeated(&loaded), place)?));
            }
            Judgement::Fresh {
                plan,
                stages,
                room,
                tenant,
            } => (
                plan,
                stages,
                Next {
                    room: room.map(Cow::Owned),
                    tenant: tenant.map(Cow::Owned),
                },
            ),
        };
        let commit = self.event_commit(key, asked, &plan, (&loaded, &next), now)?;
        let tenant = tenant.as_read(plan.plan_id, now);
        let judged = Judged::Event {
            event: Cow::Borrowed(event),
            room: Cow::Borrowed(&room),
            authorisation: asked.word.as_ref().map(Cow::Borrowed),
            plan: Cow::Borrowed(&plan),
            next: next.reduced(&tenant, plan.plan_id, now),
            tenant: Cow::Owned(tenant),
        };
        let record = self.event_record(asked, &plan, stages, judged, now);
        let turn = self.commit(commit, &record, place).await?;
        Ok(turn.map_or(Step::Again, Step::Over))
    }

    fn event_commit(
        &self,
        key: ControlKey,
        asked: &Asked<'_>,
        plan: &ResponsePlan,
        (loaded, next): (&Loaded, &Next<'_>),
        now: Timestamp,
    ) -> Result<ControlCommit, Refused> {
        // What lets nothing through and counts nothing holds for the moment in which it was judged.
        let moves = next.room.is_some() || next.tenant.is_some();
        let (room, tenant) = match moves {
            false => (None, None),
            true => {
                let (room, tenant) = states::moved(loaded, next, &self.policy.gate)?;
                (Some(room), Some(tenant))
            }
        };
        Ok(ControlCommit {
            key,
            room_id: asked.event.room_id.clone(),
            plan_id: Some(plan.plan_id),
            body: asked.body,
            answer: json(plan)?,
            at: now,
            needed_until: states::asked_until(plan, next),
            room,
            tenant,
            audit: None,
        })
    }

    fn event_record<'a>(
        &self,
        asked: &'a Asked<'a>,
        plan: &'a ResponsePlan,
        stages: Vec<StageRecord>,
        judged: Judged<'a>,
        now: Timestamp,
    ) -> Record<'a> {
        Record {
            kind: Kind::Event,
            tenant_id: Some(Cow::Borrowed(&asked.event.tenant_id)),
            correlation_id: plan.plan_id.to_string(),
            action: first_action(plan).into(),
            result: record::Outcome::Decided,
            reason_code: plan.reason_code,
            trace_id: asked.trace_id,
            room_id: Some(Cow::Borrowed(&asked.event.room_id)),
            stages,
            judged: Some(judged),
            ..record::noted(self.rules, record::fresh_id(now), now)
        }
    }
}
