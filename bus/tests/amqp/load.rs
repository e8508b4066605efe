//! A steady load on one queue, and the count of what was confirmed and of what came. What is done to the broker meanwhile
//! is left to the faults.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use chiffon_bus::{AmqpBus, Bus, QueueName};
use tokio::{task::JoinSet, time::sleep};

use super::{count, faults::MASTER, message, until};

/// Publishes numbers until told to stop, each until it is confirmed; receives what comes, subscribing again whenever it
/// must.
pub struct Load {
    bus: Arc<AmqpBus>,
    queue: QueueName,
    confirmed: Mutex<BTreeSet<u32>>,
    received: Mutex<BTreeSet<u32>>,
}

impl Load {
    pub fn start(bus: &Arc<AmqpBus>, queue: &QueueName) -> (Arc<Self>, JoinSet<()>) {
        let load = Arc::new(Self {
            bus: Arc::clone(bus),
            queue: queue.clone(),
            confirmed: Mutex::default(),
            received: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for side in 0..4 {
            tasks.spawn(Arc::clone(&load).publish(side));
        }
        tasks.spawn(Arc::clone(&load).receive());
        (load, tasks)
    }

    async fn publish(self: Arc<Self>, side: u32) {
        for n in (side..).step_by(4) {
            while self
                .bus
                .publish(&self.queue, message(n, MASTER))
                .await
                .is_err()
            {
                sleep(Duration::from_millis(20)).await;
            }
            self.confirmed.lock().expect("it goes well").insert(n);
        }
    }

    async fn receive(self: Arc<Self>) {
        loop {
            if let Ok(mut subscription) = self.bus.subscribe(&self.queue, count(5)).await {
                while let Some(delivery) = subscription.next().await {
                    let body = delivery.message().body.as_ref().try_into();
                    let n = u32::from_be_bytes(body.expect("four bytes"));
                    assert_eq!(*delivery.message(), message(n, MASTER));
                    self.received.lock().expect("it goes well").insert(n);
                    delivery.ack().await;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn confirmed(&self) -> usize {
        self.confirmed.lock().expect("it goes well").len()
    }

    /// Waits until it goes on.
    pub async fn goes_on(&self) {
        let before = self.confirmed();
        let received = self.received.lock().expect("it goes well").len();
        until("messages to flow", || {
            self.confirmed() > before + 50
                && self.received.lock().expect("it goes well").len() > received + 50
        })
        .await;
    }

    /// All that was confirmed has come.
    pub async fn all_came(&self) {
        let confirmed = self.confirmed.lock().expect("it goes well").clone();
        let missing = || {
            let received = self.received.lock().expect("it goes well");
            confirmed.difference(&received).count()
        };
        until("all that was confirmed", || missing() == 0).await;
    }
}
