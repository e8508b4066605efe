//! What an agent is started with.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use chiffon_common::{AgentId, TrustedKeys};

/// An agent's settings.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Who it is; also names its queue.
    pub id: AgentId,
    /// Its folder, made 0700 if missing: journal, lock, bundle cache, and runs where there is no place
    /// in memory. One agent holds it at a time.
    pub home: PathBuf,
    /// The orchestrators it obeys.
    pub keys: TrustedKeys,
    /// Runs at once. Default 2.
    pub slots: NonZeroUsize,
    /// Time between heartbeats. Default 15 s.
    pub heartbeat: Duration,
    /// Version of the program, for the heartbeat. Default that of this library.
    pub version: String,
    /// Largest difference between the orchestrator's clock and this one. Default 5 min.
    pub max_clock_skew: Duration,
    /// Folders in memory to try for run folders, in order. Default `$XDG_RUNTIME_DIR`, `/dev/shm`.
    pub memory_folders: Vec<PathBuf>,
    /// Deliveries in hand at once. Default 16: each is held only until it is journaled.
    pub prefetch: NonZeroU32,
}

impl AgentConfig {
    /// With the defaults.
    pub fn new(id: AgentId, home: PathBuf, keys: TrustedKeys) -> Self {
        const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            id,
            home,
            keys,
            slots: TWO,
            heartbeat: Duration::from_secs(15),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            max_clock_skew: Duration::from_secs(300),
            memory_folders: runtime
                .into_iter()
                .chain([PathBuf::from("/dev/shm")])
                .collect(),
            prefetch: NonZeroU32::MIN.saturating_add(15),
        }
    }
}
