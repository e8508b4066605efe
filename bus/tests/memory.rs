//! The memory bus against the conformance suite, alone and under chaos, and what only it can do.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chiffon_bus::{
    Bus, DeclareError, MemoryBus, Message, Overflow, PublishError, QueueName, QueueSpec, Reject,
    agent_queue,
    chaos::{ChaosBus, Faults, Rates},
    conformance::{CASES, Demand},
    topology,
};

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("at least one")
}

fn message(n: u128) -> Message {
    Message {
        message_id: format!("{n:032x}").parse().expect("32 hexadecimal digits"),
        sender: "test".to_owned(),
        body: Arc::from(n.to_be_bytes()),
    }
}

fn small(capacity: u32) -> QueueSpec {
    QueueSpec {
        name: QueueName::requests(),
        capacity: count(capacity),
        overflow: Overflow::Refuse,
        delivery_limit: count(3),
        single_active_consumer: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_bus_keeps_every_promise() {
    for case in CASES {
        println!("{}", case.name);
        case.check(Arc::new(MemoryBus::new())).await;
    }
}

/// On one thread the order of events, and with it what chaos does, follows from the seed but for timers.
#[tokio::test]
async fn under_chaos_nothing_is_lost() {
    let mut seen = Faults::default();
    for seed in 1..=8 {
        for case in CASES.iter().filter(|case| case.demand == Demand::Always) {
            println!("seed {seed}: {}", case.name);
            let chaos = ChaosBus::new(Arc::new(MemoryBus::new()), seed, Rates::default());
            let chaos = Arc::new(chaos);
            case.check(Arc::clone(&chaos) as Arc<dyn Bus>).await;
            seen = sum(seen, chaos.faults());
        }
    }
    println!("{seen:?}");
    let all = [
        seen.duplicates,
        seen.taken_unconfirmed,
        seen.lost_unconfirmed,
        seen.delays,
        seen.dropped_acks,
        seen.ended_subscriptions,
    ];
    assert!(
        all.iter().all(|times| *times > 10),
        "chaos took place: {seen:?}"
    );
}

fn sum(a: Faults, b: Faults) -> Faults {
    Faults {
        duplicates: a.duplicates + b.duplicates,
        taken_unconfirmed: a.taken_unconfirmed + b.taken_unconfirmed,
        lost_unconfirmed: a.lost_unconfirmed + b.lost_unconfirmed,
        delays: a.delays + b.delays,
        dropped_acks: a.dropped_acks + b.dropped_acks,
        ended_subscriptions: a.ended_subscriptions + b.ended_subscriptions,
    }
}

#[tokio::test]
async fn chaos_at_full_rates_still_lets_everything_through() {
    let rates = Rates {
        duplicate: 1000,
        taken_unconfirmed: 1000,
        lost_unconfirmed: 1000,
        delay: 1000,
        longest_delay: Duration::from_millis(1),
        dropped_ack: 1000,
        ended_subscription: 1000,
    };
    for case in CASES.iter().filter(|case| case.demand == Demand::Always) {
        println!("{}", case.name);
        let bus = ChaosBus::new(Arc::new(MemoryBus::new()), 7, rates);
        case.check(Arc::new(bus)).await;
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let outcomes = |seed| async move {
        let bus = ChaosBus::new(Arc::new(MemoryBus::new()), seed, Rates::default());
        bus.declare(small(1000)).await.unwrap();
        let mut outcomes = Vec::new();
        for n in 0..200 {
            outcomes.push(bus.publish(&QueueName::requests(), message(n)).await);
        }
        outcomes
    };
    assert_eq!(outcomes(1).await, outcomes(1).await);
    assert_ne!(outcomes(1).await, outcomes(2).await);
}

#[tokio::test]
async fn a_wiped_bus_ends_subscriptions_and_can_be_declared_anew() {
    let bus = MemoryBus::new();
    let queue = QueueName::requests();
    bus.declare(small(10)).await.unwrap();
    bus.publish(&queue, message(1)).await.unwrap();
    let mut subscription = bus.subscribe(&queue, count(1)).await.unwrap();
    let held = subscription.next().await.unwrap();
    let waiting = tokio::spawn(async move { subscription.next().await.is_none() });
    tokio::task::yield_now().await;
    bus.wipe();
    assert!(waiting.await.unwrap(), "the subscription has ended");
    let published = bus.publish(&queue, message(2)).await;
    assert_eq!(published, Err(PublishError::Unroutable(queue.clone())));
    bus.declare(small(10)).await.unwrap();
    bus.publish(&queue, message(3)).await.unwrap();
    // It belongs to the queue that is gone.
    drop(held);
    assert_eq!(bus.depth(&queue).await, Some(1));
    bus.close(Duration::ZERO).await;
}

#[tokio::test]
async fn dead_letters_are_bounded_and_the_newest_stay() {
    let bus = MemoryBus::new();
    let queue = QueueName::requests();
    bus.declare(small(2)).await.unwrap();
    let mut subscription = bus.subscribe(&queue, count(1)).await.unwrap();
    for n in 1..=5 {
        bus.publish(&queue, message(n)).await.unwrap();
        let delivery = subscription.next().await.unwrap();
        delivery.reject(Reject::DeadLetter).await;
    }
    let mut letters = bus
        .subscribe(&queue.dead_letters(), count(2))
        .await
        .unwrap();
    for n in 4..=5 {
        let letter = letters.next().await.unwrap();
        assert_eq!(*letter.message(), message(n));
        // Among the dead letters there is nowhere further to go.
        letter.reject(Reject::DeadLetter).await;
    }
    assert_eq!(bus.depth(&queue.dead_letters()).await, Some(2));
}

/// What a broker cannot promise: what is in hand takes its place until it is acked.
#[tokio::test]
async fn a_full_queue_counts_what_is_in_hand_and_takes_it_back() {
    let bus = MemoryBus::new();
    let queue = QueueName::requests();
    bus.declare(small(2)).await.unwrap();
    bus.publish(&queue, message(1)).await.unwrap();
    bus.publish(&queue, message(2)).await.unwrap();
    let mut subscription = bus.subscribe(&queue, count(2)).await.unwrap();
    let one = subscription.next().await.unwrap();
    let two = subscription.next().await.unwrap();
    let refused = bus.publish(&queue, message(3)).await;
    assert_eq!(refused, Err(PublishError::Full(queue.clone())));
    drop(two);
    assert_eq!(bus.depth(&queue).await, Some(2));
    one.ack().await;
    bus.publish(&queue, message(3)).await.unwrap();
    for n in 2..=3 {
        let delivery = subscription.next().await.unwrap();
        assert_eq!(*delivery.message(), message(n));
        delivery.ack().await;
    }
}

#[tokio::test]
async fn a_dropping_queue_whose_messages_are_all_in_hand_forgets_the_oldest() {
    let bus = MemoryBus::new();
    let queue = QueueName::requests();
    let spec = QueueSpec {
        overflow: Overflow::DropOldest,
        ..small(2)
    };
    bus.declare(spec).await.unwrap();
    let mut subscription = bus.subscribe(&queue, count(5)).await.unwrap();
    bus.publish(&queue, message(1)).await.unwrap();
    bus.publish(&queue, message(2)).await.unwrap();
    let oldest = subscription.next().await.unwrap();
    let held = subscription.next().await.unwrap();
    bus.publish(&queue, message(3)).await.unwrap();
    assert_eq!(bus.depth(&queue).await, Some(2));
    drop((oldest, held));
    for n in 2..=3 {
        let delivery = subscription.next().await.unwrap();
        assert_eq!(*delivery.message(), message(n));
        delivery.ack().await;
    }
    assert_eq!(bus.depth(&queue).await, Some(0));
}

#[tokio::test]
async fn the_standard_queues_are_declared_and_agree_with_themselves() {
    let bus = MemoryBus::new();
    let agent = "infrastructure".parse().unwrap();
    for _ in 0..2 {
        for spec in topology().into_iter().chain([agent_queue(&agent)]) {
            bus.declare(spec).await.unwrap();
        }
    }
    let names = [
        QueueName::requests(),
        QueueName::results(),
        QueueName::heartbeats(),
        QueueName::agent(&agent),
    ];
    for name in names {
        assert_eq!(bus.depth(&name).await, Some(0), "{name}");
        assert_eq!(bus.depth(&name.dead_letters()).await, Some(0), "{name}");
    }
    let other = QueueSpec {
        capacity: count(1),
        ..agent_queue(&agent)
    };
    let refused = bus.declare(other).await;
    assert!(matches!(
        refused,
        Err(DeclareError::Differs {
            argument: "capacity",
            ..
        })
    ));
}
