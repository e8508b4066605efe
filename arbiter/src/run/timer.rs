//! Names of the timers of a slice. They go out as rows and come back as [`super::RunEvent::TimerFired`].

use std::{fmt, str::FromStr};

use chiffon_common::{DecisionId, TaskId};
use serde::{Deserialize, Serialize};

/// One timer of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerName {
    /// Whose.
    pub subject: TimerSubject,
    /// Which.
    pub kind: TimerKind,
}

/// Whose timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerSubject {
    /// The request's.
    Request,
    /// A task's.
    Task(TaskId),
    /// A decision's.
    Decision(DecisionId),
}

/// Which timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// The state must have been left by then.
    Deadline,
    /// The approval must have been used by then.
    Approval,
    /// It must have started by then (schedule to start).
    Start,
    /// It must have been acknowledged by then, or it is sent again.
    Ack,
    /// The agent must have been heard of since.
    Contact,
    /// It must have ended by then (start to close).
    End,
    /// What is unknown must have been resolved by then.
    Resolve,
    /// What failed for a while may be tried again from then on.
    Again,
    /// By then the agent has ended the run by itself, whoever could not hear of it: its hosts are free.
    Lease,
}

impl TimerKind {
    const NAMES: [(Self, &str); 9] = [
        (Self::Deadline, "deadline"),
        (Self::Approval, "approval"),
        (Self::Start, "start"),
        (Self::Ack, "ack"),
        (Self::Contact, "contact"),
        (Self::End, "end"),
        (Self::Resolve, "resolve"),
        (Self::Again, "again"),
        (Self::Lease, "lease"),
    ];
}

impl fmt::Display for TimerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            TimerSubject::Request => write!(f, "request")?,
            TimerSubject::Task(id) => write!(f, "task:{id}")?,
            TimerSubject::Decision(id) => write!(f, "decision:{id}")?,
        }
        let name = TimerKind::NAMES.iter().find(|(kind, _)| *kind == self.kind);
        write!(f, "/{}", name.map_or("", |(_, name)| name))
    }
}

/// The text names no timer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no timer")]
pub struct UnknownTimer(String);

impl FromStr for TimerName {
    type Err = UnknownTimer;

    fn from_str(text: &str) -> Result<Self, UnknownTimer> {
        let parse = || {
            let (subject, kind) = text.split_once('/')?;
            let kind = TimerKind::NAMES.iter().find(|(_, name)| *name == kind)?.0;
            let subject = match subject.split_once(':') {
                None if subject == "request" => TimerSubject::Request,
                Some(("task", id)) => TimerSubject::Task(id.parse().ok()?),
                Some(("decision", id)) => TimerSubject::Decision(id.parse().ok()?),
                _ => return None,
            };
            Some(Self { subject, kind })
        };
        parse().ok_or_else(|| UnknownTimer(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn names_lead_back_to_their_timer() {
        let subjects = [
            TimerSubject::Request,
            TimerSubject::Task(TaskId::from_uuid(Uuid::from_u128(1))),
            TimerSubject::Decision(DecisionId::from_uuid(Uuid::from_u128(2))),
        ];
        for subject in subjects {
            for (kind, _) in TimerKind::NAMES {
                let name = TimerName { subject, kind };
                assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
        assert!("task:x/ack".parse::<TimerName>().is_err());
    }
}
