//! From start to drain. A database that is not there yet is waited for, with one line; the broker is waited for while it works:
//! what is asked meanwhile is kept, and sent once the broker is there.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chiffon::served::{Ground, Taken, health_file};
use chiffon_bus::{AmqpBus, Bus};
use chiffon_common::{ErrorCode, Problem};
use chiffon_program::{Env, Health, Stop};
use chiffon_store::Store;

use crate::NAME;

/// What calls may take to be answered after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// How long the bus waits for deliveries in hand.
const BUS: Duration = Duration::from_secs(2);

/// Between two tries for a database that is not there: the second comes soon, as where both are started together.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Says what is wrong now, if anything is.
type Fault = Box<dyn Fn() -> Option<String> + Send>;

/// Works until it is asked to end.
pub(crate) async fn live(ground: Ground, env: &Env) -> Result<(), Problem> {
    let mut stop = Stop::listen().map_err(|error| {
        let detail = format!("There are no signals: {error}.");
        Problem::new(ErrorCode::Internal, detail, "Try again.")
    })?;
    let broker = ground.broker().ok_or_else(|| {
        let detail = "bus.url is not set, and this program gives work to agents behind a RabbitMQ.";
        let todo = "Set bus.url to amqp://USER@HOST:PORT/VHOST; for a fleet in one process there is `chiffon up`.";
        Problem::new(ErrorCode::InvalidValue, detail, todo)
    })?;
    let options = broker.options(NAME)?;
    let health_file = health_file(ground.home(), NAME);
    let taken = ground.take(&|what| tracing::info!("{what}"))?;
    let address = options.address();
    let bus = Arc::new(AmqpBus::start(options));
    let store_fault: Arc<Mutex<Option<Fault>>> = Arc::default();
    let (heard, store) = (Arc::clone(&bus), Arc::clone(&store_fault));
    let health = Health::start(health_file, env!("CARGO_PKG_VERSION"), env, move || {
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = store.as_ref().and_then(|look| look());
        let fault = fault.map(|why| format!("the database: {why}"));
        let trouble = heard.trouble().map(|why| format!("the broker: {why}"));
        fault.into_iter().chain(trouble).collect()
    });
    let opened = tokio::select! {
        opened = opened(&taken, &health) => opened,
        () = stop.asked() => {
            health.stopping();
            bus.close(BUS).await;
            health.end();
            return Ok(());
        }
    };
    let served = match opened {
        Ok(store) => taken.start(store, Arc::clone(&bus) as Arc<dyn Bus>).await,
        Err(problem) => Err(problem),
    };
    let served = match served {
        Ok(served) => served,
        Err(problem) => {
            bus.close(Duration::ZERO).await;
            health.end();
            return Err(problem);
        }
    };
    let look: Fault = Box::new(served.store_fault());
    *store_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    health.ready();
    let listen = served.address();
    tracing::info!(%listen, broker = address, version = env!("CARGO_PKG_VERSION"), "the orchestrator listens");
    stop.asked().await;
    tracing::info!("the orchestrator drains: it takes nothing new");
    health.stopping();
    served.stop(GRACE).await;
    bus.close(BUS).await;
    health.end();
    tracing::info!("the orchestrator has ended");
    Ok(())
}

/// The database, waited for as long as waiting may help.
async fn opened(taken: &Taken, health: &Health) -> Result<Arc<dyn Store>, Problem> {
    let mut told = None;
    for tried in 0_usize.. {
        let not_yet = match taken.open_store().await {
            Ok(store) => {
                health.waits(None);
                return Ok(store);
            }
            Err(not_yet) if !not_yet.passes => return Err(not_yet.problem),
            Err(not_yet) => not_yet.problem,
        };
        if told.as_ref() != Some(&not_yet.detail) {
            tracing::warn!(code = %not_yet.code, "{} It is tried again until it is there.", not_yet.detail);
            health.waits(Some(not_yet.detail.clone()));
            told = Some(not_yet.detail);
        }
        let pause = PAUSES.get(tried).or(PAUSES.last()).copied();
        tokio::time::sleep(pause.unwrap_or(GRACE)).await;
    }
    Err(Problem::new(
        ErrorCode::StoreUnavailable,
        "It was tried too often.",
        "Start it again.",
    ))
}
