//! Schedules: what is asked again at set times. Here is what is kept of one, and how it is shown. Changing one is left
//! to `edit`, asking when a time has come to `fire`, what comes of a run to `watch`, holding rows against their records
//! to `proof`; which times those are to the arbiter.

mod edit;
mod fire;
mod proof;
mod watch;
mod zone;

use chiffon_common::{
    EntryCall, Missed, Principal, Problem, RequestId, RoomId, Standing, When,
    api::{MissedRuns, ScheduleView, StandingView},
};
use chiffon_store::ScheduleRow;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub(crate) use edit::{Draft, Edit, EditError, Toggle};
pub(crate) use fire::{Fate, FireError, Fired};
pub(crate) use zone::{local, moment, times, zone, zone_at};

/// What a row holds beside its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) title: String,
    pub(crate) when: When,
    pub(crate) zone: String,
    pub(crate) missed: Missed,
    /// The sentence, or the explicit form of the call.
    pub(crate) text: String,
    pub(crate) call: Option<EntryCall>,
    pub(crate) room_id: RoomId,
    /// In whose name it asks.
    pub(crate) owner: Principal,
    /// Why it is in its state, for people.
    pub(crate) because: String,
    pub(crate) last: Option<LastRun>,
    /// How many times passed unused.
    pub(crate) missed_count: u64,
    pub(crate) standing: Option<Standing>,
}

/// The last request that it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastRun {
    pub(crate) request_id: RequestId,
    pub(crate) at: Timestamp,
    /// The time that had come; absent where a person had it run.
    pub(crate) due_at: Option<Timestamp>,
}

impl Schedule {
    pub(crate) fn read(row: &ScheduleRow) -> Result<Self, serde_json::Error> {
        Self::deserialize(&row.doc)
    }

    /// Its times and the zone they are read in.
    pub(crate) fn times(&self) -> Result<(chiffon_arbiter::Times, TimeZone), Problem> {
        Ok((times(&self.when)?, zone(&self.zone)?))
    }
}

/// A schedule as people and programs see it.
pub(crate) fn schedule_view(row: &ScheduleRow) -> Result<ScheduleView, serde_json::Error> {
    let schedule = Schedule::read(row)?;
    let (cron, at) = match schedule.when {
        When::Cron(expression) => (Some(expression), None),
        When::At(at) => (None, Some(at)),
    };
    let (missed, missed_within_seconds) = match schedule.missed {
        Missed::Skip => (MissedRuns::Skip, None),
        Missed::Once => (MissedRuns::Once, None),
        Missed::All { within_seconds } => (MissedRuns::All, Some(within_seconds)),
    };
    let (text, entry, hosts, parameters) = match schedule.call {
        None => (Some(schedule.text), None, Vec::new(), Default::default()),
        Some(call) => (None, Some(call.entry), call.hosts, call.parameters),
    };
    let standing = schedule.standing.map(|standing| StandingView {
        digest: standing.digest,
        approver: standing.approver.id,
        given_at: standing.given_at,
        until: standing.until,
    });
    let last = schedule.last.as_ref();
    Ok(ScheduleView {
        schedule_id: row.schedule_id,
        title: schedule.title,
        state: row.state.clone(),
        because: schedule.because,
        owner: schedule.owner.id,
        cron,
        at,
        at_local: at.and_then(|at| Some(local(at, &zone(&schedule.zone).ok()?))),
        zone: schedule.zone,
        missed,
        missed_within_seconds,
        text,
        entry,
        hosts,
        parameters,
        project_id: row.project_id.clone(),
        room_id: schedule.room_id,
        next_at: row.next_at,
        last_request: last.map(|last| last.request_id),
        last_at: last.map(|last| last.at),
        last_is_open: row.open_request.is_some(),
        missed_count: schedule.missed_count,
        standing,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
