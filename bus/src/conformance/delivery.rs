//! Deliveries: what comes, in which order, how often, to whom.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::tools::{
    declare, expect, expect_depth, expect_nothing, message, next, number, publish, publish_all,
    queue, spec, subscribe,
};
use crate::{Bus, QueueSpec, Reject};

pub(super) async fn a_message_arrives_as_it_was_sent(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    publish(&*bus, 7).await;
    let delivery = next(&mut subscription).await;
    assert_eq!(*delivery.message(), message(7));
    assert!(delivery.delivery_count() >= 1);
    delivery.ack().await;
}

pub(super) async fn a_queue_keeps_messages_until_somebody_subscribes(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish_all(&*bus, 1..=3).await;
    let mut missing = BTreeSet::from([1, 2, 3]);
    // Room for more duplicates than there can be.
    let mut subscription = subscribe(&*bus, 100).await;
    let mut held = Vec::new();
    while !missing.is_empty() {
        let delivery = next(&mut subscription).await;
        missing.remove(&number(&*delivery));
        held.push(delivery);
    }
}

pub(super) async fn a_waiting_subscription_is_woken_by_a_message(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    let (delivery, ()) = tokio::join!(next(&mut subscription), async {
        tokio::task::yield_now().await;
        publish(&*bus, 1).await;
    });
    assert_eq!(number(&*delivery), 1);
}

pub(super) async fn messages_of_one_publisher_arrive_in_order(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 5).await;
    publish_all(&*bus, 0..200).await;
    expect(&mut subscription, 0..200).await;
}

pub(super) async fn an_acked_message_does_not_come_again(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut first = subscribe(&*bus, 5).await;
    publish(&*bus, 1).await;
    expect(&mut first, [1]).await;
    expect_depth(&*bus, &queue(), 0).await;
    drop(first);
    expect_nothing(&mut subscribe(&*bus, 5).await).await;
}

pub(super) async fn a_dropped_delivery_comes_again_before_later_ones(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    publish_all(&*bus, 1..=3).await;
    drop(next(&mut subscription).await);
    let again = next(&mut subscription).await;
    assert_eq!((number(&*again), again.delivery_count()), (1, 2));
    again.ack().await;
    expect(&mut subscription, [2, 3]).await;
}

pub(super) async fn a_requeued_delivery_comes_again_with_a_higher_count(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    publish(&*bus, 1).await;
    for time in 1..=3 {
        let delivery = next(&mut subscription).await;
        assert_eq!((number(&*delivery), delivery.delivery_count()), (1, time));
        delivery.reject(Reject::Requeue).await;
    }
    expect(&mut subscription, [1]).await;
}

pub(super) async fn a_dropped_subscription_hands_back_what_it_held(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish_all(&*bus, 1..=4).await;
    let mut first = subscribe(&*bus, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut first).await);
    }
    drop(first);
    let mut second = subscribe(&*bus, 1).await;
    for n in 1..=3 {
        let again = next(&mut second).await;
        assert_eq!((number(&*again), again.delivery_count()), (n, 2));
        again.ack().await;
    }
    expect(&mut second, [4]).await;
    expect_depth(&*bus, &queue(), 0).await;
}

pub(super) async fn an_ack_that_comes_too_late_settles_nothing(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    publish(&*bus, 1).await;
    let mut first = subscribe(&*bus, 1).await;
    let late = next(&mut first).await;
    drop(first);
    let mut second = subscribe(&*bus, 1).await;
    let again = next(&mut second).await;
    late.ack().await;
    drop(again);
    let once_more = next(&mut second).await;
    assert_eq!(
        number(&*once_more),
        1,
        "the late ack was not for this delivery"
    );
    once_more.ack().await;
    expect_depth(&*bus, &queue(), 0).await;
}

pub(super) async fn a_dropped_next_loses_nothing(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut subscription = subscribe(&*bus, 1).await;
    let publisher = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { publish_all(&*bus, 0..100).await }
    });
    let mut seen = Vec::new();
    while seen.len() < 100 {
        // So short that many are dropped while they wait.
        let tried = timeout(Duration::from_micros(20), subscription.next()).await;
        if let Ok(delivery) = tried {
            let delivery = delivery.expect("the subscription goes on");
            seen.push(number(&*delivery));
            delivery.ack().await;
        }
    }
    publisher.await.expect("the publisher ends");
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

pub(super) async fn each_message_goes_to_one_of_several_subscriptions(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let mut first = subscribe(&*bus, 1).await;
    let mut second = subscribe(&*bus, 1).await;
    publish_all(&*bus, 1..=2).await;
    let one = next(&mut first).await;
    let other = next(&mut second).await;
    let both = BTreeSet::from([number(&*one), number(&*other)]);
    assert_eq!(both, BTreeSet::from([1, 2]));
    one.ack().await;
    other.ack().await;
    expect_nothing(&mut first).await;
    expect_nothing(&mut second).await;
}

pub(super) async fn only_the_oldest_subscription_receives_until_it_goes(bus: Arc<dyn Bus>) {
    let single = QueueSpec {
        single_active_consumer: true,
        ..spec()
    };
    declare(&*bus, single).await;
    let mut active = subscribe(&*bus, 1).await;
    let mut standby = subscribe(&*bus, 5).await;
    publish_all(&*bus, 1..=3).await;
    let held = next(&mut active).await;
    assert_eq!(number(&*held), 1);
    expect_nothing(&mut standby).await;
    held.ack().await;
    let held = next(&mut active).await;
    assert_eq!(number(&*held), 2);
    drop(active);
    // What the other held comes first, and nobody had to ask.
    expect(&mut standby, [2, 3]).await;
}
