//! The bus: its contract, the memory backend, a seeded chaos wrapper, and the conformance suite that a
//! backend must pass to be supported. What messages mean is left to the rooms on both sides.

mod contract;

pub use contract::{
    Bus, DeclareError, Delivery, Message, Overflow, PublishError, QueueName, QueueSpec, Reject,
    SubscribeError, Subscription,
};
