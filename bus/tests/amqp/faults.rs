//! What goes wrong with a broker: it is killed, wiped, full, cut off, or refuses. Whatever was confirmed arrives all the
//! same, and what is wrong is told in words.

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use chiffon_bus::{
    AmqpBus, AmqpOptions, Bus, DeclareError, Delivery, PublishError, QueueName, Refusal, Reject,
    SubscribeError, Subscription, agent_queue, topology,
};
use chiffon_tests::{Authority, Login, Proxy, Rabbit, TlsFront};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{LONG, broker, bus, connected, count, load::Load, message, spec, until};

/// The orchestrator's login.
pub const MASTER: &str = "orchestrator";

/// An agent's, with the permissions of S38.
const AGENT: Login = Login {
    user: "infrastructure",
    configure: "^$",
    write: r"^chiffon\.reports$",
    read: r"^agent\.infrastructure$",
};

fn agents_own() -> QueueName {
    QueueName::agent(&AGENT.user.parse().expect("a permitted id"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_a_broker_lose_nothing_and_are_told() {
    let logins = vec![Login::of_everything(MASTER), AGENT];
    let vhosts = ["told", "cut", "killed"].map(str::to_owned).to_vec();
    let Some(mut rabbit) = broker("faults", vhosts, logins).await else {
        return;
    };
    // These wait more than they work.
    tokio::join!(
        step("a wrong password", a_wrong_password_is_told(&rabbit)),
        step(
            "a missing permission",
            a_missing_permission_is_told(&rabbit)
        ),
        step("returned messages", exactly_the_returned_are_told(&rabbit)),
        step("poison", poison_is_buried_and_can_be_read(&rabbit)),
        step("TLS", tls_is_spoken_and_demanded(&rabbit)),
    );
    step(
        "a blocked connection",
        a_blocked_connection_holds_back(&rabbit),
    )
    .await;
    step("a cut connection", a_cut_connection_loses_nothing(&rabbit)).await;
    step(
        "a killed broker",
        a_killed_broker_loses_nothing(&mut rabbit),
    )
    .await;
    step("a wiped broker", a_wiped_broker_is_built_again(&mut rabbit)).await;
}

/// On the heap, as there are many of them in one test.
fn step<'a>(
    what: &'a str,
    step: impl Future<Output = ()> + 'a,
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        let begun = std::time::Instant::now();
        step.await;
        println!("{what}: {:?}", begun.elapsed());
    })
}

async fn a_wrong_password_is_told(rabbit: &Rabbit) {
    let bus = bus(&rabbit.url_at(rabbit.port(), MASTER, "told", "wrong"));
    let told = || {
        bus.trouble()
            .is_some_and(|why| why.contains("refuses the user orchestrator"))
    };
    until("the refusal to be told", told).await;
    let published = bus.publish(&QueueName::results(), message(1, MASTER)).await;
    let Err(PublishError::Unconfirmed(why)) = published else {
        panic!("it was taken: {published:?}");
    };
    assert!(
        why.contains("orchestrator") && !why.contains("wrong"),
        "{why}"
    );
    let subscribed = bus.subscribe(&QueueName::results(), count(1)).await.err();
    assert!(
        matches!(subscribed, Some(SubscribeError::Unavailable(_))),
        "{subscribed:?}"
    );
    let refused = rabbit.log().matches("invalid credentials").count();
    assert!(
        refused <= 4,
        "a wrong password is not tried over and over: {refused}"
    );
    bus.close(Duration::ZERO).await;
}

async fn a_missing_permission_is_told(rabbit: &Rabbit) {
    let master = bus(&rabbit.url(MASTER, "told"));
    let agent = bus(&rabbit.url(AGENT.user, "told"));
    connected(&master).await;
    connected(&agent).await;
    let own = agents_own();
    for spec in topology().into_iter().chain([agent_queue(
        &"infrastructure".parse().expect("it goes well"),
    )]) {
        master.declare(spec).await.expect("it goes well");
    }
    let refusal = |operation, resource: &str| Refusal {
        user: AGENT.user.to_owned(),
        operation,
        resource: resource.to_owned(),
    };
    // What it may do: report, and be told.
    agent
        .publish(&QueueName::results(), message(1, AGENT.user))
        .await
        .expect("it goes well");
    master
        .publish(&own, message(2, MASTER))
        .await
        .expect("it goes well");
    let mut heard = agent.subscribe(&own, count(1)).await.expect("it goes well");
    let delivery = coming(&mut heard).await;
    assert_eq!(*delivery.message(), message(2, MASTER));
    delivery.ack().await;
    let mut reports = master
        .subscribe(&QueueName::results(), count(1))
        .await
        .expect("it goes well");
    let delivery = coming(&mut reports).await;
    assert_eq!(delivery.message().sender, AGENT.user, "as logged in");
    delivery.ack().await;
    // And nothing else.
    let published = agent.publish(&own, message(3, AGENT.user)).await;
    let expected = refusal("write to", "exchange chiffon.work");
    assert_eq!(published, Err(PublishError::Refused(expected)));
    let subscribed = agent.subscribe(&QueueName::results(), count(1)).await.err();
    let expected = refusal("read from", "queue orchestrator.results");
    assert_eq!(subscribed, Some(SubscribeError::Refused(expected)));
    let declared = agent.declare(spec(QueueName::results())).await;
    let expected = refusal("configure", "exchange chiffon.dead");
    assert_eq!(declared, Err(DeclareError::Refused(expected)));
    // It says who it is, whatever it says.
    agent
        .publish(&QueueName::results(), message(4, MASTER))
        .await
        .expect("it goes well");
    let delivery = coming(&mut reports).await;
    assert_eq!(delivery.message().sender, AGENT.user);
    delivery.ack().await;
    agent.close(Duration::ZERO).await;
    master.close(Duration::ZERO).await;
}

/// R27: a thousand in flight, ten of them to nowhere.
async fn exactly_the_returned_are_told(rabbit: &Rabbit) {
    let bus = Arc::new(bus(&rabbit.url(MASTER, "told")));
    connected(&bus).await;
    let there = QueueName::stored("agent.there");
    let nowhere = QueueName::stored("agent.nowhere");
    let wide = chiffon_bus::QueueSpec {
        capacity: count(2_000),
        ..spec(there.clone())
    };
    bus.declare(wide).await.expect("it goes well");
    let mut all = JoinSet::new();
    for n in 0..1_000 {
        let bus = Arc::clone(&bus);
        let to = if n % 100 == 50 { &nowhere } else { &there }.clone();
        all.spawn(async move {
            // Whoever has waited too long for its turn sends again.
            loop {
                match bus.publish(&to, message(n, MASTER)).await {
                    Err(PublishError::Unconfirmed(_)) => {}
                    said => return (n, said),
                }
            }
        });
    }
    let mut returned = BTreeSet::new();
    for (n, said) in timeout(LONG, all.join_all())
        .await
        .expect("all were answered")
    {
        match said {
            Ok(()) => {}
            Err(PublishError::Unroutable(to)) => {
                assert_eq!(to, nowhere);
                returned.insert(n);
            }
            Err(error) => panic!("{n}: {error}"),
        }
    }
    assert_eq!(returned, (0..10).map(|n| n * 100 + 50).collect());
    assert!(bus.depth(&there).await >= Some(990));
    bus.close(Duration::ZERO).await;
}

/// Makes a queue that holds the first message.
async fn with_one(bus: &AmqpBus, queue: &QueueName) {
    let declared = bus.declare(spec(queue.clone())).await;
    declared.expect("it goes well");
    let published = bus.publish(queue, message(1, MASTER)).await;
    published.expect("it goes well");
}

/// What comes next; something does.
async fn coming(subscription: &mut Box<dyn Subscription>) -> Box<dyn Delivery> {
    let next = timeout(LONG, subscription.next()).await;
    next.expect("it comes in time").expect("it goes on")
}

async fn poison_is_buried_and_can_be_read(rabbit: &Rabbit) {
    let bus = bus(&rabbit.url(MASTER, "told"));
    connected(&bus).await;
    let queue = QueueName::stored("agent.poisoned");
    with_one(&bus, &queue).await;
    bus.publish(&queue, message(2, MASTER))
        .await
        .expect("it goes well");
    let mut subscription = bus.subscribe(&queue, count(1)).await.expect("it goes well");
    for n in 1..=20 {
        let poison = coming(&mut subscription).await;
        assert_eq!(*poison.message(), message(1, MASTER));
        assert_eq!(poison.delivery_count(), n);
        poison.reject(Reject::Requeue).await;
    }
    let next = coming(&mut subscription).await;
    assert_eq!(*next.message(), message(2, MASTER));
    next.ack().await;
    let dead = queue.dead_letters();
    let mut letters = bus.subscribe(&dead, count(1)).await.expect("it goes well");
    let letter = coming(&mut letters).await;
    assert_eq!(*letter.message(), message(1, MASTER));
    // Among the dead letters there is nowhere further to go.
    letter.reject(Reject::DeadLetter).await;
    let letter = coming(&mut letters).await;
    assert_eq!(*letter.message(), message(1, MASTER));
    letter.ack().await;
    bus.close(Duration::ZERO).await;
}

async fn tls_is_spoken_and_demanded(rabbit: &Rabbit) {
    let Some(authority) = Authority::make_or_report("bus over RabbitMQ: TLS") else {
        return;
    };
    let certified = authority.certify("broker", "IP:127.0.0.1");
    let front = TlsFront::start(&certified, rabbit.port());
    let url = rabbit.url_at(front.port, MASTER, "told", rabbit.password());
    let url = url.replace("amqp://", "amqps://");
    let trusting = AmqpOptions::new(&url, Some(&authority.certificate())).expect("it goes well");
    let bus = AmqpBus::start(trusting);
    connected(&bus).await;
    let queue = QueueName::stored("agent.secret");
    with_one(&bus, &queue).await;
    let mut subscription = bus.subscribe(&queue, count(1)).await.expect("it goes well");
    let delivery = coming(&mut subscription).await;
    assert_eq!(*delivery.message(), message(1, MASTER));
    delivery.ack().await;
    bus.close(Duration::ZERO).await;
    let other = Authority::make_or_report("bus over RabbitMQ: TLS").expect("there was one before");
    let distrusting = AmqpOptions::new(&url, Some(&other.certificate())).expect("it goes well");
    let bus = AmqpBus::start(distrusting);
    let told = || bus.trouble().is_some_and(|why| why.contains("certificate"));
    until("the certificate to be refused", told).await;
    bus.close(Duration::ZERO).await;
}

async fn a_blocked_connection_holds_back(rabbit: &Rabbit) {
    let bus = bus(&rabbit.url(MASTER, "told"));
    connected(&bus).await;
    let queue = QueueName::stored("agent.blocked");
    with_one(&bus, &queue).await;
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.00000001"]);
    // The broker blocks who publishes, with the first message or the one after it.
    let held = async {
        loop {
            let published = bus.publish(&queue, message(2, MASTER)).await;
            if let Err(error) = published {
                return error;
            }
        }
    };
    let held = timeout(LONG, held).await.expect("it holds back");
    let PublishError::Unconfirmed(why) = &held else {
        panic!("{held:?}");
    };
    assert!(why.contains("memory"), "{why}");
    let told = || bus.trouble().is_some_and(|why| why.contains("memory"));
    until("the block to be told", told).await;
    // Acks flow all the same: they are on the other connection.
    let mut subscription = bus.subscribe(&queue, count(1)).await.expect("it goes well");
    let delivery = coming(&mut subscription).await;
    assert_eq!(*delivery.message(), message(1, MASTER));
    delivery.ack().await;
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    until("the block to end", || bus.trouble().is_none()).await;
    let again = bus.publish(&queue, message(3, MASTER)).await;
    assert_eq!(again, Ok(()));
    bus.close(Duration::ZERO).await;
}

async fn a_cut_connection_loses_nothing(rabbit: &Rabbit) {
    let proxy = Proxy::start(rabbit.port());
    let bus = Arc::new(bus(&rabbit.url_at(
        proxy.port(),
        MASTER,
        "cut",
        rabbit.password(),
    )));
    connected(&bus).await;
    let queue = QueueName::results();
    bus.declare(spec(queue.clone()))
        .await
        .expect("it goes well");
    let (load, tasks) = Load::start(&bus, &queue);
    load.goes_on().await;
    for _ in 0..2 {
        let made = proxy.made();
        proxy.cut();
        until("new connections", || proxy.made() >= made + 2).await;
        load.goes_on().await;
    }
    proxy.refuse(true);
    proxy.cut();
    until("the loss to be told", || bus.trouble().is_some()).await;
    proxy.refuse(false);
    load.goes_on().await;
    load.all_came().await;
    drop(tasks);
    bus.close(Duration::ZERO).await;
}

async fn a_killed_broker_loses_nothing(rabbit: &mut Rabbit) {
    let bus = Arc::new(bus(&rabbit.url(MASTER, "killed")));
    connected(&bus).await;
    let queue = QueueName::results();
    bus.declare(spec(queue.clone()))
        .await
        .expect("it goes well");
    let (load, tasks) = Load::start(&bus, &queue);
    load.goes_on().await;
    tokio::task::block_in_place(|| rabbit.kill());
    until("the loss to be told", || bus.trouble().is_some()).await;
    tokio::task::block_in_place(|| rabbit.start());
    load.goes_on().await;
    load.all_came().await;
    drop(tasks);
    bus.close(Duration::ZERO).await;
}

async fn a_wiped_broker_is_built_again(rabbit: &mut Rabbit) {
    let bus = bus(&rabbit.url(MASTER, "killed"));
    connected(&bus).await;
    let queue = agents_own();
    bus.declare(agent_queue(&AGENT.user.parse().expect("it goes well")))
        .await
        .expect("it goes well");
    bus.publish(&queue, message(1, MASTER))
        .await
        .expect("it goes well");
    let mut subscription = bus.subscribe(&queue, count(1)).await.expect("it goes well");
    let held = coming(&mut subscription).await;
    tokio::task::block_in_place(|| {
        rabbit.kill();
        rabbit.wipe();
        rabbit.start();
    });
    let ended = timeout(LONG, subscription.next()).await;
    assert!(
        ended.expect("it ends").is_none(),
        "the subscription has ended"
    );
    // It belongs to a channel that is gone.
    held.ack().await;
    connected(&bus).await;
    // Nobody declares it once more but the bus itself.
    let published = async {
        while bus.publish(&queue, message(2, MASTER)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, published)
        .await
        .expect("its queues are there again");
    let mut subscription = bus.subscribe(&queue, count(1)).await.expect("it goes well");
    let delivery = coming(&mut subscription).await;
    assert_eq!(*delivery.message(), message(2, MASTER));
    delivery.ack().await;
    assert!(bus.depth(&queue.dead_letters()).await.is_some());
    bus.close(Duration::ZERO).await;
}
