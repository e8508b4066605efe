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
    /// All of them, in the order of the numbers.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Denied,
        Self::Conflict,
        Self::Waiting,
        Self::Unknown,
        Self::Timeout,
        Self::Interrupted,
    ];

    /// What it says, for the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "It was done.",
            Self::Failure => "It failed.",
            Self::Usage => "The command line, the configuration or the sentence is not permitted.",
            Self::NotFound => "There is nothing of this name or id.",
            Self::Denied => "Not permitted: no valid token, not approved, rejected.",
            Self::Conflict => "Something else came first: answered already, ended already, in use.",
            Self::Waiting => "It waits for a person: an approval, an answer, a clearer sentence.",
            Self::Unknown => "Nobody knows how it ended; look at the host.",
            Self::Timeout => "It took longer than it may.",
            Self::Interrupted => "Ctrl-C.",
        }
    }

    /// The worse of two, for a command that did several things: what nobody knows is worse than what failed, and
    /// what failed is worse than what was never begun.
    pub fn worse(self, other: Self) -> Self {
        const BY_WEIGHT: [Exit; 10] = [
            Exit::Ok,
            Exit::Waiting,
            Exit::Usage,
            Exit::NotFound,
            Exit::Denied,
            Exit::Conflict,
            Exit::Timeout,
            Exit::Failure,
            Exit::Unknown,
            Exit::Interrupted,
        ];
        let weight = |exit: Self| BY_WEIGHT.iter().position(|one| *one == exit);
        match weight(other) > weight(self) {
            true => other,
            false => self,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// For an error that ended the command.
    pub fn of_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::OutcomeUnknown => Self::Unknown,
            // Whatever is known of it, it is not there any more.
            ErrorCode::RequestForgotten => Self::NotFound,
            ErrorCode::UnknownKey | ErrorCode::InvalidValue => Self::Usage,
            // The data folder is no fault of the command line.
            ErrorCode::HomeUnusable => Self::Failure,
            code => match code.http_status() {
                400 | 413 | 415 | 422 => Self::Usage,
                401 | 403 => Self::Denied,
                404 => Self::NotFound,
                409 | 410 | 412 | 428 => Self::Conflict,
                408 | 504 => Self::Timeout,
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
            _ if request.waits_for_person => Self::Waiting,
            _ if !request.ended => Self::Ok,
            _ => match request.problem.as_ref().map(|problem| problem.code) {
                Some(ErrorCode::OutcomeUnknown) => Self::Unknown,
                Some(ErrorCode::TimedOut | ErrorCode::NotStartedInTime) => Self::Timeout,
                _ => Self::Failure,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_exit_code() {
        assert!(Exit::ALL.is_sorted_by(|a, b| a.code() < b.code()));
        let help = crate::args::command().render_long_help().to_string();
        let (_, codes) = help.split_once("Exit codes:").unwrap();
        for exit in Exit::ALL {
            assert!(
                codes.contains(&format!(" {} ", exit.code()))
                    || codes.contains(&format!("\n{} ", exit.code())),
                "{exit:?}"
            );
        }
    }

    #[test]
    fn of_two_ends_the_worse_one_counts() {
        for (one, other, worse) in [
            (Exit::Ok, Exit::Waiting, Exit::Waiting),
            (Exit::Waiting, Exit::Failure, Exit::Failure),
            (Exit::Unknown, Exit::Failure, Exit::Unknown),
            (Exit::Timeout, Exit::Denied, Exit::Timeout),
        ] {
            assert_eq!(one.worse(other), worse);
            assert_eq!(other.worse(one), worse);
        }
        assert!(Exit::ALL.iter().all(|exit| exit.worse(Exit::Ok) == *exit));
    }

    #[test]
    fn errors_have_the_documented_exit_codes() {
        let cases = [
            (ErrorCode::NotFound, 3),
            (ErrorCode::RequestForgotten, 3),
            (ErrorCode::Unauthenticated, 4),
            (ErrorCode::DigestMismatch, 5),
            (ErrorCode::PreconditionFailed, 5),
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

    #[test]
    fn each_end_of_a_request_has_its_exit_code() {
        let request = |state: &str, ended: bool, problem: Option<u16>, asks: bool| {
            let id = "0199e2f4-77a1-7c40-8000-000000000001";
            let mut value = serde_json::json!({
                "request_id": id, "project_id": "default", "room_id": "api", "requester": "local:ada",
                "text": "x", "state": state, "ended": ended, "because": "",
                "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
            });
            if let Some(code) = problem {
                value["problem"] = serde_json::json!({"code": code, "detail": "", "todo": ""});
            }
            if asks {
                value["waits_for_person"] = true.into();
                value["decisions"] = serde_json::json!([{
                    "decision_id": id, "request_id": id, "kind": "interrupted", "state": "pending",
                    "requester": "local:ada", "created_at": "2026-01-02T03:04:05Z",
                    "question": "", "options": [], "deadline": "2026-01-02T03:04:05Z",
                }]);
            }
            serde_json::from_value::<RequestView>(value).unwrap()
        };
        let cases = [
            (request("completed", true, None, false), 0),
            (request("failed", true, Some(5410), false), 1),
            (request("failed", true, Some(5413), false), 7),
            (request("failed", true, Some(5411), false), 8),
            (request("failed", true, Some(5303), false), 8),
            (request("rejected", true, None, false), 4),
            (request("expired", true, None, false), 8),
            (request("cancelled", true, Some(5416), false), 1),
            (request("needs_input", false, None, true), 6),
            (request("awaiting_approval", false, None, true), 6),
            (request("running", false, None, true), 6),
            (request("running", false, None, false), 0),
        ];
        for (request, code) in cases {
            assert_eq!(Exit::of_request(&request).code(), code, "{request:?}");
        }
    }
}
