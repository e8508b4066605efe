//! Why a command did not do what it was asked. How that is shown is left to `render`.

use chiffon_common::{ErrorCode, FieldError, Problem};

use crate::exit::Exit;

/// The end of a command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened and why; one sentence.
    pub what: String,
    /// What to do next.
    pub todo: String,
    /// The code, for errors that have a page.
    pub code: Option<ErrorCode>,
    /// The places that do not fit, where what was given can be pointed at.
    pub errors: Vec<FieldError>,
    /// How the program ends.
    pub exit: Exit,
}

impl Failure {
    /// The command line cannot be carried out as it stands.
    pub fn usage(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::plain(Exit::Usage, what, todo)
    }

    /// A failure of the command line itself, without a page.
    pub fn plain(exit: Exit, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            todo: todo.into(),
            code: None,
            errors: Vec::new(),
            exit,
        }
    }

    /// A fault of this program.
    pub fn internal(what: impl Into<String>) -> Self {
        Problem::new(
            ErrorCode::Internal,
            what,
            "Try again; if it happens again, please report it.",
        )
        .into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            exit: Exit::of_error(problem.code),
            what: problem.detail,
            todo: problem.todo,
            code: Some(problem.code),
            errors: problem.errors,
        }
    }
}
