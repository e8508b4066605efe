//! An agent's program from its start to its end. It neither waits for the broker before it starts, nor ends without it: its
//! journal is read, what it began is swept, and what it has to say is kept until somebody takes it.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chiffon_bus::{AmqpBus, Bus};
use chiffon_common::Problem;
use chiffon_program::{Env, Health, Stop, private_folder};

use super::{About, Program, fault};
use crate::{Kept, Seed, Worker};

/// What runs may take to end by themselves after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// How long the bus waits for deliveries in hand.
const BUS: Duration = Duration::from_secs(2);

/// What a life begins with.
pub(super) struct Start<'a> {
    pub program: &'a Program,
    pub about: About,
    pub home: &'a Path,
    pub health: PathBuf,
    pub env: &'a Env,
    pub worker: Arc<dyn Worker>,
    pub slots: Option<NonZeroUsize>,
}

/// Works until it is asked to end.
pub(super) async fn live(start: Start<'_>) -> Result<(), Problem> {
    let mut stop =
        Stop::listen().map_err(|error| fault(format!("There are no signals: {error}.")))?;
    private_folder(start.home)?;
    let Program { name, version, .. } = *start.program;
    let about = start.about;
    let config = about.config(start.home, version, start.slots);
    let (id, broker) = (about.id, about.bus.address());
    let bus = Arc::new(AmqpBus::start(about.bus.named(&format!("{name} {id}"))));
    let own_fault: Arc<Mutex<Option<String>>> = Arc::default();
    let seed = Seed {
        config,
        bus: Arc::clone(&bus) as Arc<dyn Bus>,
        worker: start.worker,
    };
    let told = Arc::clone(&own_fault);
    let tell = Box::new(move |fault| {
        *told.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    });
    let agent = Kept::start(seed, tell).await;
    let agent = agent.map_err(|error| error.problem(id.as_str()))?;
    let heard = Arc::clone(&bus);
    let health = Health::start(start.health, version, start.env, move || {
        let own = own_fault.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = heard.trouble().map(|why| format!("the broker: {why}"));
        own.clone().into_iter().chain(trouble).collect()
    });
    health.ready();
    tracing::info!(agent = %id, broker, version, "the agent works");
    stop.asked().await;
    tracing::info!(agent = %id, "the agent drains: it takes nothing new");
    health.stopping();
    agent.drain(GRACE).await;
    bus.close(BUS).await;
    health.end();
    tracing::info!(agent = %id, "the agent has ended");
    Ok(())
}
