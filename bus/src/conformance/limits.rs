//! Bounds: prefetch, capacity, deliveries; and what lies beyond them.

use std::sync::Arc;

use super::tools::{
    count, declare, expect, expect_depth, expect_nothing, message, next, number, publish,
    publish_all, queue, spec, subscribe,
};
use crate::{Bus, Overflow, PublishError, QueueSpec, Reject};

pub(super) async fn a_subscription_holds_no_more_than_its_prefetch(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish_all(&*bus, 1..=4).await;
    let mut subscription = subscribe(&*bus, 2).await;
    let first = next(&mut subscription).await;
    let _second = next(&mut subscription).await;
    expect_nothing(&mut subscription).await;
    first.ack().await;
    let _third = next(&mut subscription).await;
    expect_nothing(&mut subscription).await;
}

pub(super) async fn a_full_queue_refuses_and_takes_again_after_an_ack(bus: Arc<dyn Bus>) {
    let small = QueueSpec {
        capacity: count(2),
        ..spec()
    };
    declare(&*bus, small).await;
    publish_all(&*bus, 1..=2).await;
    let refused = bus.publish(&queue(), message(3)).await;
    assert_eq!(refused, Err(PublishError::Full(queue())));
    let mut subscription = subscribe(&*bus, 1).await;
    expect(&mut subscription, [1]).await;
    // It waits until there is room, and is behind what was there.
    publish(&*bus, 4).await;
    expect(&mut subscription, [2, 4]).await;
}

pub(super) async fn a_queue_that_may_drop_keeps_the_newest(bus: Arc<dyn Bus>) {
    let beats = QueueSpec {
        capacity: count(3),
        overflow: Overflow::DropOldest,
        ..spec()
    };
    declare(&*bus, beats).await;
    publish_all(&*bus, 1..=10).await;
    expect_depth(&*bus, &queue(), 3).await;
    let mut subscription = subscribe(&*bus, 1).await;
    expect(&mut subscription, 8..=10).await;
    expect_nothing(&mut subscription).await;
}

pub(super) async fn a_message_delivered_too_often_goes_to_the_dead_letters(bus: Arc<dyn Bus>) {
    let impatient = QueueSpec {
        delivery_limit: count(3),
        ..spec()
    };
    declare(&*bus, impatient).await;
    publish_all(&*bus, 1..=2).await;
    let mut subscription = subscribe(&*bus, 1).await;
    for _ in 0..3 {
        let poison = next(&mut subscription).await;
        assert_eq!(number(&*poison), 1);
        poison.reject(Reject::Requeue).await;
    }
    expect(&mut subscription, [2]).await;
    expect_nothing(&mut subscription).await;
    expect_depth(&*bus, &queue().dead_letters(), 1).await;
    expect_depth(&*bus, &queue(), 0).await;
}

pub(super) async fn a_message_rejected_for_good_goes_to_the_dead_letters_at_once(
    bus: Arc<dyn Bus>,
) {
    declare(&*bus, spec()).await;
    publish_all(&*bus, 1..=2).await;
    let mut subscription = subscribe(&*bus, 1).await;
    let never = next(&mut subscription).await;
    never.reject(Reject::DeadLetter).await;
    expect(&mut subscription, [2]).await;
    expect_depth(&*bus, &queue().dead_letters(), 1).await;
    expect_depth(&*bus, &queue(), 0).await;
}

pub(super) async fn dead_letters_can_be_received_and_acked(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish(&*bus, 1).await;
    let delivery = next(&mut subscribe(&*bus, 1).await).await;
    // Its subscription is gone; so it comes again, to be rejected while it counts.
    drop(delivery);
    let mut subscription = subscribe(&*bus, 1).await;
    next(&mut subscription)
        .await
        .reject(Reject::DeadLetter)
        .await;
    let dead = queue().dead_letters();
    expect_depth(&*bus, &dead, 1).await;
    let letters = bus.subscribe(&dead, count(1)).await;
    let mut letters = letters.expect("dead letters are a queue");
    expect(&mut letters, [1]).await;
    expect_depth(&*bus, &dead, 0).await;
}

pub(super) async fn the_depth_counts_what_waits_and_what_is_in_hand(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    expect_depth(&*bus, &queue(), 0).await;
    publish_all(&*bus, 1..=3).await;
    let mut subscription = subscribe(&*bus, 1).await;
    let held = next(&mut subscription).await;
    expect_depth(&*bus, &queue(), 3).await;
    held.ack().await;
    expect_depth(&*bus, &queue(), 2).await;
}
