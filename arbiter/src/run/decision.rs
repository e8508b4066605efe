//! How a question is answered, and what the answer moves.

use chiffon_common::{DecisionId, Digest, ErrorCode, Principal, Problem, ScheduleId, TaskId, Tier};

use super::{
    Answered, Approval, Decision, DecisionKind, DecisionState, Refusal, RequestState, TaskState,
    desk::Desk, gate::good_until,
};

impl Desk<'_> {
    pub(super) fn answered(&mut self, answer: Answered) -> Result<(), Refusal> {
        let decision = self
            .run
            .decisions
            .get(&answer.decision)
            .ok_or(Refusal::NoSuch("question"))?
            .clone();
        self.may_answer(&decision, &answer)?;
        if matches!(decision.kind, DecisionKind::Question { .. }) {
            return self.chosen(&decision, answer);
        }
        let to = DecisionState::Resolved {
            choice: answer.choice.clone(),
            by: answer.by.id.clone(),
            at: self.now,
            comment: answer.comment.clone(),
        };
        let because = format!("{} said {}", answer.by.id, answer.choice);
        self.move_decision(decision.decision_id, to, &because);
        match decision.kind {
            DecisionKind::Approval { digest, .. } if answer.choice == "approve" => {
                self.approved(decision.decision_id, &answer.by.id, digest, None);
                self.start_running(&format!("approved by {}", answer.by.id));
            }
            DecisionKind::Approval { .. } => {
                let to = RequestState::Rejected {
                    by: answer.by.id.clone(),
                };
                self.move_request(to, format!("rejected by {}", answer.by.id));
            }
            // Its options are answers in words.
            DecisionKind::Question { .. } => {}
            DecisionKind::Interrupted { task } => {
                self.interrupted_answered(task, &answer.choice, &because)
            }
            DecisionKind::UnknownOutcome { task } => {
                self.unknown_answered(task, &answer.choice, &because)
            }
        }
        Ok(())
    }

    /// The approval that an answer gives.
    pub(super) fn approved(
        &mut self,
        decision: DecisionId,
        approver: &str,
        digest: Digest,
        standing: Option<ScheduleId>,
    ) {
        let plan = self.run.plan.as_ref();
        let good_until = plan.map_or(self.now, |plan| good_until(plan, self.now));
        self.run.request.approval = Some(Approval {
            decision,
            approver: approver.to_owned(),
            digest,
            at: self.now,
            good_until,
            used_at: None,
            standing,
        });
    }

    fn may_answer(&self, decision: &Decision, answer: &Answered) -> Result<(), Refusal> {
        self.is_open(decision, &answer.by)?;
        if !decision.options.contains(&answer.choice) {
            return Err(Refusal::InvalidChoice {
                options: decision.options.clone(),
            });
        }
        if let (Some(cancelling), "retry") = (&self.run.request.cancelling, answer.choice.as_str())
        {
            let by = cancelling.by.clone();
            return Err(Refusal::NothingStarts { by });
        }
        match &decision.kind {
            DecisionKind::Approval {
                digest,
                tier,
                hosts,
            } => {
                // A no is a no to whatever plan it was; a digest that is named must be the right one all the same.
                let is_bound = answer.choice == "approve" || answer.digest.is_some();
                if is_bound && answer.digest != Some(*digest) {
                    return Err(Refusal::WrongDigest { expected: *digest });
                }
                let asks_for_more = *tier == Tier::Two && answer.choice == "approve";
                let requester = &self.run.request.requester;
                let is_same = answer.by.id == requester.id;
                // Who stands behind a service (the author of a proposal in git, say) nobody can tell: it may
                // be the very person who approves.
                if !asks_for_more || !(is_same || requester.kind != "person") {
                    return Ok(());
                }
                if is_same && !self.policy.single_person {
                    return Err(Refusal::OtherPerson {
                        requester: self.run.request.requester.id.clone(),
                    });
                }
                let names: Vec<_> = hosts.iter().map(chiffon_common::HostName::as_str).collect();
                let typed = answer.confirm.as_deref().map(str::trim);
                if typed.is_some_and(|typed| names.contains(&typed)) {
                    Ok(())
                } else {
                    Err(Refusal::TypeHost {
                        hosts: names.join(" or "),
                    })
                }
            }
            DecisionKind::Question { .. }
            | DecisionKind::Interrupted { .. }
            | DecisionKind::UnknownOutcome { .. } => Ok(()),
        }
    }

    /// Who ended the request, or is about to.
    fn cancelled_by(&self) -> Option<String> {
        match &self.run.request.state {
            RequestState::Cancelled { by } => Some(by.clone()),
            state if state.ended() => None,
            _ => self
                .run
                .request
                .cancelling
                .as_ref()
                .map(|cancelling| cancelling.by.clone()),
        }
    }

    /// Whether a question can still be answered, and by whom.
    pub(super) fn is_open(&self, decision: &Decision, by: &Principal) -> Result<(), Refusal> {
        if decision.state.ended() {
            return Err(match self.cancelled_by() {
                Some(by) => Refusal::Cancelled { by },
                None => Refusal::DecisionClosed(decision.state.name()),
            });
        }
        if self.now > decision.deadline {
            return Err(Refusal::DecisionClosed("expired"));
        }
        // Who may ask may also say what was meant; it permits nothing.
        let is_question = matches!(decision.kind, DecisionKind::Question { .. });
        if by.kind != "person" && !(is_question && by.kind == "service") {
            return Err(Refusal::NotAPerson);
        }
        Ok(())
    }

    fn interrupted_answered(&mut self, task: TaskId, choice: &str, because: &str) {
        match choice {
            "retry" => {
                self.extend_deadline();
                self.run_again(task, because);
            }
            // Somebody looked, and it was done all the same.
            "completed" => self.move_task(task, TaskState::Completed, because),
            _ => {
                let problem = Problem::new(
                    ErrorCode::Interrupted,
                    "the run was cut off, and a person decided not to run it again",
                    "look at the host, then ask again",
                );
                self.move_task(task, TaskState::Failed { problem }, because);
            }
        }
    }

    fn unknown_answered(&mut self, task: TaskId, choice: &str, because: &str) {
        match choice {
            "completed" => self.move_task(task, TaskState::Completed, because),
            "retry" => {
                self.extend_deadline();
                self.run_again(task, because);
            }
            _ => {
                let problem = Problem::new(
                    ErrorCode::OutcomeUnknown,
                    "contact with the run was lost, and a person decided that it failed",
                    "look at the host, then ask again",
                );
                self.move_task(task, TaskState::Failed { problem }, because);
            }
        }
    }

    pub(super) fn decision_timer(&mut self, id: DecisionId) -> Result<(), Refusal> {
        let decision = self
            .run
            .decisions
            .get(&id)
            .ok_or(Refusal::NoSuch("question"))?
            .clone();
        if decision.state.ended() {
            return Err(Refusal::Nothing);
        }
        self.move_decision(
            id,
            DecisionState::TimedOut { at: self.now },
            "nobody answered in time",
        );
        match decision.kind {
            DecisionKind::Approval { .. } => self.expire("nobody answered in time"),
            DecisionKind::Question { .. } => self.question_unanswered(),
            DecisionKind::Interrupted { task } => {
                let problem = Problem::new(
                    ErrorCode::Interrupted,
                    "the run was cut off, and nobody decided in time whether to run it again",
                    "look at the host, then ask again",
                );
                self.move_task(
                    task,
                    TaskState::Failed { problem },
                    "cut off after it had begun; nobody answered in time",
                );
            }
            DecisionKind::UnknownOutcome { task } => self.give_up_unknown(task),
        }
        Ok(())
    }
}
