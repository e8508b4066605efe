//! The agent's ear: a subscription that is taken again whenever it ends (R18). What a delivery means is
//! left to the core.

use std::{num::NonZeroU32, sync::Arc};

use chiffon_bus::{Bus, Delivery, QueueName, Subscription};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// Listens until `stop`, handing each delivery to the shell.
pub(crate) async fn receive(
    bus: Arc<dyn Bus>,
    queue: QueueName,
    prefetch: NonZeroU32,
    to: mpsc::Sender<Box<dyn Delivery>>,
    stop: CancellationToken,
) {
    let listen = async {
        let mut backoff = Backoff::default();
        loop {
            match bus.subscribe(&queue, prefetch).await {
                Ok(mut subscription) => {
                    if !backoff.is_calm() {
                        tracing::info!(%queue, "listening again");
                    }
                    if !hand_over(&mut *subscription, &to, &mut backoff).await {
                        return;
                    }
                    if backoff.is_calm() {
                        tracing::warn!(%queue, "the subscription has ended; subscribing again until it works");
                    }
                }
                Err(error) if backoff.is_calm() => {
                    tracing::warn!(%queue, "cannot listen and tries again until it works: {error}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(backoff.next()).await;
        }
    };
    tokio::select! {
        () = listen => {}
        () = stop.cancelled() => {}
    }
}

/// Whether anybody still listens here.
async fn hand_over(
    subscription: &mut dyn Subscription,
    to: &mpsc::Sender<Box<dyn Delivery>>,
    backoff: &mut Backoff,
) -> bool {
    while let Some(delivery) = subscription.next().await {
        // A subscription that ends at once, over and over, is not a working one.
        backoff.reset();
        if to.send(delivery).await.is_err() {
            return false;
        }
    }
    true
}
