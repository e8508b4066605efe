//! The engine's jobs, started together and ended together.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chiffon_bus::{DeclareError, QueueSpec, agent_queue, topology};
use chiffon_common::{AgentId, ErrorCode};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::Shared;

/// Queues that are declared at once.
const AT_ONCE: usize = 16;

/// How a job that panicked is begun again.
#[derive(Clone, Copy)]
struct Pace {
    /// How long it rests before that; doubled each time up to the longest.
    first: Duration,
    /// A job that panics whenever it begins must not fill log and processor.
    longest: Duration,
    /// So long after it was begun again it is called well: several of its periods.
    sound: Duration,
}

const PACE: Pace = Pace {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    sound: Duration::from_secs(30),
};

/// The running jobs. Dropping them ends them: whatever was in hand is in the store.
#[derive(Debug)]
pub(crate) struct Jobs(JoinSet<()>);

impl Jobs {
    /// Starts everything.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let mut jobs = JoinSet::new();
        macro_rules! job {
            ($name:ident) => {{
                let of_job = Arc::clone(shared);
                let job = move || {
                    let shared = Arc::clone(&of_job);
                    async move { shared.$name().await }
                };
                let shared = Arc::clone(shared);
                let tell = move |fault| shared.part_is(concat!("job ", stringify!($name)), fault);
                jobs.spawn(kept(stringify!($name), PACE, job, tell));
            }};
        }
        job!(hear_requests);
        job!(hear_results);
        job!(hear_heartbeats);
        job!(relay);
        job!(fire_timers);
        job!(plan_requests);
        job!(seal_previews);
        job!(dispatch);
        job!(scribe);
        job!(push_anchors);
        job!(hear_proposals);
        job!(run_schedules);
        job!(forget);
        job!(tell_events);
        job!(watch_store);
        job!(hear_store);
        Self(jobs)
    }

    /// Ends everything and waits for it.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Carries out a job to its end, and begins it again where it panics: it takes no input but rows, so what it had in hand is
/// found there, as after a crash of all. `health` tells it until the job has been well for a while.
async fn kept<F: Future<Output = ()>>(
    name: &str,
    pace: Pace,
    job: impl Fn() -> F,
    tell: impl Fn(Option<String>),
) {
    let mut rest = pace.first;
    loop {
        let begun = Instant::now();
        let mut run = Box::pin(AssertUnwindSafe(job()).catch_unwind());
        let ended = match timeout(pace.sound, &mut run).await {
            Ok(ended) => ended,
            Err(_) => {
                tell(None);
                run.await
            }
        };
        let Err(panic) = ended else {
            return tell(None);
        };
        if begun.elapsed() >= pace.sound {
            rest = pace.first;
        }
        let words = words_of(&*panic);
        tracing::error!(
            code = %ErrorCode::Internal,
            job = name,
            "a part of the orchestrator panicked, which is a fault of Chiffon: {words}; it is begun again"
        );
        let fault = format!(
            "it panicked, which is a fault of Chiffon, and is begun again: {words}. Nothing is lost; please report this with \
             the log"
        );
        tell(Some(fault));
        sleep(rest).await;
        rest = (rest * 2).min(pace.longest);
    }
}

/// What a panic says.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    chiffon_common::visible(text.unwrap_or("without words"))
}

impl Shared {
    /// Makes the queues, also again after the bus was wiped. The agents only use them (R23).
    pub(crate) async fn declare_topology(&self) {
        let mut specs = topology();
        specs.extend(self.registry.all().keys().map(agent_queue));
        match self.store.agents(&self.settings.tenant).await {
            Ok(rows) => specs.extend(rows.iter().map(|row| agent_queue(&row.agent_id))),
            Err(error) => {
                tracing::warn!(%error, "agents cannot be read; their queues are declared with their next heartbeat")
            }
        }
        // Each waits for a broker that is not there; together they wait once.
        let declared = futures_util::stream::iter(specs).map(|spec| self.declare(spec));
        declared
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    /// Makes the queue of an agent that was heard of for the first time.
    pub(crate) async fn declare_agent_queue(&self, agent: &AgentId) {
        self.declare(agent_queue(agent)).await;
    }

    async fn declare(&self, spec: QueueSpec) {
        let name = spec.name.clone();
        match self.bus.declare(spec).await {
            Ok(()) => {}
            // The bus tells of that by itself, and lays the queue once it is there.
            Err(error @ DeclareError::Unavailable(_)) => {
                tracing::debug!(%error, queue = %name, "queue is declared later");
            }
            Err(error) => tracing::error!(%error, queue = %name, "queue could not be declared"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_is_begun_again_and_told_until_it_is_well() {
        let (begun, told, well) = (AtomicU32::new(0), Mutex::new(Vec::new()), Notify::new());
        let tell = |fault: Option<String>| {
            if fault.is_none() {
                well.notify_one();
            }
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(fault);
        };
        let job = || async {
            match begun.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("words of a test"),
                1 => {
                    well.notified().await;
                    panic!("{} more", 1);
                }
                _ => {}
            }
        };
        let moment = Duration::from_millis(20);
        let pace = Pace {
            first: moment,
            longest: moment,
            sound: moment,
        };
        let kept = kept("of_a_test", pace, job, tell);
        let ended = timeout(Duration::from_secs(20), kept).await;
        assert!(ended.is_ok(), "it waits for ever");
        assert_eq!(begun.load(Ordering::Relaxed), 3);
        let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
        let words = |at: usize| told[at].as_deref().unwrap_or("well");
        assert!(words(0).contains("words of a test"), "{told:?}");
        assert_eq!(words(1), "well");
        assert!(words(2).contains("1 more"), "{told:?}");
        assert_eq!(words(3), "well");
        assert_eq!(told.len(), 4);
    }
}
