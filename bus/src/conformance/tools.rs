//! What the cases share: messages by number, waits with a bound, and senders and receivers that do
//! what the contract asks of them.

use std::{fmt::Debug, num::NonZeroU32, ops::RangeBounds, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{Bus, Delivery, Message, Overflow, PublishError, QueueName, QueueSpec, Subscription};

/// Long enough for a broker across a network, on a machine that is busy with others.
const SOON: Duration = Duration::from_secs(30);

/// Long enough for a wrong delivery to show itself in most runs; too short a time can hide a fault but
/// cannot make a good bus fail.
const A_WHILE: Duration = Duration::from_millis(50);

pub(super) fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("at least one")
}

pub(super) fn queue() -> QueueName {
    QueueName::agent(&"conformance".parse().expect("a permitted id"))
}

pub(super) fn spec() -> QueueSpec {
    QueueSpec {
        name: queue(),
        capacity: count(1000),
        overflow: Overflow::Refuse,
        delivery_limit: count(20),
        single_active_consumer: false,
    }
}

pub(super) async fn declare(bus: &dyn Bus, spec: QueueSpec) {
    bus.declare(spec).await.expect("a new queue is declared");
}

/// The message of this number: its id and its body tell which it is.
pub(super) fn message(n: u32) -> Message {
    let id = format!("{n:032x}");
    Message {
        message_id: id.parse().expect("32 hexadecimal digits"),
        sender: "conformance".to_owned(),
        body: Arc::from(n.to_be_bytes()),
    }
}

pub(super) fn number(delivery: &dyn Delivery) -> u32 {
    let body = delivery.message().body.as_ref();
    let n = u32::from_be_bytes(body.try_into().expect("a body of four bytes"));
    assert_eq!(*delivery.message(), message(n), "it arrives as it was sent");
    n
}

/// Publishes as a sender must: again, with the same id, until there is a confirm.
pub(super) async fn publish(bus: &dyn Bus, n: u32) {
    loop {
        match bus.publish(&queue(), message(n)).await {
            Ok(()) => return,
            Err(PublishError::Unconfirmed(_)) => {}
            Err(PublishError::Full(_)) => sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("message {n}: {error}"),
        }
    }
}

pub(super) async fn publish_all(bus: &dyn Bus, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        publish(bus, n).await;
    }
}

pub(super) async fn subscribe(bus: &dyn Bus, prefetch: u32) -> Box<dyn Subscription> {
    let subscription = bus.subscribe(&queue(), count(prefetch)).await;
    subscription.expect("a declared queue can be subscribed to")
}

/// The next delivery, which must come.
pub(super) async fn next(from: &mut Box<dyn Subscription>) -> Box<dyn Delivery> {
    let next = timeout(SOON, from.next()).await;
    next.expect("a delivery in time")
        .expect("the subscription goes on")
}

/// Takes and acks these, in this order.
pub(super) async fn expect(
    from: &mut Box<dyn Subscription>,
    numbers: impl IntoIterator<Item = u32>,
) {
    for n in numbers {
        let delivery = next(from).await;
        assert_eq!(number(&*delivery), n);
        delivery.ack().await;
    }
}

/// Nothing comes now.
pub(super) async fn expect_nothing(from: &mut Box<dyn Subscription>) {
    if let Ok(next) = timeout(A_WHILE, from.next()).await {
        panic!("nothing was expected, not {next:?}");
    }
}

/// Waits until the queue has this many.
pub(super) async fn expect_depth(bus: &dyn Bus, queue: &QueueName, depth: u64) {
    expect_depth_of(bus, queue, depth..=depth).await;
}

/// Waits until the queue has one of these many.
pub(super) async fn expect_depth_of(
    bus: &dyn Bus,
    queue: &QueueName,
    depths: impl RangeBounds<u64> + Debug,
) {
    let reached = async {
        while !bus
            .depth(queue)
            .await
            .is_some_and(|depth| depths.contains(&depth))
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(SOON, reached).await.is_err() {
        let now = bus.depth(queue).await;
        panic!("{queue} should come to {depths:?} messages and has {now:?}");
    }
}
