//! The queues that every installation has, with the reasons for their numbers. Creating them is left to
//! the orchestrator, as is the choice of a backend.
//!
//! Capacities bound what waits and what is in hand together. A message is at most 1 MiB and usually
//! below 4 KiB, so a full queue of a thousand is a few MiB in practice and a GiB at the very worst.

use std::num::NonZeroU32;

use chiffon_common::AgentId;

use crate::{Overflow, QueueName, QueueSpec};

/// RabbitMQ's own default since 4.0 (R15). It stops a message that kills its receiver; ordinary
/// trouble (a database that is down) is waited out by the receiver with the message in hand.
const DELIVERY_LIMIT: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// People and webhooks ask; a thousand waiting requests are an hour's work, and whoever asks after that
/// is better told so (R48).
const REQUESTS: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// Statuses carry live output: a hundred runs of one status a second fill it in 40 s, longer than a restart of
/// the orchestrator takes. A full queue holds the agents back; their journals keep what they have to say.
const RESULTS: NonZeroU32 = NonZeroU32::new(4_096).expect("not zero");

/// One beat of each agent of a fleet of 256; of an older beat nobody wants to know.
const HEARTBEATS: NonZeroU32 = NonZeroU32::new(256).expect("not zero");

/// A beat that could not be handled three times is malformed; the next one is seconds away.
const HEARTBEAT_DELIVERIES: NonZeroU32 = NonZeroU32::new(3).expect("not zero");

/// An agent runs a few tasks at once and journals each message before its ack, so that this holds a
/// burst of cancels, queries and bundle pieces (512 KiB each) and no backlog of work: the
/// orchestrator dispatches to free slots only.
const AGENT: NonZeroU32 = NonZeroU32::new(256).expect("not zero");

/// The queues towards the orchestrator. Several orchestrators share each of them.
pub fn topology() -> Vec<QueueSpec> {
    vec![
        shared(QueueName::requests(), REQUESTS),
        shared(QueueName::results(), RESULTS),
        QueueSpec {
            overflow: Overflow::DropOldest,
            delivery_limit: HEARTBEAT_DELIVERIES,
            ..shared(QueueName::heartbeats(), HEARTBEATS)
        },
    ]
}

/// The queue of one agent. A second process under the same name stands by instead of taking every
/// other message (R20).
pub fn agent_queue(agent: &AgentId) -> QueueSpec {
    QueueSpec {
        single_active_consumer: true,
        ..shared(QueueName::agent(agent), AGENT)
    }
}

fn shared(name: QueueName, capacity: NonZeroU32) -> QueueSpec {
    QueueSpec {
        name,
        capacity,
        overflow: Overflow::Refuse,
        delivery_limit: DELIVERY_LIMIT,
        single_active_consumer: false,
    }
}
