//! The bus over a real RabbitMQ: the conformance suite, and the faults that only a broker has. Each of the two tests has a
//! broker of its own, since a start costs more than all the rest.

#[path = "amqp/faults.rs"]
mod faults;
#[path = "amqp/load.rs"]
mod load;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chiffon_bus::{
    AmqpBus, AmqpOptions, Bus, Message, Overflow, QueueName, QueueSpec, conformance::CASES,
};
use chiffon_tests::{Login, Rabbit};
use tokio::time::{sleep, timeout};

/// Much longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// The login of the suite, which is the sender of its messages.
const SUITE: &str = "conformance";

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("at least one")
}

fn message(n: u32, sender: &str) -> Message {
    Message {
        message_id: format!("{n:032x}").parse().expect("32 hexadecimal digits"),
        sender: sender.to_owned(),
        body: Arc::from(n.to_be_bytes()),
    }
}

fn spec(name: QueueName) -> QueueSpec {
    QueueSpec {
        name,
        capacity: count(1_000),
        overflow: Overflow::Refuse,
        delivery_limit: count(20),
        single_active_consumer: false,
    }
}

/// A bus that comes back quickly.
fn bus(url: &str) -> AmqpBus {
    let options = AmqpOptions::new(url, None).expect("a URL of a broker");
    AmqpBus::start(options.with_pause(Duration::from_millis(200)))
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LONG, so).await.is_ok(), "waited in vain for {what}");
}

/// Waits until it is connected.
async fn connected(bus: &AmqpBus) {
    until("the bus to be connected", || bus.trouble().is_none()).await;
}

async fn broker(what: &str, vhosts: Vec<String>, logins: Vec<Login>) -> Option<Rabbit> {
    let what = format!("bus over RabbitMQ: {what}");
    let started =
        tokio::task::spawn_blocking(move || Rabbit::start_or_report(&what, &vhosts, &logins));
    started.await.expect("the fixture starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_over_rabbitmq_keeps_every_promise() {
    let vhosts = CASES.iter().map(|case| case.name.to_owned()).collect();
    let login = Login::of_everything(SUITE);
    let Some(broker) = broker("conformance", vhosts, vec![login]).await else {
        return;
    };
    for case in CASES {
        let begun = std::time::Instant::now();
        // A vhost each, so that none finds the queues of another.
        let bus = bus(&broker.url(SUITE, case.name));
        connected(&bus).await;
        let bus = Arc::new(bus);
        case.check(Arc::clone(&bus) as Arc<dyn chiffon_bus::Bus>)
            .await;
        println!("{} {:?}", case.name, begun.elapsed());
    }
}
