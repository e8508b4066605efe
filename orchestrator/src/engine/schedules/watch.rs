//! The runs of schedules: until one has ended, its schedule is not due again; where one asks for approval, a standing
//! approval answers, if it is for exactly this plan.

use chiffon_arbiter::{Refusal, RequestState, Run, RunEvent, StandingApproved};
use chiffon_store::{Check, Commit, Error, Expected, ScheduleRow, Write};
use serde_json::json;

use super::Schedule;
use crate::engine::{AdvanceError, Advanced, Cause, Shared, scribe::Ground};

/// How the words begin of a request whose schedule has a standing approval that is not for it.
const WITHHELD: &str = "waits for a person: the standing approval of schedule";
/// Schedules looked at in one go.
const PAGE: u32 = 100;

impl Shared {
    /// Looks after all runs that had not ended when they were looked at last.
    pub(super) async fn watch_schedules(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.store.watched_schedules(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.open_request;
            for row in &page {
                if let Err(error) = self.watch(row).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, schedule.id = %row.schedule_id, "the run of a schedule cannot be looked at; trying again");
                }
            }
        }
    }

    async fn watch(&self, row: &ScheduleRow) -> Result<(), AdvanceError> {
        let Some(request) = row.open_request else {
            return Ok(());
        };
        let run = match self.load(request).await {
            Ok((run, _)) => run,
            Err(AdvanceError::NoRequest | AdvanceError::Forgotten(_)) => {
                return self.run_has_ended(row).await;
            }
            Err(error) => return Err(error),
        };
        if run.request.state.ended() {
            return self.run_has_ended(row).await;
        }
        if matches!(run.request.state, RequestState::AwaitingApproval { .. }) {
            return self.answer_as_agreed(row, &run).await;
        }
        Ok(())
    }

    /// Follows from the request, which has its own record.
    async fn run_has_ended(&self, row: &ScheduleRow) -> Result<(), AdvanceError> {
        let free = ScheduleRow {
            open_request: None,
            ..row.clone()
        };
        let commit = Commit {
            tenant_id: row.tenant_id.clone(),
            writes: vec![Write::Schedule(Expected::Version(row.version), free)],
            ..Commit::default()
        };
        match self.commit(commit).await {
            // Somebody changed it meanwhile; it is looked at again.
            Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the standing approval of its schedule answers what a request asks, as soon as that is looked at, so that
    /// nobody else is to be asked yet.
    pub(crate) async fn will_answer(&self, run: &Run) -> bool {
        let request = &run.request;
        let asks = matches!(request.state, RequestState::AwaitingApproval { .. });
        let Some(of) = request.schedule.as_ref().filter(|_| asks) else {
            return false;
        };
        if request.because.starts_with(WITHHELD) {
            return false;
        }
        let row = self
            .store
            .schedule(&request.tenant_id, of.schedule_id)
            .await;
        row.ok().flatten().is_some_and(|row| {
            let stands = Schedule::read(&row).is_ok_and(|schedule| schedule.standing.is_some());
            stands && row.open_request == Some(request.request_id)
        })
    }

    async fn answer_as_agreed(&self, row: &ScheduleRow, run: &Run) -> Result<(), AdvanceError> {
        let Some(standing) = Schedule::read(row)?.standing else {
            return Ok(());
        };
        let request = run.request.request_id;
        match self.ground() {
            Ground::Firm => {}
            // Looked at again with the next round.
            Ground::Unlooked => return Ok(()),
            Ground::Parted(how) => {
                let fault = format!("{}, and it may have been withdrawn since", how.words());
                let todo = "`chiffon audit verify` says what to do";
                return self.withhold(row, run, &fault, todo).await;
            }
        }
        if let Some(fault) = self.standing_fault(row).await? {
            let todo = "`chiffon audit verify` names what was edited, `chiffon schedule approve` gives it anew";
            return self.withhold(row, run, &fault, todo).await;
        }
        let approved = StandingApproved {
            schedule_id: row.schedule_id,
            standing: standing.clone(),
        };
        let cause = Cause {
            rule: "standing_approval",
            data: json!({ "schedule_id": row.schedule_id, "standing": standing }),
            // Withdrawn in this very moment, it is not used any more.
            checks: vec![Check::Schedule {
                schedule_id: row.schedule_id,
                version: row.version,
            }],
            ..Cause::by(standing.approver.clone(), "standing_approval")
        };
        let event = RunEvent::StandingApproved(approved);
        match self.advance(request, event, cause).await {
            Ok(Advanced::Refused(Refusal::NotStanding(fault))) => {
                let todo = "`chiffon schedule approve` gives one for the plan as it is now";
                self.withhold(row, run, fault, todo).await
            }
            Ok(Advanced::Refused(refusal)) => {
                let todo = "approve or reject it yourself";
                self.withhold(row, run, &refusal.to_string(), todo).await
            }
            Ok(_) | Err(AdvanceError::Store(Error::Conflict { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An approval for another plan, or one that no person's recorded word led to, approves nothing: a person decides, and
    /// is told why.
    async fn withhold(
        &self,
        row: &ScheduleRow,
        run: &Run,
        fault: &str,
        todo: &str,
    ) -> Result<(), AdvanceError> {
        let id = row.schedule_id;
        let now = self.store.schedule(&row.tenant_id, id).await?;
        let because = format!("{WITHHELD} {id} is not used, because {fault}; {todo}");
        // It may have been changed between the reads; then it is looked at again.
        let is_as_read = now.is_some_and(|now| now.version == row.version);
        if !is_as_read || run.request.because == because {
            return Ok(());
        }
        tracing::warn!(schedule.id = %id, request.id = %run.request.request_id, fault, "a standing approval is not used");
        let event = RunEvent::StandingWithheld { because };
        let cause = Cause::own("standing_withheld");
        self.advance(run.request.request_id, event, cause)
            .await
            .map(drop)
    }
}
