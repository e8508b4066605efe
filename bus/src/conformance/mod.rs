//! What a backend must do to be supported: every promise of the contract as one case. The list is
//! public so that each backend, ours or another's, runs all of it.
//!
//! Adding a case: 1. an async function of `Arc<dyn Bus>` in one of the files here, named as a sentence,
//! 2. its line in [`CASES`]. What the suite cannot see is left to each backend's own tests: durability over
//! a restart of the broker, and the bound of memory.

mod delivery;
mod life;
mod limits;
mod storm;
mod tools;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::Bus;

/// Which buses a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Holds for every bus at any time, also in the middle of faults.
    Always,
    /// Holds while nothing goes wrong: exact counts and order.
    InCalm,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise.
pub struct Case {
    /// The promise as a sentence.
    pub name: &'static str,
    /// Which buses it is about.
    pub demand: Demand,
    run: fn(Arc<dyn Bus>) -> Running,
}

impl Case {
    /// Holds a fresh bus without queues against the promise. Panics if it is broken, or not kept within two minutes.
    pub async fn check(&self, bus: Arc<dyn Bus>) {
        let run = tokio::time::timeout(Duration::from_secs(120), (self.run)(bus));
        assert!(run.await.is_ok(), "{}: no end after two minutes", self.name);
    }
}

macro_rules! cases {
    ($($demand:ident: $room:ident::$name:ident),+ $(,)?) => {
        /// All promises.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            demand: Demand::$demand,
            run: |bus| Box::pin($room::$name(bus)),
        }),+];
    };
}

cases! {
    Always: delivery::a_message_arrives_as_it_was_sent,
    Always: delivery::a_queue_keeps_messages_until_somebody_subscribes,
    Always: delivery::a_waiting_subscription_is_woken_by_a_message,
    InCalm: delivery::messages_of_one_publisher_arrive_in_order,
    InCalm: delivery::an_acked_message_does_not_come_again,
    InCalm: delivery::a_dropped_delivery_comes_again_before_later_ones,
    InCalm: delivery::a_requeued_delivery_comes_again_with_a_higher_count,
    InCalm: delivery::a_dropped_subscription_hands_back_what_it_held,
    InCalm: delivery::an_ack_that_comes_too_late_settles_nothing,
    InCalm: delivery::a_dropped_next_loses_nothing,
    InCalm: delivery::each_message_goes_to_one_of_several_subscriptions,
    InCalm: delivery::only_the_oldest_subscription_receives_until_it_goes,
    InCalm: limits::a_subscription_holds_no_more_than_its_prefetch,
    InCalm: limits::a_full_queue_refuses_and_takes_again_after_an_ack,
    InCalm: limits::a_queue_that_may_drop_keeps_the_newest,
    InCalm: limits::a_message_delivered_too_often_goes_to_the_dead_letters,
    InCalm: limits::a_message_rejected_for_good_goes_to_the_dead_letters_at_once,
    InCalm: limits::dead_letters_can_be_received_and_acked,
    InCalm: limits::the_depth_counts_what_waits_and_what_is_in_hand,
    Always: life::an_undeclared_queue_is_unroutable_and_has_no_depth,
    Always: life::an_undeclared_queue_cannot_be_subscribed_to,
    Always: life::declaring_the_same_again_keeps_the_messages,
    Always: life::declaring_otherwise_names_the_argument_that_differs,
    InCalm: life::closing_ends_subscriptions_and_refuses_what_comes_after,
    InCalm: life::closing_waits_for_deliveries_in_hand,
    InCalm: life::closing_waits_no_longer_than_its_grace,
    Always: storm::nothing_confirmed_is_lost_while_receivers_come_and_go,
    Always: storm::poison_ends_among_the_dead_letters_and_the_rest_is_handled,
    Always: storm::a_full_queue_slows_publishers_and_loses_nothing,
}
