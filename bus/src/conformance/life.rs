//! Queues that are missing, declared twice, or closed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::tools::{
    count, declare, expect_depth, message, next, number, publish, publish_all, queue, spec,
    subscribe,
};
use crate::{Bus, DeclareError, Overflow, PublishError, QueueSpec, SubscribeError};

pub(super) async fn an_undeclared_queue_is_unroutable_and_has_no_depth(bus: Arc<dyn Bus>) {
    assert_eq!(bus.depth(&queue()).await, None);
    let error = loop {
        match bus.publish(&queue(), message(1)).await {
            Err(PublishError::Unconfirmed(_)) => {}
            other => break other,
        }
    };
    assert_eq!(error, Err(PublishError::Unroutable(queue())));
    assert_eq!(
        bus.depth(&queue()).await,
        None,
        "publishing declares nothing"
    );
}

pub(super) async fn an_undeclared_queue_cannot_be_subscribed_to(bus: Arc<dyn Bus>) {
    let error = bus.subscribe(&queue(), count(1)).await.err();
    assert_eq!(error, Some(SubscribeError::NoQueue(queue())));
}

pub(super) async fn declaring_the_same_again_keeps_the_messages(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish(&*bus, 1).await;
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    assert_eq!(number(&*next(&mut subscription).await), 1);
}

pub(super) async fn declaring_otherwise_names_the_argument_that_differs(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let others = [
        (
            "capacity",
            QueueSpec {
                capacity: count(7),
                ..spec()
            },
        ),
        (
            "overflow",
            QueueSpec {
                overflow: Overflow::DropOldest,
                ..spec()
            },
        ),
        (
            "delivery_limit",
            QueueSpec {
                delivery_limit: count(7),
                ..spec()
            },
        ),
        (
            "single_active_consumer",
            QueueSpec {
                single_active_consumer: true,
                ..spec()
            },
        ),
    ];
    for (argument, other) in others {
        let queue = queue();
        let expected = DeclareError::Differs { queue, argument };
        assert_eq!(bus.declare(other).await, Err(expected));
    }
    declare(&*bus, spec()).await;
}

pub(super) async fn closing_ends_subscriptions_and_refuses_what_comes_after(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut waiting = subscribe(&*bus, 1).await;
    let waiting = tokio::spawn(async move { waiting.next().await.is_none() });
    tokio::task::yield_now().await;
    bus.close(Duration::from_secs(1)).await;
    assert!(
        waiting.await.expect("it ends"),
        "the subscription has ended"
    );
    let published = bus.publish(&queue(), message(1)).await;
    assert_eq!(published, Err(PublishError::Closed));
    let subscribed = bus.subscribe(&queue(), count(1)).await.err();
    assert_eq!(subscribed, Some(SubscribeError::Closed));
    assert_eq!(bus.declare(spec()).await, Err(DeclareError::Closed));
}

pub(super) async fn closing_waits_for_deliveries_in_hand(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish_all(&*bus, 1..=2).await;
    let mut subscription = subscribe(&*bus, 2).await;
    let (one, two) = (next(&mut subscription).await, next(&mut subscription).await);
    let closing = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { bus.close(Duration::from_secs(20)).await }
    });
    assert!(subscription.next().await.is_none());
    one.ack().await;
    tokio::task::yield_now().await;
    assert!(!closing.is_finished(), "one is still in hand");
    two.ack().await;
    let begun = Instant::now();
    closing.await.expect("it ends");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "the last ack ends the wait"
    );
}

pub(super) async fn closing_waits_no_longer_than_its_grace(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish(&*bus, 1).await;
    let mut subscription = subscribe(&*bus, 1).await;
    let held = next(&mut subscription).await;
    expect_depth(&*bus, &queue(), 1).await;
    let begun = Instant::now();
    bus.close(Duration::from_millis(50)).await;
    assert!(begun.elapsed() >= Duration::from_millis(50), "it waits");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "and not for ever"
    );
    held.ack().await;
}
