//! What persons do to schedules: make, change, pause, resume, remove, approve for every time. Each changes the row from
//! the version that was read, with its audit record in the same commit.

use chiffon_common::{
    AuditEntry, CanonicalError, EntryCall, ErrorCode, Missed, Problem, ProjectId, ScheduleId,
    Standing, Subject, When,
};
use chiffon_store::{Check, Commit, Error, Expected, ScheduleRow, Write};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Schedule, proof::APPROVED, proof::of_edit, schedule_view};
use crate::engine::{Editor, KeptAnswer, KeyClaim, Shared};

/// The most schedules of one tenant: more would be a program that forgets to remove its own.
const MOST: u64 = 1_000;

/// A schedule as a person says it, read and held against catalogue and inventory.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) when: When,
    pub(crate) zone: String,
    pub(crate) missed: Missed,
    pub(crate) text: String,
    pub(crate) call: Option<EntryCall>,
    pub(crate) project_id: ProjectId,
}

/// A person's word on whether it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toggle {
    /// Not for now.
    Pause,
    /// Again, from now on.
    Resume,
}

/// What a person does to a schedule that is there.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Says anew what it is.
    Change(Draft),
    /// Lets it ask, or not.
    Toggle(Toggle),
    /// Gives a standing approval, or withdraws it.
    Stand(Option<Standing>),
    /// Removes it; what it has asked goes on.
    Remove,
}

/// Why a schedule was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    #[error("schedule cannot be stored")]
    Unwritable(#[from] serde_json::Error),
    #[error("schedule has no canonical form")]
    Canonical(#[from] CanonicalError),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Problem> for EditError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl Shared {
    /// Makes a schedule.
    pub(crate) async fn make_schedule(
        &self,
        draft: Draft,
        editor: &Editor,
        claim: Option<&KeyClaim>,
    ) -> Result<ScheduleRow, EditError> {
        let (tenant, now) = (&self.settings.tenant, self.clock.now());
        let schedule_id = ScheduleId::from_uuid(self.clock.fresh_id());
        let room_id = format!("schedule:{schedule_id}").parse().map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("{error}"),
                "please report this",
            )
        })?;
        let schedule = Schedule {
            title: draft.title,
            when: draft.when,
            zone: draft.zone,
            missed: draft.missed,
            text: draft.text,
            call: draft.call,
            room_id,
            owner: editor.by.clone(),
            because: format!("made by {}", editor.by.id),
            last: None,
            missed_count: 0,
            standing: None,
        };
        let row = ScheduleRow {
            tenant_id: tenant.clone(),
            schedule_id,
            project_id: draft.project_id,
            state: "active".to_owned(),
            version: 1,
            next_at: Some(next_of(&schedule, now)?),
            considered_at: now,
            open_request: None,
            created_at: now,
            updated_at: now,
            doc: serde_json::to_value(&schedule)?,
        };
        let kept = KeptAnswer {
            status: 201,
            body: serde_json::to_value(schedule_view(&row)?)?,
        };
        let commit = Commit {
            tenant_id: tenant.clone(),
            idempotency: claim.map(|claim| claim.with(&kept, now)).transpose()?,
            checks: vec![Check::FewerSchedules { than: MOST }],
            writes: vec![Write::Schedule(Expected::Absent, row.clone())],
            audit: vec![of_edit(
                self.audit_of_schedule(&row, "made", editor, said(&schedule)),
                None,
                Some(&row),
            )?],
            ..Commit::default()
        };
        match self.commit(commit).await {
            Ok(_) => {}
            // Nothing else of a schedule that is new can be in anybody's way.
            Err(Error::Conflict { .. }) => return Err(too_many().into()),
            Err(error) => return Err(error.into()),
        }
        self.nudges.schedules.notify_one();
        Ok(row)
    }

    /// Changes a schedule from the version that was read; the row as it is then, or was last.
    pub(crate) async fn edit_schedule(
        &self,
        was: &ScheduleRow,
        edit: &Edit,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        match edit {
            Edit::Change(draft) => self.change_schedule(was, draft.clone(), editor).await,
            Edit::Toggle(to) => self.toggle_schedule(was, *to, editor).await,
            Edit::Stand(standing) => self.stand_by(was, standing.clone(), editor).await,
            Edit::Remove => self.remove_schedule(was, editor).await,
        }
    }

    /// Says anew what it is. Who says what is asked owns it from then on, and what was approved for the old plan is
    /// withdrawn.
    async fn change_schedule(
        &self,
        was: &ScheduleRow,
        draft: Draft,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        let now = self.clock.now();
        let mut schedule = Schedule::read(was)?;
        let asks_other = (&schedule.text, &schedule.call) != (&draft.text, &draft.call);
        let comes_other = (&schedule.when, &schedule.zone) != (&draft.when, &draft.zone);
        if asks_other {
            schedule.owner = editor.by.clone();
            schedule.standing = None;
        }
        schedule.title = draft.title;
        schedule.when = draft.when;
        schedule.zone = draft.zone;
        schedule.missed = draft.missed;
        schedule.text = draft.text;
        schedule.call = draft.call;
        schedule.because = format!("changed by {}", editor.by.id);
        let mut row = ScheduleRow {
            project_id: draft.project_id,
            ..was.clone()
        };
        if comes_other {
            schedule.missed_count = 0;
            row.considered_at = now;
            let next = next_of(&schedule, now)?;
            if row.state != "paused" {
                row.state = "active".to_owned();
                row.next_at = Some(next);
            }
        }
        self.put_schedule(was, row, &schedule, "changed", editor)
            .await
    }

    /// Lets it ask, or not. Times that come while it is paused are nobody's loss.
    async fn toggle_schedule(
        &self,
        was: &ScheduleRow,
        to: Toggle,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        let now = self.clock.now();
        let mut schedule = Schedule::read(was)?;
        let mut row = was.clone();
        let action = match (to, was.state.as_str()) {
            (Toggle::Pause, "paused") | (Toggle::Resume, "active") => return Ok(row),
            (Toggle::Pause, "ended") => {
                let detail = "the schedule has ended, so there is nothing to pause";
                let todo = "give it another time with `chiffon schedule edit`, or remove it";
                return Err(Problem::new(ErrorCode::Conflict, detail, todo).into());
            }
            (Toggle::Pause, _) => {
                (row.state, row.next_at) = ("paused".to_owned(), None);
                "paused"
            }
            (Toggle::Resume, _) => {
                row.next_at = Some(next_of(&schedule, now)?);
                row.state = "active".to_owned();
                row.considered_at = now;
                schedule.missed_count = 0;
                "resumed"
            }
        };
        schedule.because = format!("{action} by {}", editor.by.id);
        self.put_schedule(was, row, &schedule, action, editor).await
    }

    /// Gives a standing approval, or withdraws it.
    async fn stand_by(
        &self,
        was: &ScheduleRow,
        standing: Option<Standing>,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        let mut schedule = Schedule::read(was)?;
        let action = match standing {
            Some(_) => APPROVED,
            None => "approval_withdrawn",
        };
        schedule.standing = standing;
        self.put_schedule(was, was.clone(), &schedule, action, editor)
            .await
    }

    async fn put_schedule(
        &self,
        was: &ScheduleRow,
        row: ScheduleRow,
        schedule: &Schedule,
        action: &str,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        let row = ScheduleRow {
            version: was.version + 1,
            updated_at: self.clock.now(),
            doc: serde_json::to_value(schedule)?,
            ..row
        };
        let commit = Commit {
            tenant_id: row.tenant_id.clone(),
            writes: vec![Write::Schedule(Expected::Version(was.version), row.clone())],
            audit: vec![of_edit(
                self.audit_of_schedule(&row, action, editor, said(schedule)),
                Some(was),
                Some(&row),
            )?],
            ..Commit::default()
        };
        self.commit(commit).await?;
        self.nudges.schedules.notify_one();
        Ok(row)
    }

    /// Removes it. What it has asked goes on.
    async fn remove_schedule(
        &self,
        was: &ScheduleRow,
        editor: &Editor,
    ) -> Result<ScheduleRow, EditError> {
        let said = said(&Schedule::read(was)?);
        let record = self.audit_of_schedule(was, "removed", editor, said);
        let commit = Commit {
            tenant_id: was.tenant_id.clone(),
            writes: vec![Write::RemoveSchedule {
                schedule_id: was.schedule_id,
                version: was.version,
            }],
            audit: vec![of_edit(record, Some(was), None)?],
            ..Commit::default()
        };
        self.commit(commit).await?;
        Ok(was.clone())
    }

    /// The record of what became of a schedule.
    pub(super) fn audit_of_schedule(
        &self,
        row: &ScheduleRow,
        action: &str,
        editor: &Editor,
        data: Value,
    ) -> AuditEntry {
        let target = Subject {
            kind: "schedule".to_owned(),
            id: row.schedule_id.to_string(),
        };
        let action = format!("schedule.{action}");
        AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            project_id: Some(row.project_id.clone()),
            ..self.audit_of_fleet(&action, target, "schedule", Vec::new(), data)
        }
    }
}

fn too_many() -> Problem {
    let detail = format!("there are {MOST} schedules, which is as many as there may be");
    let todo = "remove one that nobody needs; `chiffon schedule list` shows them";
    Problem::new(ErrorCode::TooManySchedules, detail, todo)
}

/// The first time from now on, which must come.
fn next_of(schedule: &Schedule, now: Timestamp) -> Result<Timestamp, Problem> {
    let (times, zone) = schedule.times()?;
    times.next_after(now, &zone).ok_or_else(|| {
        let detail = match schedule.when {
            When::At(at) => {
                let now = now.strftime("%Y-%m-%dT%H:%M:%SZ");
                format!("{at} has passed: it is {now}")
            }
            When::Cron(_) => "it never comes within the next ten years".to_owned(),
        };
        let todo = "name a time that comes; one without an offset is of the schedule's zone";
        Problem::new(ErrorCode::TimePassed, detail, todo)
    })
}

/// What a record says of it: what it would ask is not repeated in words, which may be anybody's.
fn said(schedule: &Schedule) -> Value {
    json!({
        "because": schedule.because,
        "owner": schedule.owner.id,
        "when": schedule.when,
        "zone": schedule.zone,
        "missed": schedule.missed,
        "entry": schedule.call.as_ref().map(|call| &call.entry),
        "standing": schedule.standing,
    })
}
