//! Rows of a list that cannot be read from the database: they are named beside the others, and take nothing with them.

use chiffon_common::{Problem, RequestId, api::UnreadableRow};
use chiffon_store::{DecisionRow, PlanRow, RequestRow, TaskRow};

use super::problem::{Refused, unreadable};
use crate::engine::AdvanceError;

/// What became of reading what belongs to a row.
pub(super) enum Read<T> {
    /// It is here.
    Here(T),
    /// It went since the list was read.
    Gone,
    /// One of its documents cannot be read.
    Spoiled(Problem),
}

/// A spoiled row is no error of the list; the database not answering is.
pub(super) fn read<T>(found: Result<T, AdvanceError>) -> Result<Read<T>, Refused> {
    match found {
        Ok(found) => Ok(Read::Here(found)),
        Err(AdvanceError::NoRequest | AdvanceError::Forgotten(_)) => Ok(Read::Gone),
        Err(AdvanceError::Unreadable(error)) => Ok(Read::Spoiled(unreadable(&error))),
        Err(error) => Err(error.into()),
    }
}

/// What the columns of a row say, whatever its document does.
pub(super) trait Columns {
    /// The row, with what is wrong with it.
    fn with(&self, problem: Problem) -> UnreadableRow;
}

fn row(
    kind: &str,
    id: impl ToString,
    request_id: RequestId,
    created_at: jiff::Timestamp,
    problem: Problem,
) -> UnreadableRow {
    UnreadableRow {
        kind: kind.to_owned(),
        id: id.to_string(),
        request_id,
        state: None,
        created_at,
        problem,
    }
}

impl Columns for RequestRow {
    fn with(&self, problem: Problem) -> UnreadableRow {
        UnreadableRow {
            state: Some(self.state.clone()),
            ..row(
                "request",
                self.request_id,
                self.request_id,
                self.created_at,
                problem,
            )
        }
    }
}

impl Columns for TaskRow {
    fn with(&self, problem: Problem) -> UnreadableRow {
        UnreadableRow {
            state: Some(self.state.clone()),
            ..row(
                "task",
                self.task_id,
                self.request_id,
                self.created_at,
                problem,
            )
        }
    }
}

impl Columns for DecisionRow {
    fn with(&self, problem: Problem) -> UnreadableRow {
        UnreadableRow {
            state: Some(self.state.clone()),
            ..row(
                "decision",
                &self.decision_id,
                self.request_id,
                self.created_at,
                problem,
            )
        }
    }
}

impl Columns for PlanRow {
    fn with(&self, problem: Problem) -> UnreadableRow {
        row(
            "plan",
            self.request_id,
            self.request_id,
            self.created_at,
            problem,
        )
    }
}
