//! Many publishers and receivers at once, receivers that fail and come again, poison, and queues too
//! small for all of it. These hold under chaos too; a case counts what was handled, not how often.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::timeout};

use super::tools::{
    count, declare, expect_depth, expect_depth_of, number, publish_all, queue, spec, subscribe,
};
use crate::{Bus, Delivery, QueueSpec, Reject, Subscription};

/// What has been handled, as a store would know it.
#[derive(Default)]
struct Handled {
    numbers: Mutex<BTreeSet<u32>>,
    changed: Notify,
}

impl Handled {
    fn add(&self, n: u32) {
        self.numbers.lock().expect("not poisoned").insert(n);
        self.changed.notify_one();
    }

    async fn wait_for(&self, all: &BTreeSet<u32>) {
        let done = async {
            while self.numbers.lock().expect("not poisoned").len() < all.len() {
                self.changed.notified().await;
            }
        };
        let in_time = timeout(Duration::from_secs(60), done).await.is_ok();
        let numbers = self.numbers.lock().expect("not poisoned");
        let missing: Vec<_> = all.difference(&numbers).collect();
        assert!(in_time && missing.is_empty(), "lost: {missing:?}");
        assert_eq!(*numbers, *all, "and nothing came that was not sent");
    }
}

/// How a receiver treats a delivery.
type Manner = fn(&dyn Delivery) -> Treatment;

enum Treatment {
    Handle,
    Drop,
    Requeue,
    LeaveSubscription,
}

/// Receives for ever, subscribing again whenever it must (R18).
async fn receive(bus: Arc<dyn Bus>, handled: Arc<Handled>, manner: Manner) {
    loop {
        let subscription = subscribe(&*bus, 4).await;
        receive_from(subscription, &handled, manner).await;
    }
}

async fn receive_from(mut from: Box<dyn Subscription>, handled: &Handled, manner: Manner) {
    while let Some(delivery) = from.next().await {
        match manner(&*delivery) {
            Treatment::Handle => {
                handled.add(number(&*delivery));
                delivery.ack().await;
            }
            Treatment::Drop => drop(delivery),
            Treatment::Requeue => delivery.reject(Reject::Requeue).await,
            Treatment::LeaveSubscription => return,
        }
    }
}

/// Publishes 0 to `all` from three sides and receives on three until all but those that the manner
/// never handles were handled. The receivers are still at work, for [`calm`] to end.
async fn storm(
    bus: &Arc<dyn Bus>,
    all: u32,
    manner: Manner,
    never: impl Fn(u32) -> bool,
) -> JoinSet<()> {
    let handled = Arc::new(Handled::default());
    let mut receivers = JoinSet::new();
    for _ in 0..3 {
        receivers.spawn(receive(Arc::clone(bus), Arc::clone(&handled), manner));
    }
    let mut publishers = JoinSet::new();
    for side in 0..3 {
        let bus = Arc::clone(bus);
        publishers.spawn(async move { publish_all(&*bus, (side..all).step_by(3)).await });
    }
    let published = timeout(Duration::from_secs(60), publishers.join_all()).await;
    published.expect("publishers get on");
    handled
        .wait_for(&(0..all).filter(|n| !never(*n)).collect())
        .await;
    receivers
}

/// The queue runs empty, with the receivers at work, so that duplicates and redeliveries are handled too.
async fn calm(bus: &dyn Bus, mut receivers: JoinSet<()>) {
    expect_depth(bus, &queue(), 0).await;
    receivers.shutdown().await;
}

pub(super) async fn nothing_confirmed_is_lost_while_receivers_come_and_go(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let manner: Manner = |delivery| match (delivery.delivery_count(), number(delivery) % 10) {
        (1, 3) => Treatment::Drop,
        (1, 5) => Treatment::Requeue,
        (1, 7) => Treatment::LeaveSubscription,
        _ => Treatment::Handle,
    };
    let receivers = storm(&bus, 300, manner, |_| false).await;
    calm(&*bus, receivers).await;
}

pub(super) async fn poison_ends_among_the_dead_letters_and_the_rest_is_handled(bus: Arc<dyn Bus>) {
    declare(&*bus, spec()).await;
    let manner: Manner = |delivery| match number(delivery) % 50 {
        0 => Treatment::Requeue,
        _ => Treatment::Handle,
    };
    let receivers = storm(&bus, 150, manner, |n| n % 50 == 0).await;
    // 0, 50 and 100 are dead. Duplicates of poison are poison; so at least, not exactly.
    expect_depth_of(&*bus, &queue().dead_letters(), 3..).await;
    calm(&*bus, receivers).await;
}

pub(super) async fn a_full_queue_slows_publishers_and_loses_nothing(bus: Arc<dyn Bus>) {
    let small = QueueSpec {
        capacity: count(4),
        ..spec()
    };
    declare(&*bus, small).await;
    let receivers = storm(&bus, 300, |_| Treatment::Handle, |_| false).await;
    calm(&*bus, receivers).await;
}
