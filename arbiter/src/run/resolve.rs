//! A person's word on a task whose outcome is open. It is the answer to the question about that task, asked
//! at that moment if nobody had asked it yet, so that it is recorded once and with who gave it.

use super::{Answered, Refusal, Resolved, TaskState, desk::Desk};

impl Desk<'_> {
    pub(super) fn resolved(&mut self, word: Resolved) -> Result<(), Refusal> {
        let task = self.task(word.task)?;
        let open = match task.state {
            TaskState::Unknown { .. } => task.does(task.step),
            TaskState::Interrupted { .. } => true,
            _ => false,
        };
        if !open {
            return Err(Refusal::OutcomeKnown(task.state.name()));
        }
        if task.state.asked().is_none() {
            self.ask_unknown(word.task);
        }
        let task = self.task(word.task)?;
        let decision = task.state.asked().ok_or(Refusal::NoSuch("question"))?;
        self.answered(Answered {
            decision,
            choice: word.choice,
            by: word.by,
            digest: None,
            confirm: None,
            comment: word.comment,
        })
    }
}
