//! When a schedule would ask: of one that is there, and of an expression that is only tried.

use axum::{Json, extract::State as Extract};
use chiffon_arbiter::Times;
use chiffon_common::{
    ScheduleId, When,
    api::{NextTimes, NextTry},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    draft::{CRON, WORD, pointing},
    row,
};
use crate::{
    engine::{Schedule, local, times, zone},
    http::{
        State,
        input::{Asked, Body, Id, NoQuery, permitted, unfit_query},
        problem::{Refused, internal},
    },
};

/// How many times are shown where nobody says.
const SHOWN: u32 = 5;
/// The most that are shown.
const MOST: u32 = 100;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct NextQuery {
    /// How many times.
    #[param(minimum = 1, maximum = 100, default = 5)]
    count: Option<u32>,
}

/// When it asks next, were it not paused.
#[utoipa::path(
    get, path = "/api/v1/schedules/{id}/next", tag = "schedules", operation_id = "next_of_schedule",
    params(("id" = ScheduleId, Path), NextQuery),
    responses((status = 200, description = "The next times", body = NextTimes))
)]
pub(in crate::http) async fn next(
    Extract(state): Extract<State>,
    Id(id): Id<ScheduleId>,
    Asked(asked): Asked<NextQuery>,
) -> Result<Json<NextTimes>, Refused> {
    let count = counted(asked.count)?;
    let schedule = Schedule::read(&row(&state, id).await?).map_err(|error| internal(&error))?;
    let (times, zone) = schedule.times()?;
    let now = state.shared.clock.now();
    Ok(Json(next_times(&times, &zone, schedule.zone, now, count)))
}

/// Tries an expression: when it would ask.
#[utoipa::path(
    post, path = "/api/v1/schedules/next", tag = "schedules", operation_id = "try_schedule",
    request_body = NextTry,
    responses((status = 200, description = "The next times", body = NextTimes))
)]
pub(in crate::http) async fn try_next(
    Extract(state): Extract<State>,
    _: NoQuery,
    Body { value: asked, .. }: Body<NextTry>,
) -> Result<Json<NextTimes>, Refused> {
    permitted("/cron", &asked.cron, CRON)?;
    let name = asked.zone.unwrap_or_else(|| "UTC".to_owned());
    permitted("/zone", &name, WORD)?;
    let zone = zone(&name).map_err(pointing("/zone"))?;
    let times = times(&When::Cron(asked.cron)).map_err(pointing("/cron"))?;
    let count = match asked.count {
        None => SHOWN,
        Some(count @ 1..=MOST) => count,
        Some(_) => {
            let detail = format!("from 1 to {MOST} times are shown");
            let todo = "ask for fewer";
            let code = chiffon_common::ErrorCode::MalformedMessage;
            let problem = chiffon_common::Problem::new(code, detail, todo);
            return Err(pointing("/count")(problem).into());
        }
    };
    let now = state.shared.clock.now();
    Ok(Json(next_times(&times, &zone, name, now, count)))
}

fn counted(asked: Option<u32>) -> Result<u32, Refused> {
    match asked {
        None => Ok(SHOWN),
        Some(count @ 1..=MOST) => Ok(count),
        Some(_) => Err(unfit_query("count", "from 1 to 100 times are shown")),
    }
}

fn next_times(
    times: &Times,
    zone: &TimeZone,
    name: String,
    now: Timestamp,
    count: u32,
) -> NextTimes {
    let mut found = Vec::new();
    let mut last = now;
    for _nth in 0..count {
        let Some(next) = times.next_after(last, zone) else {
            break;
        };
        found.push(next);
        last = next;
    }
    NextTimes {
        zone: name,
        local: found.iter().map(|at| local(*at, zone)).collect(),
        times: found,
    }
}
