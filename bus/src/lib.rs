//! The bus: its contract, the backends (memory, RabbitMQ), a seeded chaos wrapper, and the conformance suite that a
//! backend must pass to be supported. What messages mean is left to the rooms on both sides.

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "testing")]
pub mod chaos;
#[cfg(feature = "testing")]
pub mod conformance;
mod contract;
#[cfg(feature = "memory")]
mod memory;
mod topology;

#[cfg(feature = "amqp")]
pub use amqp::{AmqpBus, AmqpOptions, AmqpOptionsError};
pub use contract::{
    Bus, DeclareError, Delivery, Message, Overflow, PublishError, QueueName, QueueSpec, Refusal,
    Reject, SubscribeError, Subscription,
};
#[cfg(feature = "memory")]
pub use memory::MemoryBus;
pub use topology::{agent_queue, topology};
