//! The standing approval of a schedule: the plan that a person reads, and the word that exactly this one may run every
//! time, until a date.

use axum::{Json, extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_arbiter::{NewRun, Run};
use chiffon_common::{
    ErrorCode, EventId, FieldError, Plan, Problem, RequestId, ScheduleId, Scheduled, Standing,
    Tier, TraceId,
    api::{SchedulePlan, ScheduleView, StandingEdit},
};
use chiffon_store::ScheduleRow;
use jiff::SignedDuration;

use super::{change, editor, row, shown};
use crate::{
    engine::{Edit, Schedule, shown_plan},
    http::{
        State,
        etag::Precondition,
        frame::Trace,
        input::{Body, Id, NoQuery},
        problem::{Refused, internal},
    },
};

/// The longest that one person's word may stand.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Shows what it would do now, with the digest that a standing approval names.
#[utoipa::path(
    get, path = "/api/v1/schedules/{id}/plan", tag = "schedules", operation_id = "plan_of_schedule",
    params(("id" = ScheduleId, Path)),
    responses(
        (status = 200, description = "The plan", body = SchedulePlan),
        (status = 422, description = "It cannot be planned any more")
    )
)]
pub(in crate::http) async fn plan(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<ScheduleId>,
) -> Result<Json<SchedulePlan>, Refused> {
    let row = row(&state, id).await?;
    let schedule = Schedule::read(&row).map_err(|error| internal(&error))?;
    let (run, plan) = planned(&state, &row, &schedule).await?;
    Ok(Json(SchedulePlan {
        standing_digest: digest(&state, &schedule, &plan)?,
        warnings: state.shared.warnings_of(&plan, None).await?,
        plan: shown_plan(&run, &plan),
    }))
}

/// Approves exactly the plan that was read, for every run until a date. Tier 2 is approved each time.
#[utoipa::path(
    put, path = "/api/v1/schedules/{id}/standing", tag = "schedules", operation_id = "approve_schedule",
    params(("id" = ScheduleId, Path)),
    request_body = StandingEdit,
    responses((status = 200, description = "The schedule", body = ScheduleView, headers(("ETag" = String))))
)]
pub(in crate::http) async fn approve(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Id(id): Id<ScheduleId>,
    Body { value: edit, .. }: Body<StandingEdit>,
) -> Result<Response, Refused> {
    let editor = editor(&state, trace);
    if editor.by.kind != "person" {
        let detail = "only a person can approve";
        return Err(Problem::new(ErrorCode::Forbidden, detail, "let a person approve it").into());
    }
    let was = row(&state, id).await?;
    let schedule = Schedule::read(&was).map_err(|error| internal(&error))?;
    let (_, plan) = planned(&state, &was, &schedule).await?;
    let now = state.shared.clock.now();
    may_stand(&plan)?;
    let latest = now.checked_add(LONGEST).unwrap_or(jiff::Timestamp::MAX);
    if edit.until <= now || edit.until > latest {
        let detail = format!("the date must be after {now} and at most a year away");
        return Err(refused("/until", detail, "name a date that fits"));
    }
    if edit.digest != digest(&state, &schedule, &plan)? {
        let detail = "the plan is another one than the one that was read";
        let todo = "read it again, and approve its `standing_digest`";
        return Err(refused("/digest", detail, todo));
    }
    let standing = Standing {
        digest: edit.digest,
        approver: editor.by.clone(),
        given_at: now,
        until: edit.until,
    };
    // Another question meanwhile would be approved by its digest or not at all.
    let edit = Edit::Stand(Some(standing));
    let now = change(&state, id, &Precondition::Any, &edit, &editor).await?;
    shown(&HeaderMap::new(), &now)
}

/// Withdraws the standing approval: from now on a person is asked. What was approved by it already goes on.
#[utoipa::path(
    delete, path = "/api/v1/schedules/{id}/standing", tag = "schedules", operation_id = "withdraw_schedule_approval",
    params(("id" = ScheduleId, Path)),
    responses((status = 200, description = "The schedule", body = ScheduleView, headers(("ETag" = String))))
)]
pub(in crate::http) async fn withdraw(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Id(id): Id<ScheduleId>,
) -> Result<Response, Refused> {
    let (edit, editor) = (Edit::Stand(None), editor(&state, trace));
    let now = change(&state, id, &Precondition::Any, &edit, &editor).await?;
    shown(&HeaderMap::new(), &now)
}

fn may_stand(plan: &Plan) -> Result<(), Refused> {
    let detail = match plan.tier {
        Tier::Zero => "the plan only reads, so it needs no approval",
        Tier::One => return Ok(()),
        Tier::Two => "the plan is of tier 2, which a person approves each time",
    };
    Err(refused("/digest", detail, "leave it as it is"))
}

fn refused(pointer: &str, detail: impl Into<String>, todo: &str) -> Refused {
    let detail = detail.into();
    let field = FieldError::body(pointer, detail.clone());
    Problem::new(ErrorCode::StandingRefused, detail, todo)
        .at(field)
        .into()
}

fn digest(
    state: &State,
    schedule: &Schedule,
    plan: &Plan,
) -> Result<chiffon_common::Digest, Refused> {
    let settings = &state.shared.settings;
    let digest = plan.standing_digest(&settings.tenant, &schedule.owner.id, settings.rules);
    Ok(digest.map_err(|error| internal(&error))?)
}

/// What it would be planned to now: as a request that nobody keeps.
async fn planned(
    state: &State,
    row: &ScheduleRow,
    schedule: &Schedule,
) -> Result<(Run, Plan), Refused> {
    let shared = &state.shared;
    let event_id = format!("schedule:{}:plan", row.schedule_id);
    let new = NewRun {
        request_id: RequestId::from_uuid(shared.clock.fresh_id()),
        tenant_id: row.tenant_id.clone(),
        project_id: row.project_id.clone(),
        room_id: schedule.room_id.clone(),
        event_id: event_id
            .parse::<EventId>()
            .map_err(|error| internal(&error))?,
        trace_id: TraceId::from_uuid(shared.clock.fresh_id()),
        requester: schedule.owner.clone(),
        text: schedule.text.clone(),
        call: schedule.call.clone(),
        retry_of: None,
        undo_of: None,
        schedule: Some(Scheduled {
            schedule_id: row.schedule_id,
            due_at: None,
        }),
    };
    let run = Run::received(new, shared.clock.now(), &shared.settings.lifecycles);
    let plan = shared.plan_ahead(&run).await?;
    Ok((run, plan))
}
