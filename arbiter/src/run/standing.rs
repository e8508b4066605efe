//! The standing approval of a schedule: it answers the question that a request of that schedule asks, as the person
//! who gave it would, if the plan is exactly the one that was read. Whether it was withdrawn meanwhile is for the
//! shell to hold, in the transaction that this ends in.

use chiffon_common::Tier;

use super::{DecisionKind, DecisionState, Refusal, RequestState, StandingApproved, desk::Desk};

impl Desk<'_> {
    pub(super) fn standing_approved(&mut self, given: &StandingApproved) -> Result<(), Refusal> {
        let RequestState::AwaitingApproval { decision } = self.run.request.state else {
            return Err(self.out_of_turn());
        };
        self.is_standing(given)?;
        let question = self.run.decisions.get(&decision);
        let question = question.ok_or(Refusal::NoSuch("question"))?;
        let DecisionKind::Approval { digest, .. } = question.kind else {
            return Err(Refusal::NoSuch("question"));
        };
        if question.state.ended() || self.now > question.deadline {
            return Err(Refusal::DecisionClosed("closed"));
        }
        let (by, schedule) = (&given.standing.approver.id, given.schedule_id);
        let said = format!("standing approval of schedule {schedule}");
        let to = DecisionState::Resolved {
            choice: "approve".to_owned(),
            by: by.clone(),
            at: self.now,
            comment: Some(said.clone()),
        };
        let because = format!("{by} said approve: {said}");
        self.move_decision(decision, to, &because);
        self.approved(decision, by, digest, Some(schedule));
        self.start_running(&format!("approved by {by}: {said}"));
        Ok(())
    }

    /// Not a move: it still waits for a person; only the words change.
    pub(super) fn standing_withheld(&mut self, because: String) -> Result<(), Refusal> {
        let RequestState::AwaitingApproval { .. } = self.run.request.state else {
            return Err(self.out_of_turn());
        };
        if self.run.request.because == because {
            return Err(Refusal::Nothing);
        }
        self.run.request.because = because;
        Ok(())
    }

    /// Everything is held against what was read: believed is only who gave it.
    fn is_standing(&self, given: &StandingApproved) -> Result<(), Refusal> {
        let request = &self.run.request;
        let plan = self.run.plan.as_ref().ok_or(Refusal::NotApproved)?;
        let asks = request.schedule.as_ref().map(|one| one.schedule_id);
        if asks != Some(given.schedule_id) {
            return Err(Refusal::NotStanding("it is of another schedule"));
        }
        if given.standing.approver.kind != "person" {
            return Err(Refusal::NotAPerson);
        }
        if self.now > given.standing.until {
            return Err(Refusal::NotStanding("its date has passed"));
        }
        if plan.tier >= Tier::Two || plan.steps.iter().any(|step| step.tier >= Tier::Two) {
            return Err(Refusal::NotStanding("tier 2 is approved each time"));
        }
        let digest = plan.standing_digest(&request.tenant_id, &request.requester.id, self.rules);
        match digest {
            Ok(digest) if digest == given.standing.digest => Ok(()),
            _ => Err(Refusal::NotStanding("the plan is another one")),
        }
    }
}
