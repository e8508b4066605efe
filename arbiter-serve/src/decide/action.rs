//! `POST /v0/action-results`: what became of an action is noted.

use std::borrow::Cow;

use chiffon_arbiter::{ActionCase, Noting, reported};
use chiffon_common::{Action, ActionResult, Digest, PlanId, ResponsePlan, TraceId, read_contract};
use chiffon_store::{ControlCommit, ControlKey, ControlKind, Loaded};

use super::{
    About, Arbiter, Refused, Said, TRIES, Turn, by_rule, crowded, internal, json, malformed,
    repeated, stored,
};
use crate::{
    audit::Place,
    record::{self, Judged, Kind, Next, Record},
    states,
};

impl Arbiter {
    /// Judges an action's result from its bytes.
    pub(crate) async fn action(&self, bytes: &[u8], trace_id: Option<TraceId>) -> Said {
        let result: ActionResult = match read_contract(bytes) {
            Ok(result) => result,
            Err(error) => return self.unread(Kind::Action, &error, trace_id).await,
        };
        let body = Digest::of_value(&result)?;
        let mut place = Some(self.place().await?);
        for _ in 0..TRIES {
            let turn = self.action_turn(&result, body, trace_id, &mut place);
            match turn.await {
                Ok(Some(turn)) => return self.settled(turn).await,
                Ok(None) => {}
                Err(refused) => {
                    return self
                        .turned_away(about(&result, trace_id), refused, place)
                        .await;
                }
            }
        }
        self.turned_away(about(&result, trace_id), crowded(), place)
            .await
    }

    /// The plan of an event, or the plan that answered a generation; with the plan of the event behind it.
    async fn plan_of(
        &self,
        result: &ActionResult,
    ) -> Result<Option<(ResponsePlan, PlanId)>, Refused> {
        let tenant_id = &result.tenant_id;
        if let Some(found) = self.store.plan(tenant_id, result.plan_id).await? {
            return Ok(Some((stored(&found.answer)?, result.plan_id)));
        }
        let key = ControlKey {
            tenant_id: tenant_id.clone(),
            kind: ControlKind::Generation,
            id: result.plan_id.to_string(),
        };
        let Some(found) = self.store.load(&key, None).await?.prior else {
            return Ok(None);
        };
        let first = found.plan_id.unwrap_or(result.plan_id);
        Ok(Some((stored(&found.answer)?, first)))
    }

    async fn action_turn(
        &self,
        result: &ActionResult,
        body: Digest,
        trace_id: Option<TraceId>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Option<Turn>, Refused> {
        let _turn = self.turns.of(&result.tenant_id).await?;
        let (asked, first) = self.plan_of(result).await?.unzip();
        let first = first.unwrap_or(result.plan_id);
        let key = ControlKey {
            tenant_id: result.tenant_id.clone(),
            kind: ControlKind::Action,
            id: result.action_id.to_string(),
        };
        let room_id = asked.as_ref().map(|plan| &plan.room_id);
        let loaded = self.store.load(&key, room_id).await?;
        let room = states::read(loaded.room.as_ref())?;
        let now = Self::now();
        let judged = reported(&ActionCase {
            result,
            plan: asked.as_ref(),
            prior: loaded.prior.as_ref().map(|found| found.body),
            room: &room,
            policy: &self.policy,
            now,
        })?;
        let about = About {
            room_id,
            correlation_id: Some(first),
            ..about(result, trace_id)
        };
        let (receipt, room_next) = match judged {
            Noting::Noted { receipt, room } => (receipt, room),
            other => return self.note(about, unnoted(other, &loaded), place).map(Some),
        };
        let next = Next {
            room: room_next.map(Cow::Owned),
            tenant: None,
        };
        let asked = asked.ok_or_else(|| internal("an action of no plan was noted"))?;
        // The tenant was not judged by.
        let (next_room, _) = states::moved(&loaded, &next, &self.policy.gate)?;
        let commit = ControlCommit {
            key,
            room_id: receipt.room_id.clone(),
            plan_id: None,
            body,
            answer: json(&receipt)?,
            at: now,
            needed_until: None,
            room: Some(next_room),
            tenant: None,
            audit: None,
        };
        let action = asked.action(result.action_id);
        let record = Record {
            kind: Kind::Action,
            tenant_id: Some(Cow::Borrowed(&result.tenant_id)),
            correlation_id: first.to_string(),
            action: action.map_or("", Action::name).into(),
            result: record::Outcome::Decided,
            reason_code: receipt.reason_code,
            trace_id,
            room_id: Some(Cow::Borrowed(&receipt.room_id)),
            judged: Some(Judged::Action {
                result: Cow::Borrowed(result),
                asked: Cow::Borrowed(&asked),
                room: Cow::Borrowed(&room),
                receipt: Cow::Borrowed(&receipt),
                next,
            }),
            ..record::noted(self.rules, record::fresh_id(now), now)
        };
        self.commit(commit, &record, place).await
    }
}

/// What is said where a judgement has noted nothing.
fn unnoted(judged: Noting, loaded: &Loaded) -> Said {
    match judged {
        Noting::Malformed(error) => Err(malformed(&error, "")),
        Noting::Refused(reason) => Err(by_rule(reason, "action_id")),
        Noting::Repeated { .. } | Noting::Noted { .. } => repeated(loaded),
    }
}

fn about(result: &ActionResult, trace_id: Option<TraceId>) -> About<'_> {
    About {
        tenant_id: Some(&result.tenant_id),
        correlation_id: Some(result.plan_id),
        trace_id,
        ..About::nothing(Kind::Action)
    }
}
