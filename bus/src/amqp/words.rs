//! What the broker's errors mean, and in which words they are told.

use lapin::{Error, ErrorKind};

use crate::Refusal;

/// Codes of AMQP 0-9-1 that are told apart here.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// What an error comes to.
pub(super) enum Meaning {
    /// The login may not do it, or may not log in.
    Refused,
    /// There is no such queue or exchange.
    Missing,
    /// It exists otherwise; the broker's words, which name the argument.
    Otherwise(String),
    /// Anything else: the connection is gone, or will be.
    Trouble,
}

pub(super) fn meaning(error: &Error) -> Meaning {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return Meaning::Trouble;
    };
    match said.get_id() {
        ACCESS_REFUSED => Meaning::Refused,
        NOT_FOUND => Meaning::Missing,
        PRECONDITION_FAILED => Meaning::Otherwise(said.get_message().to_string()),
        _ => Meaning::Trouble,
    }
}

/// In words, for people.
pub(super) fn words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "it has said nothing for too long".to_owned(),
        _ => error.to_string(),
    }
}

/// That a login lacks a permission: which one, on what.
pub(super) fn refusal(user: &str, operation: &'static str, resource: &str) -> Refusal {
    Refusal {
        user: user.to_owned(),
        operation,
        resource: resource.to_owned(),
    }
}
