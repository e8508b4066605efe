//! Asking when a time has come. The request and the schedule that knows of it are one commit, and the event's id is
//! made from schedule and time: whatever dies when, and wherever the clock is put, no time is asked twice, and none
//! passes without a record. While nobody decides whether it may be asked, it is as if nobody was there: nothing is used
//! up, and once somebody decides again, the schedule's word for missed times holds.

use std::time::Duration;

use chiffon_arbiter::{Look, Passed, Verdict};
use chiffon_common::{
    Actor, AuditEntry, CanonicalError, Content, Event, EventId, Problem, ReasonCode, RequestId,
    Scheduled, TraceId, When,
};
use chiffon_store::{Commit, Error, Expected, ScheduleRow, Write};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{LastRun, Schedule, proof::of_edit};
use crate::engine::{
    Editor, Incoming, Intake, IntakeError, KeyClaim, Shared, Way, audit::chiffon, nudged,
    posts::Post,
};

/// Schedules looked at in one round.
const BATCH: u32 = 100;
/// How many of them may wait for an external authoriser at once.
const WAITING: usize = 16;
/// Longest sleep; also how soon it is found that the clock was put.
const LONGEST: Duration = Duration::from_secs(5);
/// Shortest sleep, so that nothing can make a busy loop.
const SHORTEST: Duration = Duration::from_millis(20);
/// Pause after a fault: what could not be asked is due still.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// A clock that goes back by less than this only waits until it is where it was.
const PUT_BACK: SignedDuration = SignedDuration::from_secs(60);

/// A schedule that asks, on its way into the commit of its request.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    was: ScheduleRow,
    schedule: Schedule,
    due_at: Option<Timestamp>,
    considered_at: Timestamp,
    passed: Option<Passed>,
    /// Who had it ask: the clock, or a person.
    pub(crate) by: Editor,
}

impl Fired {
    /// Where the request comes from.
    pub(crate) fn scheduled(&self) -> Scheduled {
        Scheduled {
            schedule_id: self.was.schedule_id,
            due_at: self.due_at,
        }
    }
}

/// What became of a time, or of a person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// This request was made.
    Asked(RequestId),
    /// The control plane made none, for this reason.
    Refused(ReasonCode),
    /// The control plane takes no work at all.
    NoWork,
    /// It was asked for before the clock was put back.
    AskedBefore,
    /// There was nothing to ask.
    Passed,
}

impl Fate {
    fn request(self) -> Option<RequestId> {
        match self {
            Self::Asked(request) => Some(request),
            Self::Refused(_) | Self::NoWork | Self::AskedBefore | Self::Passed => None,
        }
    }

    /// The action of its record.
    fn action(self) -> Option<&'static str> {
        match self {
            Self::Asked(_) => Some("fired"),
            Self::Refused(_) | Self::NoWork => Some("refused"),
            Self::AskedBefore => Some("asked_before"),
            Self::Passed => None,
        }
    }

    /// Why there is no request.
    fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::Refused(code) => Some(code),
            Self::Asked(_) | Self::NoWork | Self::AskedBefore | Self::Passed => None,
        }
    }
}

/// Why a schedule could not ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FireError {
    #[error("schedule cannot be read or stored")]
    Unreadable(#[from] serde_json::Error),
    #[error("schedule has no canonical form")]
    Canonical(#[from] CanonicalError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Shared {
    /// Runs schedules for ever.
    pub(crate) async fn run_schedules(&self) {
        loop {
            let wait = match self.schedules_round().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "schedules cannot be looked at; trying again");
                    AFTER_FAULT
                }
            };
            nudged(&self.nudges.schedules, wait).await;
        }
    }

    async fn schedules_round(&self) -> Result<Duration, Error> {
        if !self.has_post(Post::Schedules).await? {
            return Ok(LONGEST);
        }
        self.watch_schedules().await?;
        if !self.settings.stays {
            return Ok(LONGEST);
        }
        self.follow_the_clock_back().await?;
        let due = self.store.due_schedules(self.clock.now(), BATCH).await?;
        // One that cannot ask must not hold up the others, nor one whose authoriser is slow.
        let at_once = match self.authorizer {
            Some(_) => WAITING,
            None => 1,
        };
        let mut faults = 0;
        for rows in due.chunks(at_once) {
            let fired = join_all(rows.iter().map(|row| self.fire_schedule(row))).await;
            for (row, fired) in rows.iter().zip(fired) {
                let Err(error) = fired else { continue };
                faults += 1;
                if let FireError::Intake(IntakeError::Shut(reason)) = error {
                    tracing::warn!(?reason, schedule.id = %row.schedule_id, "a schedule is due, and the external authoriser gives no decision; asking again");
                    continue;
                }
                tracing::error!(error = &error as &dyn std::error::Error, schedule.id = %row.schedule_id, "schedule cannot ask; trying again");
            }
        }
        if faults > 0 {
            return Ok(AFTER_FAULT);
        }
        let next = self.store.next_schedule().await?;
        let wait = next.map(|next| next.duration_since(self.clock.now()));
        let wait = wait.map_or(LONGEST, |wait| Duration::try_from(wait).unwrap_or(SHORTEST));
        Ok(wait.clamp(SHORTEST, LONGEST))
    }

    async fn fire_schedule(&self, row: &ScheduleRow) -> Result<(), FireError> {
        let schedule = Schedule::read(row)?;
        let (times, zone) = match schedule.times() {
            Ok(times) => times,
            // A zone that the database of today does not know any more.
            Err(problem) => return self.pause_unfit(row, schedule, &problem).await,
        };
        let look = Look {
            times: &times,
            zone: &zone,
            missed: schedule.missed,
            considered: row.considered_at,
            now: self.clock.now(),
        };
        let Verdict {
            fire,
            passed,
            considered,
        } = look.decide();
        let fired = Fired {
            was: row.clone(),
            schedule,
            due_at: fire,
            considered_at: considered,
            passed,
            by: self.by_itself(),
        };
        let Some(at) = fire else {
            return self.commit_fired(&fired, Fate::Passed).await;
        };
        let id = format!("schedule:{}:{at}", row.schedule_id);
        chiffon_failpoint::hit!("schedules.commit.before");
        let taken = match self.ask_as_scheduled(fired.clone(), &id, None).await {
            Err(FireError::Intake(IntakeError::NoWork)) => {
                return self.commit_fired(&fired, Fate::NoWork).await;
            }
            taken => taken?,
        };
        chiffon_failpoint::hit!("schedules.commit.after");
        if taken.is_repeated {
            return self.commit_fired(&fired, Fate::AskedBefore).await;
        }
        Ok(())
    }

    /// A person has it ask at once; its times stay as they are.
    pub(crate) async fn run_schedule_now(
        &self,
        row: &ScheduleRow,
        by: Editor,
        claim: Option<KeyClaim>,
    ) -> Result<Intake, FireError> {
        let fired = Fired {
            schedule: Schedule::read(row)?,
            due_at: None,
            considered_at: row.considered_at,
            passed: None,
            was: row.clone(),
            by,
        };
        let id = match &claim {
            Some(claim) => {
                let key = chiffon_common::Digest::of_bytes(claim.key.as_bytes());
                format!("key:{}", key.hex())
            }
            None => format!("schedule:{}:now:{}", row.schedule_id, self.clock.fresh_id()),
        };
        self.ask_as_scheduled(fired, &id, claim).await
    }

    async fn ask_as_scheduled(
        &self,
        fired: Fired,
        id: &str,
        claim: Option<KeyClaim>,
    ) -> Result<Intake, FireError> {
        let (row, schedule) = (&fired.was, &fired.schedule);
        let event_id = id.parse::<EventId>().map_err(serde::de::Error::custom);
        let event_id = event_id.map_err(|error: serde_json::Error| FireError::from(error))?;
        let kind = match schedule.call {
            Some(_) => "entry",
            None => "text",
        };
        let event = Event {
            v: 0,
            event_id,
            tenant_id: row.tenant_id.clone(),
            source: "schedule".to_owned(),
            room_id: schedule.room_id.clone(),
            project_id: row.project_id.clone(),
            actor: Actor {
                id: schedule.owner.id.clone(),
                kind: schedule.owner.kind.clone(),
            },
            content: Content {
                kind: kind.to_owned(),
                text: schedule.text.clone(),
                mentions_chiffon: true,
                call: schedule.call.clone(),
                retry_of: None,
                undo_of: None,
                answers: None,
            },
            ts: self.clock.now(),
        };
        let trace = fired.by.trace;
        let incoming = Incoming {
            event,
            trace,
            claim,
            way: Way::Own,
            schedule: Some(Box::new(fired)),
        };
        Ok(self.intake(incoming).await?)
    }

    async fn commit_fired(&self, fired: &Fired, fate: Fate) -> Result<(), FireError> {
        let (write, audit) = self.schedule_parts(fired, fate)?;
        let commit = Commit {
            tenant_id: fired.was.tenant_id.clone(),
            writes: vec![write],
            audit,
            ..Commit::default()
        };
        Ok(self.commit(commit).await.map(drop)?)
    }

    /// What becomes of the schedule in the commit that asks, and its records: what was asked, what was passed over.
    pub(in crate::engine) fn schedule_parts(
        &self,
        fired: &Fired,
        fate: Fate,
    ) -> Result<(Write, Vec<AuditEntry>), serde_json::Error> {
        let (now, request) = (self.clock.now(), fate.request());
        let mut schedule = fired.schedule.clone();
        let passed = fired.passed.map_or(0, |passed| passed.count);
        schedule.missed_count = schedule.missed_count.saturating_add(passed);
        if let Some(request_id) = request {
            schedule.last = Some(LastRun {
                request_id,
                at: now,
                due_at: fired.due_at,
            });
        }
        let mut row = ScheduleRow {
            considered_at: fired.considered_at,
            open_request: request,
            updated_at: now,
            ..fired.was.clone()
        };
        if row.state == "active" {
            let times = schedule.times().ok();
            row.next_at =
                times.and_then(|(times, zone)| times.next_after(row.considered_at, &zone));
            if row.next_at.is_none() {
                row.state = "ended".to_owned();
                schedule.because = match schedule.when {
                    When::At(_) => "its time has come".to_owned(),
                    When::Cron(_) => "it never comes again".to_owned(),
                };
            }
        }
        row.doc = serde_json::to_value(&schedule)?;
        let record = |action: &str, data: Value| {
            let entry = self.audit_of_schedule(&fired.was, action, &fired.by, data);
            let owner = schedule.owner.clone();
            AuditEntry {
                delegated: (owner.id != fired.by.by.id).then_some(owner),
                ..entry
            }
        };
        let mut audit = Vec::new();
        if let Some(passed) = fired.passed {
            audit.push(record("missed", missed(passed)));
        }
        if let Some(action) = fate.action() {
            let because = match fired.due_at {
                Some(at) if matches!(fate, Fate::NoWork) => {
                    format!("its time has come: {at}, and {}", IntakeError::NoWork)
                }
                Some(at) => format!("its time has come: {at}"),
                None => format!("{} had it run", fired.by.by.id),
            };
            let mut data =
                json!({ "because": because, "due_at": fired.due_at, "request_id": request });
            if let Some(reason) = fate.reason() {
                data["reason_code"] = json!(reason);
            }
            audit.push(AuditEntry {
                request_id: request,
                ..record(action, data)
            });
        }
        Ok((
            Write::Schedule(Expected::Version(fired.was.version), row),
            audit,
        ))
    }

    async fn pause_unfit(
        &self,
        row: &ScheduleRow,
        mut schedule: Schedule,
        problem: &Problem,
    ) -> Result<(), FireError> {
        schedule.because = format!("paused by Chiffon: {}", problem.detail);
        let paused = ScheduleRow {
            state: "paused".to_owned(),
            next_at: None,
            updated_at: self.clock.now(),
            doc: serde_json::to_value(&schedule)?,
            ..row.clone()
        };
        let data = json!({ "because": schedule.because });
        self.commit_schedule(row, paused, "paused", data).await
    }

    async fn commit_schedule(
        &self,
        was: &ScheduleRow,
        row: ScheduleRow,
        action: &str,
        data: Value,
    ) -> Result<(), FireError> {
        let record = self.audit_of_schedule(was, action, &self.by_itself(), data);
        let commit = Commit {
            tenant_id: was.tenant_id.clone(),
            audit: vec![of_edit(record, Some(was), Some(&row))?],
            writes: vec![Write::Schedule(Expected::Version(was.version), row)],
            ..Commit::default()
        };
        Ok(self.commit(commit).await.map(drop)?)
    }

    /// Where the clock was put back behind what was considered, times come again from now on. Those that were asked
    /// already have their events, so they are not asked twice.
    async fn follow_the_clock_back(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let Ok(ahead) = now.checked_add(PUT_BACK) else {
            return Ok(());
        };
        for was in self.store.schedules_ahead(ahead, BATCH).await? {
            if let Err(error) = self.follow_back(&was, now).await {
                tracing::warn!(error = &error as &dyn std::error::Error, schedule.id = %was.schedule_id, "schedule cannot follow the clock back; trying again");
            }
        }
        Ok(())
    }

    async fn follow_back(&self, was: &ScheduleRow, now: Timestamp) -> Result<(), FireError> {
        let schedule = Schedule::read(was)?;
        let (times, zone) = match schedule.times() {
            Ok(times) => times,
            Err(problem) => return self.pause_unfit(was, schedule, &problem).await,
        };
        let row = ScheduleRow {
            considered_at: now,
            next_at: times.next_after(now, &zone),
            updated_at: now,
            ..was.clone()
        };
        let because = format!("the clock went back from {} to {now}", was.considered_at);
        let data = json!({ "because": because });
        self.commit_schedule(was, row, "clock_went_back", data)
            .await
    }

    fn by_itself(&self) -> Editor {
        Editor {
            by: chiffon(),
            trace: TraceId::from_uuid(self.clock.fresh_id()),
        }
    }
}

fn missed(passed: Passed) -> Value {
    let many = if passed.more { "more than " } else { "" };
    let because = match passed.count {
        1 => format!("its time {} passed unused", passed.first),
        count => format!(
            "{many}{count} of its times passed unused, from {} on",
            passed.first
        ),
    };
    json!({
        "because": because,
        "first": passed.first,
        "last": passed.last,
        "count": passed.count,
        "more": passed.more,
    })
}
