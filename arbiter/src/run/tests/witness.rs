//! Who watches every start from outside: what was planned and approved is remembered apart from the slice, and each
//! effect that gives work to an agent is held against that memory, whatever event it follows from.

use super::*;

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// What the planner made, whole.
    planned: Option<Plan>,
    /// Under which rules.
    rules: Option<Digest>,
    /// When a person has approved it.
    approved: Option<Timestamp>,
}

impl World {
    /// Learns from what was accepted, and looks at every start.
    pub(super) fn witness(&mut self, before: &Run, event: &RunEvent, moved: &Moved) {
        match event {
            RunEvent::Planned { plan } | RunEvent::PreviewSealed { plan }
                if moved.run.plan.as_ref() == Some(plan) =>
            {
                self.witness.planned = Some(plan.as_ref().clone());
                self.witness.rules = Some(self.rules);
            }
            RunEvent::Answered(answer) if answer.choice == "approve" => {
                assert_eq!(answer.by.kind, "person", "not a person approved");
                assert!(self.witness.approved.is_none(), "approved twice");
                self.witness.approved = Some(self.now.max(before.latest()));
            }
            RunEvent::StandingApproved(given) => {
                assert_eq!(given.standing.approver.kind, "person");
                assert!(self.now <= given.standing.until, "approved too late");
                assert!(self.witness.approved.is_none(), "approved twice");
                self.witness.approved = Some(self.now.max(before.latest()));
            }
            _ => {}
        }
        for effect in &moved.effects {
            if let Effect::Dispatch { task } = effect {
                self.see_start(before, &moved.run.tasks[task]);
            }
        }
    }

    fn see_start(&self, before: &Run, task: &Task) {
        assert_eq!(self.frozen, None, "started in a frozen fleet");
        assert_eq!(before.request.cancelling, None, "started while cancelled");
        assert_eq!(
            self.witness.rules,
            Some(self.rules),
            "started under other rules"
        );
        assert_eq!(before.plan, self.witness.planned, "started another plan");
        let planned = self.witness.planned.as_ref().unwrap();
        if task.mode == Mode::Check {
            assert_eq!(before.request.state, RequestState::Previewing);
            return;
        }
        let is_running = matches!(before.request.state, RequestState::Running { deadline } if self.now <= deadline);
        assert!(is_running, "started out of turn");
        if planned.tier == Tier::Zero {
            return;
        }
        let approved = self.witness.approved.expect("started without approval");
        let is_first = before
            .tasks
            .values()
            .all(|one| one.mode == Mode::Check || one.attempt == 0);
        let good_for = SignedDuration::from_secs(planned.good_for_seconds as i64);
        assert!(
            !is_first || self.now <= approved + good_for,
            "the approval had run out"
        );
    }
}
