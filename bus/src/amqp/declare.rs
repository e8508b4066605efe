//! The queues as RabbitMQ knows them (DESIGN section 6; R13 to R17, R23): which arguments a [`QueueSpec`] comes to, which
//! of them differs where a queue exists otherwise, and laying all of them again on a broker that was wiped.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::time::timeout;

use super::words::{Meaning, meaning, refusal, words};
use crate::{DeclareError, Overflow, QueueName, QueueSpec};

/// Where the orchestrator sends.
const WORK: &str = "chiffon.work";
/// Where agents send, and the only place where they may.
const REPORTS: &str = "chiffon.reports";
/// Through which the broker itself moves what cannot be handled.
const DEAD: &str = "chiffon.dead";

/// How long one declaration may take; a quorum queue elects its leader first.
const WITHIN: Duration = Duration::from_secs(10);

/// Among the dead letters nothing is delivered too often: without a limit of their own, newer brokers would drop them.
const NO_LIMIT: i64 = i32::MAX as i64;

/// The exchange that leads to a queue.
pub(super) fn exchange(queue: &QueueName) -> &'static str {
    if is_dead_letters(queue) {
        DEAD
    } else if queue.as_str().starts_with("orchestrator.") {
        REPORTS
    } else {
        WORK
    }
}

/// Whether it holds what could not be handled: from there nothing goes further.
pub(super) fn is_dead_letters(queue: &QueueName) -> bool {
    queue.as_str().ends_with(".dead")
}

/// What was declared here so far.
#[derive(Default)]
pub(super) struct Topology(Mutex<BTreeMap<QueueName, QueueSpec>>);

impl Topology {
    /// Remembers a queue, to be laid on each connection.
    pub fn remember(&self, spec: &QueueSpec) {
        let mut specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        specs.insert(spec.name.clone(), spec.clone());
    }

    pub fn forget(&self, queue: &QueueName) {
        let mut specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        specs.remove(queue);
    }

    /// Lays everything that was declared, on a broker that may have lost it. What is there already stays as it is.
    pub async fn lay_again(&self, connection: &Connection) {
        let specs = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let user = connection.status().username();
        for spec in specs.values() {
            match declare(connection, &user, spec).await {
                Ok(()) => {}
                // The connection tells by itself.
                Err(DeclareError::Unavailable(_)) => return,
                Err(error) => {
                    tracing::error!(queue = %spec.name, "queue could not be declared: {error}");
                }
            }
        }
    }
}

/// Makes a queue with its dead letters and the ways to both, on a channel of its own: an error of the broker costs the
/// channel (R26).
///
/// # Errors
/// As the contract says.
pub(super) async fn declare(
    connection: &Connection,
    user: &str,
    spec: &QueueSpec,
) -> Result<(), DeclareError> {
    let all = async {
        let channel = connection.create_channel().await.map_err(unavailable)?;
        Declaring {
            channel: &channel,
            user,
        }
        .all(spec)
        .await?;
        let _ends_anyway = channel.close(200, "declared".into()).await;
        Ok(())
    };
    let in_time = timeout(WITHIN, Box::pin(all)).await;
    in_time.unwrap_or_else(|_| Err(DeclareError::Unavailable("no answer in time".to_owned())))
}

fn unavailable(error: lapin::Error) -> DeclareError {
    DeclareError::Unavailable(words(&error))
}

struct Declaring<'a> {
    channel: &'a Channel,
    user: &'a str,
}

impl Declaring<'_> {
    async fn all(&self, spec: &QueueSpec) -> Result<(), DeclareError> {
        let dead = spec.name.dead_letters();
        self.exchange(DEAD).await?;
        self.exchange(exchange(&spec.name)).await?;
        // First, so that it is the one that is named where both differ.
        self.queue(spec, &spec.name, arguments(spec)).await?;
        self.queue(spec, &dead, arguments_of_dead_letters(spec))
            .await
    }

    async fn exchange(&self, name: &'static str) -> Result<(), DeclareError> {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default();
        let declared =
            self.channel
                .exchange_declare(name.into(), ExchangeKind::Direct, options, none);
        declared.await.map_err(|error| match meaning(&error) {
            Meaning::Refused => refusal(self.user, "configure", &format!("exchange {name}")).into(),
            _ => unavailable(error),
        })
    }

    async fn queue(
        &self,
        spec: &QueueSpec,
        name: &QueueName,
        arguments: FieldTable,
    ) -> Result<(), DeclareError> {
        let short = short(name).ok_or_else(|| {
            DeclareError::Unavailable(format!("the name of queue {name} is too long"))
        })?;
        let options = QueueDeclareOptions::durable();
        let declared = self
            .channel
            .queue_declare(short.clone(), options, arguments);
        declared.await.map_err(|error| match meaning(&error) {
            Meaning::Refused => refusal(self.user, "configure", &format!("queue {name}")).into(),
            Meaning::Otherwise(said) => DeclareError::Differs {
                queue: name.clone(),
                argument: differing(&said, spec),
            },
            _ => unavailable(error),
        })?;
        let from = exchange(name);
        let options = QueueBindOptions::default();
        let none = FieldTable::default();
        let bound = self
            .channel
            .queue_bind(short.clone(), from.into(), short, options, none);
        bound.await.map_err(|error| match meaning(&error) {
            Meaning::Refused => refusal(
                self.user,
                "bind",
                &format!("queue {name} to exchange {from}"),
            )
            .into(),
            _ => unavailable(error),
        })
    }
}

/// A name as the protocol carries it, if it is not too long for it.
pub(super) fn short(name: &QueueName) -> Option<ShortString> {
    ShortString::try_new(name.as_str()).ok()
}

/// The broker counts what waits, refuses once there is more than the maximum, and buries with the delivery that comes after
/// the limit; so it is told one less of each.
fn arguments(spec: &QueueSpec) -> FieldTable {
    let (capacity, limit) = (
        i64::from(spec.capacity.get()),
        i64::from(spec.delivery_limit.get()),
    );
    let (most, overflow, strategy) = match spec.overflow {
        Overflow::Refuse => (capacity - 1, "reject-publish", "at-least-once"),
        // With `drop-head` there is no other strategy (R17).
        Overflow::DropOldest => (capacity, "drop-head", "at-most-once"),
    };
    table([
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongLongInt(most)),
        ("x-overflow", text(overflow)),
        (
            "x-delivery-limit",
            AMQPValue::LongLongInt((limit - 1).min(NO_LIMIT)),
        ),
        (
            "x-single-active-consumer",
            AMQPValue::Boolean(spec.single_active_consumer),
        ),
        ("x-dead-letter-exchange", text(DEAD)),
        (
            "x-dead-letter-routing-key",
            text(spec.name.dead_letters().as_str()),
        ),
        ("x-dead-letter-strategy", text(strategy)),
    ])
}

/// As many as the queue itself holds; the oldest go first.
fn arguments_of_dead_letters(spec: &QueueSpec) -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        (
            "x-max-length",
            AMQPValue::LongLongInt(i64::from(spec.capacity.get())),
        ),
        ("x-overflow", text("drop-head")),
        ("x-delivery-limit", AMQPValue::LongLongInt(NO_LIMIT)),
    ])
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

/// Which argument the broker's words name: "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '7' but
/// current is '999'".
fn differing(said: &str, spec: &QueueSpec) -> &'static str {
    let argument = said.split('\'').nth(1).unwrap_or_default();
    match argument {
        // What follows from the one is not the one that differs.
        "x-max-length" if follows_from_overflow(said, spec) => "overflow",
        "x-max-length" => "capacity",
        "x-overflow" | "x-dead-letter-strategy" => "overflow",
        "x-delivery-limit" => "delivery_limit",
        "x-single-active-consumer" => "single_active_consumer",
        "x-queue-type" => "type (x-queue-type)",
        "x-dead-letter-exchange" => "x-dead-letter-exchange",
        "x-dead-letter-routing-key" => "x-dead-letter-routing-key",
        "durable" => "durable",
        "auto_delete" => "auto_delete",
        "exclusive" => "exclusive",
        _ => "argument that the broker does not name",
    }
}

/// Whether the maximum is the one of the same capacity with the other overflow.
fn follows_from_overflow(said: &str, spec: &QueueSpec) -> bool {
    let is = said.rsplit("current is").next().unwrap_or_default();
    let is: String = is.chars().filter(char::is_ascii_digit).collect();
    let other = match spec.overflow {
        Overflow::Refuse => spec.capacity.get(),
        Overflow::DropOldest => spec.capacity.get() - 1,
    };
    is == other.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology;

    #[test]
    fn the_argument_that_differs_is_found_in_the_words_of_the_broker() {
        let specs = topology();
        let (refuses, drops) = (&specs[0], &specs[2]);
        let said = |argument: &str, is: &str| {
            format!(
                "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q' in vhost '/': received '7' but current is {is}"
            )
        };
        let cases = [
            (refuses, "x-max-length", "'12'", "capacity"),
            (refuses, "x-max-length", "'1000'", "overflow"),
            (drops, "x-max-length", "'255'", "overflow"),
            (
                refuses,
                "x-dead-letter-strategy",
                "'at-most-once'",
                "overflow",
            ),
            (refuses, "x-delivery-limit", "none", "delivery_limit"),
            (refuses, "durable", "'false'", "durable"),
        ];
        for (spec, argument, is, expected) in cases {
            assert_eq!(
                differing(&said(argument, is), spec),
                expected,
                "{argument} {is}"
            );
        }
    }

    #[test]
    fn each_queue_is_reached_through_the_exchange_of_who_sends_there() {
        let agent = QueueName::agent(&"infrastructure".parse().unwrap());
        assert_eq!(exchange(&QueueName::results()), REPORTS);
        assert_eq!(exchange(&QueueName::requests()), REPORTS);
        assert_eq!(exchange(&agent), WORK);
        assert_eq!(exchange(&agent.dead_letters()), DEAD);
    }
}
