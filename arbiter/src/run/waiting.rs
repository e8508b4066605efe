//! What a waiting task waits for, and how a waiting task is put back in line. When a failure is worth
//! another try is left to `retry`, whose turn it is to the engine.

use chiffon_common::TaskId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Effect, TaskState, desk::Desk};

/// What a waiting task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitingOn {
    /// A step before it.
    Dependency,
    /// Another change on its host.
    Lease {
        /// In words, with the holder.
        words: String,
    },
    /// Memory, a GPU, room within a limit.
    Resources {
        /// In words.
        words: String,
    },
    /// An agent with a free slot.
    Agent {
        /// In words.
        words: String,
    },
    /// The thaw.
    Freeze {
        /// In words, with who froze the fleet and why.
        words: String,
    },
    /// A person, because what is stored may be older than what was decided.
    Ledger {
        /// In words, with what to do.
        words: String,
    },
    /// Its next try: what it failed on passes by itself.
    Retry {
        /// When it may be tried again.
        at: Timestamp,
        /// In words, with the reason.
        words: String,
    },
}

impl Desk<'_> {
    /// A new attempt; permitted only after `interrupted`, `refused`, a failure that touched nothing, or a
    /// person's word (DESIGN section 8).
    pub(super) fn wait_again(&mut self, task: TaskId, because: &str) {
        let words = "to be tried again".to_owned();
        self.put_back(task, WaitingOn::Agent { words }, because);
    }

    /// The same after an attempt that had begun and did not come to an end of its own: the next one counts only what it
    /// finds left to do, so it is remembered that there was another before.
    pub(super) fn run_again(&mut self, task: TaskId, because: &str) {
        if let Some(task) = self.run.tasks.get_mut(&task) {
            task.cut_off_before = true;
        }
        self.wait_again(task, because);
    }

    /// The leases go: whoever waits holds nothing up.
    pub(super) fn put_back(&mut self, task: TaskId, on: WaitingOn, because: &str) {
        if let Some(task) = self.run.tasks.get_mut(&task) {
            task.started_at = None;
        }
        if self.run.request.cancelling.is_some() {
            self.move_task(task, TaskState::Cancelled, "a person cancelled the request");
            return;
        }
        if let Some(task) = self.run.tasks.get_mut(&task) {
            task.leases.clear();
            task.progress = 0;
        }
        self.move_task(task, TaskState::Waiting { on }, because);
        self.push(Effect::Wake);
    }
}
