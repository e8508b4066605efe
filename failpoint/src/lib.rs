//! Places at which a test lets the program die, and known bugs that a test switches on. What must hold afterwards is
//! left to the suites in `tests/`.
//!
//! A **failpoint** is one macro call between two durable steps: `hit!("relay.publish.after")`. Without the feature
//! `enabled` it is nothing, not even its name is in the program. With it (the program `chiffon-faulty`), the variable
//! [`FAILPOINTS`](VARIABLES) says what happens at which hit: `store.commit.after=kill@3;agent.spawn.before=stop`.
//!
//! | action | at that hit of the name in this process |
//! | --- | --- |
//! | `kill` | SIGKILL to itself |
//! | `stop` | SIGSTOP to itself |
//! | `error` | the step fails with "no space left on device", at the places of [`FAILING`] |
//! | `panic` | the task or thread that came there panics |
//! | `note` | nothing but the line in the log |
//!
//! `@3` is the third hit and no other, `@3+` the third and every one after; without it, the first. Each time, the name
//! is first appended, as a line, to the file that `CHIFFON_FAILPOINT_LOG` names, so that a test sees it happen.
//!
//! A **mutant** is one expression, `mutant!("no-inbox")`: `false` without its feature; with it, whether `CHIFFON_MUTANT`
//! holds its name (several are parted by `,`). Each stands for a mistake that a suite must notice (reliability.md section
//! 5, point 4):
//!
//! | mutant | the mistake |
//! | --- | --- |
//! | `ack-before-commit` | the orchestrator acks an agent's message before it is stored |
//! | `approval-not-rebound` | the gate takes the digest that stands beside the plan, and makes none anew |
//! | `audit-git-only` | a change is stored without its audit record; only the ledger tells of it |
//! | `deferred-begin` | a writing transaction begins as a reading one |
//! | `flat-ledger` | all records of the ledger lie in one folder |
//! | `no-fencing` | attempt, sequence number, agent and incarnation of a message are not looked at |
//! | `no-inbox` | a message that was handled is handled again |
//! | `no-lease` | two changes may meet on one host |
//! | `rerun-interrupted` | an attempt whose start is journaled is run again after a crash |
//!
//! Not among them, because this profile has no broker: a publish without `mandatory`, and `NotRequested` taken for a
//! confirm. They come with the backends that know these words.

#[cfg(feature = "enabled")]
mod armed;
mod names;
#[cfg(any(feature = "enabled", feature = "mutants", test))]
mod variables;

#[cfg(any(feature = "enabled", feature = "mutants", test))]
pub use variables::{VARIABLES, arm};

#[cfg(feature = "enabled")]
pub use armed::reached;
pub use names::{ALL, FAILING, MUTANTS};

/// Whether the bug of this name is switched on. Called by [`mutant!`].
#[cfg(feature = "mutants")]
pub fn is_mutant(name: &str) -> bool {
    variables::mutants().contains(name)
}

/// A place between two durable steps. With `error => ...` the step can fail there: `error` is a
/// `std::io::Error`, and what follows is done with it.
#[cfg(feature = "enabled")]
#[macro_export]
macro_rules! hit {
    ($name:literal) => {
        // A place without an arm is never told to fail.
        let _passed = $crate::reached($name);
    };
    ($name:literal, $error:ident => $fail:expr) => {
        if let Some($error) = $crate::reached($name).err() {
            $fail
        }
    };
}

/// A place between two durable steps: nothing, in this program.
#[cfg(not(feature = "enabled"))]
#[macro_export]
macro_rules! hit {
    ($($what:tt)*) => {};
}

/// Whether this known bug is switched on.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::is_mutant($name)
    };
}

/// Whether this known bug is switched on: never, in this program.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}
