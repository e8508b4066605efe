//! `POST /v0/generations`: a generation's result releases its room and becomes what is said.

use std::borrow::Cow;

use chiffon_arbiter::{Closing, GenerationCase, TenantState, answering_plan, generated};
use chiffon_common::{Digest, GenerationResult, ResponsePlan, TraceId, read_contract};
use chiffon_store::{ControlCommit, ControlKey, ControlKind, Loaded};

use super::{
    About, Arbiter, Refused, Said, TRIES, Turn, by_rule, crowded, first_action, internal, json,
    malformed, prior, repeated, stored,
};
use crate::{
    audit::Place,
    record::{self, Judged, Kind, Next, Record},
    states,
};

impl Arbiter {
    /// Judges a generation's result from its bytes.
    pub(crate) async fn generation(&self, bytes: &[u8], trace_id: Option<TraceId>) -> Said {
        let result: GenerationResult = match read_contract(bytes) {
            Ok(result) => result,
            Err(error) => return self.unread(Kind::Generation, &error, trace_id).await,
        };
        let body = Digest::of_value(&result)?;
        let mut place = Some(self.place().await?);
        for _ in 0..TRIES {
            let turn = self.generation_turn(&result, body, trace_id, &mut place);
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

    async fn generation_turn(
        &self,
        result: &GenerationResult,
        body: Digest,
        trace_id: Option<TraceId>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Option<Turn>, Refused> {
        let _turn = self.turns.of(&result.tenant_id).await?;
        let asked = self.asked(result).await?;
        // Under the id of the plan that answers it, by which results of its actions find it.
        let key = ControlKey {
            tenant_id: result.tenant_id.clone(),
            kind: ControlKind::Generation,
            id: answering_plan(result.plan_id).to_string(),
        };
        let room_id = asked.as_ref().map(|plan| &plan.room_id);
        let loaded = self.store.load(&key, room_id).await?;
        let prior = prior(&loaded)?;
        let room = states::read(loaded.room.as_ref())?;
        let tenant: TenantState = states::read(loaded.tenant.as_ref())?;
        let now = Self::now();
        let judged = generated(&GenerationCase {
            result,
            plan: asked.as_ref(),
            prior: prior.as_ref(),
            room: &room,
            tenant: &tenant,
            policy: &self.policy,
            now,
        })?;
        let about = About {
            room_id,
            ..about(result, trace_id)
        };
        let (plan, next) = match judged {
            Closing::Closed { plan, room, tenant } => {
                let (room, tenant) = (room.map(Cow::Owned), tenant.map(Cow::Owned));
                (plan, Next { room, tenant })
            }
            other => return self.unclosed(other, about, &loaded, place).map(Some),
        };
        let asked = asked.ok_or_else(|| internal("a plan of nobody was closed"))?;
        let (next_room, next_tenant) = states::moved(&loaded, &next, &self.policy.gate)?;
        let commit = ControlCommit {
            key,
            room_id: plan.room_id.clone(),
            plan_id: Some(result.plan_id),
            body,
            answer: json(&plan)?,
            at: now,
            needed_until: None,
            room: Some(next_room),
            tenant: Some(next_tenant),
            audit: None,
        };
        let tenant = tenant.as_read(asked.plan_id, now);
        let record = Record {
            kind: Kind::Generation,
            tenant_id: Some(Cow::Borrowed(&result.tenant_id)),
            correlation_id: result.plan_id.to_string(),
            action: first_action(&plan).into(),
            result: record::Outcome::Decided,
            reason_code: plan.reason_code,
            trace_id,
            room_id: Some(Cow::Borrowed(&plan.room_id)),
            judged: Some(Judged::Generation {
                result: Cow::Borrowed(result),
                asked: Cow::Borrowed(&asked),
                room: Cow::Borrowed(&room),
                plan: Cow::Borrowed(&plan),
                next: next.reduced(&tenant, asked.plan_id, now),
                tenant: Cow::Owned(tenant),
            }),
            ..record::noted(self.rules, record::fresh_id(now), now)
        };
        self.commit(commit, &record, place).await
    }

    /// The plan that a result names.
    async fn asked(&self, result: &GenerationResult) -> Result<Option<ResponsePlan>, Refused> {
        let found = self.store.plan(&result.tenant_id, result.plan_id).await?;
        found.map(|found| stored(&found.answer)).transpose()
    }

    /// What is said where a judgement has closed nothing.
    fn unclosed(
        &self,
        judged: Closing,
        about: About<'_>,
        loaded: &Loaded,
        place: &mut Option<Place<'_>>,
    ) -> Result<Turn, Refused> {
        let (action, said) = match judged {
            Closing::Malformed(error) => (about.action, Err(malformed(&error, "/text"))),
            Closing::Refused(reason) => (about.action, Err(by_rule(reason, "plan_id"))),
            Closing::Repeated { plan } | Closing::Closed { plan, .. } => {
                (first_action(&plan), repeated(loaded))
            }
        };
        self.note(About { action, ..about }, said, place)
    }
}

fn about(result: &GenerationResult, trace_id: Option<TraceId>) -> About<'_> {
    About {
        tenant_id: Some(&result.tenant_id),
        correlation_id: Some(result.plan_id),
        trace_id,
        ..About::nothing(Kind::Generation)
    }
}
