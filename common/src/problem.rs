//! A problem: what happened, why, and what to do, under a code. The one error form that reaches people.

use serde::{Deserialize, Serialize};

use crate::ErrorCode;

/// An error for people and programs. On HTTP it becomes RFC 9457 problem+json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The code; its page is docs/errors/<code>.md.
    pub code: ErrorCode,
    /// What happened and why, one sentence with the values that matter; redacted.
    pub detail: String,
    /// What to do next: a command where there is one.
    pub todo: String,
}

impl Problem {
    /// A problem with its explanation and the next step.
    pub fn new(code: ErrorCode, detail: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            todo: todo.into(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (error {})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}
