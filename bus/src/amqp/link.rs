//! One connection to the broker and its supervisor: connects, tells everybody, sees it end, and connects again for ever
//! (R26). lapin's own recovery stays off. What is done on the connection is left to the others.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use lapin::{Connection, Event};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    declare::Topology,
    options::AmqpOptions,
    wire::{self, Cut},
    words::{Meaning, meaning, words},
};

/// The longest that waits between two tries grow to; a broker that is back is found within twice that.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A wrong password or a missing vhost is healed by a person, not by trying.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// How often the state of a connection is looked at, beside what it tells by itself.
const LOOK: Duration = Duration::from_millis(500);

/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that stands.
#[derive(Clone)]
pub(super) struct Up {
    pub connection: Arc<Connection>,
    /// Which one since the start; what belongs to another is of no use.
    pub life: u64,
    /// Why the broker takes no messages, while it does not.
    blocked: Arc<Mutex<Option<String>>>,
}

impl Up {
    /// Why the broker takes no messages for now (R21).
    pub fn blocked(&self) -> Option<String> {
        if !self.connection.status().blocked() {
            return None;
        }
        let why = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        Some(
            why.clone()
                .unwrap_or_else(|| "it does not say why".to_owned()),
        )
    }
}

/// The trouble that people were told last, by whichever connection met it first.
#[derive(Clone, Default)]
pub(super) struct ToldOnce(Arc<Mutex<Option<String>>>);

impl ToldOnce {
    /// Whether these words are news.
    fn is_news(&self, why: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.as_deref() != Some(why);
        *told = Some(why.to_owned());
        is_news
    }

    fn well_again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[derive(Clone)]
enum State {
    /// Not connected, and why.
    Down(String),
    Up(Up),
    Closed,
}

/// What the others see of a connection.
#[derive(Clone)]
pub(super) struct Link(watch::Receiver<State>);

impl Link {
    /// Starts to connect, until `shut` is true or gone. `topology` is laid before anybody gets the connection.
    pub fn start(
        options: AmqpOptions,
        purpose: &'static str,
        topology: Option<Arc<Topology>>,
        told: ToldOnce,
        shut: watch::Receiver<bool>,
    ) -> Self {
        let (state, seen) = watch::channel(State::Down("not connected yet".to_owned()));
        let supervisor = Supervisor {
            options,
            purpose,
            topology,
            state,
            told,
        };
        tokio::spawn(supervisor.run(shut));
        Self(seen)
    }

    /// The connection, waited for within a bound.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn up(&self, within: Duration) -> Result<Up, String> {
        let mut state = self.0.clone();
        let stands = state.wait_for(|state| !matches!(state, State::Down(_)));
        let state = match timeout(within, stands).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => State::Closed,
            Err(_) => self.0.borrow().clone(),
        };
        match state {
            State::Up(up) => Ok(up),
            State::Down(why) => Err(why),
            State::Closed => Err("it is closed".to_owned()),
        }
    }

    /// What is wrong now, if anything is.
    pub fn trouble(&self) -> Option<String> {
        match &*self.0.borrow() {
            State::Down(why) => Some(why.clone()),
            State::Up(up) => up.blocked(),
            State::Closed => Some("it is closed".to_owned()),
        }
    }

    /// Waits until the supervisor has ended.
    pub async fn ended(&self) {
        let mut state = self.0.clone();
        let _gone_is_ended = state.wait_for(|state| matches!(state, State::Closed)).await;
    }
}

struct Supervisor {
    options: AmqpOptions,
    purpose: &'static str,
    topology: Option<Arc<Topology>>,
    state: watch::Sender<State>,
    told: ToldOnce,
}

/// Why a connection could not be made.
struct Failed {
    why: String,
    refused: bool,
}

impl Supervisor {
    async fn run(mut self, mut shut: watch::Receiver<bool>) {
        let mut failures = 0;
        for life in 0.. {
            let pause = tokio::select! {
                biased;
                () = is_set(&mut shut) => break,
                connected = wire::connect(&self.options, self.purpose) => match connected {
                    Ok((connection, cut)) => {
                        failures = 0;
                        self.keep(Arc::new(connection), &cut, life, &mut shut).await;
                        self.pause(0)
                    }
                    Err(error) => {
                        let failed = self.failed(&error);
                        failures += 1;
                        let pause = match failed.refused {
                            true => drawn(REFUSED_PAUSE / 2) + REFUSED_PAUSE / 2,
                            false => self.pause(failures),
                        };
                        self.tell(failed);
                        pause
                    }
                },
            };
            tokio::select! {
                biased;
                () = is_set(&mut shut) => break,
                () = sleep(pause) => {}
            }
        }
        self.state.send_replace(State::Closed);
    }

    /// From one connection to its end.
    async fn keep(
        &mut self,
        connection: Arc<Connection>,
        cut: &Cut,
        life: u64,
        shut: &mut watch::Receiver<bool>,
    ) {
        let events = connection.events_listener();
        if let Some(topology) = &self.topology {
            topology.lay_again(&connection).await;
        }
        let blocked = Arc::new(Mutex::new(None));
        let broker = self.options.address();
        tracing::info!(broker, purpose = self.purpose, "connected to the broker");
        self.told.well_again();
        let up = Up {
            connection: Arc::clone(&connection),
            life,
            blocked: Arc::clone(&blocked),
        };
        self.state.send_replace(State::Up(up));
        tokio::select! {
            biased;
            () = is_set(shut) => {
                self.state.send_replace(State::Closed);
                // One that takes no messages takes no goodbye either.
                if !connection.status().blocked() {
                    let _cut_below = timeout(GOODBYE, connection.close(200, "goodbye".into())).await;
                }
            }
            why = watch_over(&connection, events, &blocked) => {
                self.tell(Failed { why: format!("the connection was lost: {why}"), refused: false });
            }
        }
        cut.now();
    }

    fn failed(&self, error: &lapin::Error) -> Failed {
        let said = words(error);
        let user = self.options.user();
        match meaning(error) {
            Meaning::Refused => Failed {
                why: format!("it refuses the user {user} or its password"),
                refused: true,
            },
            _ if error.is_amqp_error() => Failed {
                why: format!("it refuses the user {user}: {said}"),
                refused: true,
            },
            _ => Failed {
                why: format!("it cannot be reached: {said}"),
                refused: false,
            },
        }
    }

    /// Tells everybody, and people once.
    fn tell(&mut self, failed: Failed) {
        let (broker, why) = (self.options.address(), failed.why);
        if self.told.is_news(&why) {
            match failed.refused {
                true => tracing::error!(
                    broker,
                    purpose = self.purpose,
                    "no connection to the broker: {why}; trying again every half minute"
                ),
                false => tracing::warn!(
                    broker,
                    purpose = self.purpose,
                    "no connection to the broker: {why}; trying again until it is there"
                ),
            }
        }
        self.state.send_replace(State::Down(why));
    }

    /// Any time up to a bound that doubles.
    fn pause(&self, failures: u32) -> Duration {
        let longest = self.options.pause.saturating_mul(1 << failures.min(6));
        drawn(longest.min(LONGEST_PAUSE.max(self.options.pause)))
    }
}

/// Waits until a flag is set, or nobody is left to set it.
pub(super) async fn is_set(flag: &mut watch::Receiver<bool>) {
    let _gone_is_set = flag.wait_for(|flag| *flag).await;
}

/// Any time up to this one.
fn drawn(longest: Duration) -> Duration {
    // The keys of a hasher are the operating system's chance.
    let dice = RandomState::new().hash_one(0) >> 32;
    longest.mul_f64(dice as f64 / f64::from(u32::MAX))
}

/// Returns why a connection has ended, once it has.
async fn watch_over(
    connection: &Connection,
    events: impl Stream<Item = Event>,
    blocked: &Mutex<Option<String>>,
) -> String {
    let mut why = "no reason was given".to_owned();
    tokio::pin!(events);
    loop {
        match timeout(LOOK, events.next()).await {
            Ok(Some(Event::ConnectionBlocked(reason))) => {
                tracing::warn!(
                    reason,
                    "the broker takes no messages for now; they are kept"
                );
                *blocked.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
            Ok(Some(Event::ConnectionUnblocked)) => {
                tracing::info!("the broker takes messages again");
            }
            // Also of a channel, which is no end of the connection.
            Ok(Some(Event::Error(error))) => why = words(&error),
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => return why,
        }
        if !connection.status().connected() {
            return why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tries_of_ten_agents_are_spread() {
        let longest = Duration::from_secs(6);
        let all: Vec<Duration> = (0..1000).map(|_| drawn(longest)).collect();
        assert!(all.iter().all(|one| *one <= longest));
        let early = all.iter().filter(|one| **one < longest / 2).count();
        assert!(
            (300..700).contains(&early),
            "{early} of 1000 in the first half"
        );
    }
}
