//! The exit codes of the program (C10), in one place. Scripts rely on them: a number never changes its
//! meaning.

use chiffon_common::{ErrorCode, api::RequestView};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done.
    Ok = 0,
    /// It failed.
    Failure = 1,
    /// The command line, the configuration or the sentence is not permitted.
    Usage = 2,
    /// There is nothing of this name or id.
    NotFound = 3,
    /// Not permitted: no valid token, not approved, rejected.
    Denied = 4,
    /// Something else came first: answered already, ended already, in use.
    Conflict = 5,
    /// It waits for a person: an approval, an answer, a clearer sentence.
    Waiting = 6,
    /// Nobody knows how it ended; look at the host.
    Unknown = 7,
    /// It took longer than it may.
    Timeout = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// For an error that ended the command.
    pub fn of_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::OutcomeUnknown => Self::Unknown,
            ErrorCode::UnknownKey | ErrorCode::InvalidValue => Self::Usage,
            // The data folder is no fault of the command line.
            ErrorCode::HomeUnusable => Self::Failure,
            code => match code.http_status() {
                400 | 413 | 415 | 422 => Self::Usage,
                401 | 403 => Self::Denied,
                404 => Self::NotFound,
                409 | 410 => Self::Conflict,
                504 => Self::Timeout,
                _ => Self::Failure,
            },
        }
    }

    /// For a request as it stands when the command ends.
    pub fn of_request(request: &RequestView) -> Self {
        match request.state.as_str() {
            "completed" => Self::Ok,
            "rejected" => Self::Denied,
            "expired" => Self::Timeout,
            "needs_input" | "awaiting_approval" => Self::Waiting,
            _ if waits_for_a_person(request) => Self::Waiting,
            _ if !request.ended => Self::Ok,
            _ => match request.problem.as_ref().map(|problem| problem.code) {
                Some(ErrorCode::OutcomeUnknown) => Self::Unknown,
                Some(ErrorCode::TimedOut | ErrorCode::NotStartedInTime) => Self::Timeout,
                _ => Self::Failure,
            },
        }
    }
}

/// Whether a question to a person is open.
pub fn waits_for_a_person(request: &RequestView) -> bool {
    request.decisions.iter().any(|one| one.state == "pending")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_documented_exit_codes() {
        let cases = [
            (ErrorCode::NotFound, 3),
            (ErrorCode::Unauthenticated, 4),
            (ErrorCode::DigestMismatch, 5),
            (ErrorCode::HomeInUse, 5),
            (ErrorCode::PortInUse, 5),
            (ErrorCode::EmptyRequest, 2),
            (ErrorCode::UnknownKey, 2),
            (ErrorCode::HomeUnusable, 1),
            (ErrorCode::OutcomeUnknown, 7),
            (ErrorCode::TimedOut, 8),
            (ErrorCode::Internal, 1),
        ];
        for (code, exit) in cases {
            assert_eq!(Exit::of_error(code).code(), exit, "{code}");
        }
    }
}
