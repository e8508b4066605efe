//! A shell of values for the tests: it keeps what a store would, and judges one thing after another.

use std::collections::BTreeMap;

use chiffon_common::{
    ActionResult, Actor, Content, Digest, Event, GenerationResult, GenerationStatus, PlanId,
    ReasonCode, RoomId, TenantId,
};
use jiff::{SignedDuration, Timestamp};

use super::super::*;

/// Where the tests' time begins.
pub fn start() -> Timestamp {
    "2026-01-19T12:00:00Z".parse().unwrap()
}

/// So many milliseconds after the beginning.
pub fn at(ms: i64) -> Timestamp {
    start() + SignedDuration::from_millis(ms)
}

/// An event of a tenant in a room.
pub fn event(id: &str, tenant: &str, room: &str, mentioned: bool) -> Event {
    Event {
        v: 0,
        event_id: id.parse().unwrap(),
        tenant_id: tenant.parse().unwrap(),
        source: "chat".to_owned(),
        room_id: room.parse().unwrap(),
        project_id: "default".parse().unwrap(),
        actor: Actor {
            id: "chat:anna".to_owned(),
            kind: "person".to_owned(),
        },
        content: Content {
            kind: "text".to_owned(),
            text: "How are you?".to_owned(),
            mentions_chiffon: mentioned,
            call: None,
            retry_of: None,
            undo_of: None,
            answers: None,
        },
        ts: start(),
    }
}

/// One thing that comes from outside.
#[derive(Debug, Clone)]
pub enum Input {
    Event(Box<Event>),
    Generation(GenerationResult),
    Action(ActionResult),
}

/// What a judgement leaves to be stored, with what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The answer, in canonical bytes.
    pub answer: Vec<u8>,
    /// Whether gate 4 was passed.
    pub counted: bool,
    plan: Option<(Digest, chiffon_common::ResponsePlan)>,
    noted: Option<Digest>,
    room: Option<RoomState>,
    tenant: Option<TenantState>,
}

impl Outcome {
    /// Whether it is to be stored, and no answer of before.
    pub fn is_new(&self) -> bool {
        self.plan.is_some()
    }
}

/// What a store keeps. Versions rise with every change, as in the real ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    pub policy: Policy,
    pub rooms: BTreeMap<(TenantId, RoomId), (u64, RoomState)>,
    pub tenants: BTreeMap<TenantId, (u64, TenantState)>,
    events: BTreeMap<(TenantId, String), (Digest, chiffon_common::ResponsePlan)>,
    pub plans: BTreeMap<(TenantId, PlanId), chiffon_common::ResponsePlan>,
    answered: BTreeMap<(TenantId, PlanId), (Digest, chiffon_common::ResponsePlan)>,
    actions: BTreeMap<(TenantId, chiffon_common::ActionId), Digest>,
}

/// The versions that a judgement was made from.
pub type Seen = (u64, u64);

impl World {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    fn place(&self, input: &Input) -> (TenantId, RoomId) {
        let of_plan = |tenant: &TenantId, plan: PlanId| {
            let room = self.plans.get(&(tenant.clone(), plan));
            room.map_or_else(|| "nowhere".parse().unwrap(), |plan| plan.room_id.clone())
        };
        match input {
            Input::Event(event) => (event.tenant_id.clone(), event.room_id.clone()),
            Input::Generation(it) => (it.tenant_id.clone(), of_plan(&it.tenant_id, it.plan_id)),
            Input::Action(it) => (it.tenant_id.clone(), of_plan(&it.tenant_id, it.plan_id)),
        }
    }

    pub fn seen(&self, input: &Input) -> Seen {
        let place = self.place(input);
        (
            self.rooms.get(&place).map_or(0, |(version, _)| *version),
            self.tenants
                .get(&place.0)
                .map_or(0, |(version, _)| *version),
        )
    }

    /// Judges, and stores nothing.
    pub fn judge(&self, input: &Input, now: Timestamp) -> Outcome {
        let place = self.place(input);
        let room = self.rooms.get(&place).map(|(_, room)| room.clone());
        let room = &room.unwrap_or_default();
        let tenant = self.tenants.get(&place.0).map(|(_, tenant)| tenant.clone());
        let tenant = &tenant.unwrap_or_default();
        match input {
            Input::Event(event) => self.judge_event(event, room, tenant, now),
            Input::Generation(result) => self.judge_generation(result, room, tenant, now),
            Input::Action(result) => self.judge_action(result, room, now),
        }
    }

    fn judge_event(
        &self,
        event: &Event,
        room: &RoomState,
        tenant: &TenantState,
        now: Timestamp,
    ) -> Outcome {
        let key = (event.tenant_id.clone(), event.event_id.to_string());
        let prior = self.events.get(&key).map(prior);
        let judged = process(&Case {
            event,
            prior: prior.as_ref(),
            room,
            tenant,
            policy: &self.policy,
            authorisation: None,
            now,
        });
        match judged.unwrap() {
            Judgement::Fresh {
                plan,
                stages,
                room,
                tenant,
            } => Outcome {
                answer: chiffon_common::to_canonical(&plan).unwrap(),
                counted: stages
                    .iter()
                    .any(|said| said.stage == Stage::Gate && said.reason_code == ReasonCode::Pass),
                plan: Some((Digest::of_value(event).unwrap(), plan)),
                noted: None,
                room,
                tenant,
            },
            Judgement::Repeated { plan } => answer(&plan),
            other => answer(&format!("{other:?}")),
        }
    }

    fn judge_generation(
        &self,
        result: &GenerationResult,
        room: &RoomState,
        tenant: &TenantState,
        now: Timestamp,
    ) -> Outcome {
        let key = (result.tenant_id.clone(), result.plan_id);
        let prior = self.answered.get(&key).map(prior);
        let judged = generated(&GenerationCase {
            result,
            plan: self.plans.get(&key),
            prior: prior.as_ref(),
            room,
            tenant,
            policy: &self.policy,
            now,
        });
        match judged.unwrap() {
            Closing::Closed { plan, room, tenant } => Outcome {
                plan: Some((Digest::of_value(result).unwrap(), plan.clone())),
                room,
                tenant,
                ..answer(&plan)
            },
            Closing::Repeated { plan } => answer(&plan),
            other => answer(&format!("{other:?}")),
        }
    }

    fn judge_action(&self, result: &ActionResult, room: &RoomState, now: Timestamp) -> Outcome {
        let key = (result.tenant_id.clone(), result.plan_id);
        let action = (result.tenant_id.clone(), result.action_id);
        let judged = reported(&ActionCase {
            result,
            plan: self.plans.get(&key),
            prior: self.actions.get(&action).copied(),
            room,
            policy: &self.policy,
            now,
        });
        match judged.unwrap() {
            Noting::Noted { receipt, room } => Outcome {
                noted: Some(Digest::of_value(result).unwrap()),
                room,
                ..answer(&receipt)
            },
            Noting::Repeated { receipt } => answer(&receipt),
            other => answer(&format!("{other:?}")),
        }
    }

    /// Stores what a judgement led to, if nothing has moved since: whether it did.
    pub fn commit(&mut self, input: &Input, seen: Seen, outcome: &Outcome) -> bool {
        let place = self.place(input);
        if self.seen(input) != seen || self.is_taken(input, outcome) {
            return false;
        }
        if let Some(room) = &outcome.room {
            self.rooms.insert(place.clone(), (seen.0 + 1, room.clone()));
        }
        if let Some(tenant) = &outcome.tenant {
            let row = (seen.1 + 1, tenant.clone());
            self.tenants.insert(place.0.clone(), row);
        }
        if let Some((body, plan)) = &outcome.plan {
            self.plans
                .insert((place.0.clone(), plan.plan_id), plan.clone());
            let row = (*body, plan.clone());
            match input {
                Input::Event(event) => drop(
                    self.events
                        .insert((place.0, event.event_id.to_string()), row),
                ),
                Input::Generation(result) => {
                    drop(self.answered.insert((place.0, result.plan_id), row));
                }
                Input::Action(_) => {}
            }
        } else if let (Some(body), Input::Action(result)) = (outcome.noted, input) {
            self.actions.insert((place.0, result.action_id), body);
        }
        true
    }

    /// Somebody stored an answer under the same id since.
    fn is_taken(&self, input: &Input, outcome: &Outcome) -> bool {
        let is_new = outcome.plan.is_some() || outcome.noted.is_some();
        is_new
            && match input {
                Input::Event(it) => self
                    .events
                    .contains_key(&(it.tenant_id.clone(), it.event_id.to_string())),
                Input::Generation(it) => {
                    let key = (it.tenant_id.clone(), it.plan_id);
                    self.answered.contains_key(&key)
                }
                Input::Action(it) => {
                    let key = (it.tenant_id.clone(), it.action_id);
                    self.actions.contains_key(&key)
                }
            }
    }

    /// Judges and stores: what a serial shell does.
    pub fn take(&mut self, input: &Input, now: Timestamp) -> Outcome {
        let seen = self.seen(input);
        let outcome = self.judge(input, now);
        assert!(self.commit(input, seen, &outcome));
        outcome
    }
}

fn prior((body, plan): &(Digest, chiffon_common::ResponsePlan)) -> Prior {
    Prior {
        body: *body,
        plan: plan.clone(),
    }
}

fn answer<T: serde::Serialize>(value: &T) -> Outcome {
    Outcome {
        answer: chiffon_common::to_canonical(value).unwrap(),
        counted: false,
        plan: None,
        noted: None,
        room: None,
        tenant: None,
    }
}

/// A generator's result: a text, or none.
pub fn result(tenant: &str, plan_id: PlanId, text: Option<&str>) -> GenerationResult {
    GenerationResult {
        v: 0,
        tenant_id: tenant.parse().unwrap(),
        plan_id,
        status: text.map_or(GenerationStatus::Failed, |_| GenerationStatus::Completed),
        text: text.map(str::to_owned),
        error: None,
        ts: start(),
    }
}
