//! What may run and where, as the files say now: catalogue, inventory and the planner's index over them.
//!
//! Read again whenever a file has changed, so that a person edits and asks, with no reload between. What was
//! planned from is kept by digest, so that the agent gets exactly the bytes that were planned.

mod stamp;
mod watch;

use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chiffon_common::{Bundle, Digest, EntryId, ErrorCode, HostName, Problem, Step};

use super::turns::machine_claim;
use crate::{
    catalogue::{Acceptances, Catalogue, Root, repository},
    inventory::{Here, Inventory},
    planner::Planner,
};
use watch::Watch;

/// Bundles kept in memory: those of the plans that are being approved and run now.
const KEPT: usize = 64;

/// A round of many takes the look of one of them for so long.
const FRESH: Duration = Duration::from_millis(50);

/// A moment: what is looked at after it has seen every edit that was made before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

/// The newest look at the files.
#[derive(Debug)]
struct Look {
    number: u64,
    begun: Instant,
    loaded: Arc<Loaded>,
}

/// What was read last, and what tells whether it is so still.
#[derive(Debug)]
struct Kept {
    loaded: Arc<Loaded>,
    roots: Vec<Root>,
    accepted: Arc<Acceptances>,
    watch: Watch,
}

/// Everything read at one point in time.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) inventory: Result<Inventory, Problem>,
    pub(crate) planner: Planner,
    stamp: Digest,
}

/// The catalogue and the inventory of this orchestrator.
#[derive(Debug)]
pub(crate) struct Library {
    roots: Vec<Root>,
    /// The data folder: what was added and what a person writes lies below it.
    home: PathBuf,
    inventory: PathBuf,
    here: Here,
    accepted: Mutex<Arc<Acceptances>>,
    kept: Mutex<Option<Kept>>,
    /// How many looks were begun.
    begun: AtomicU64,
    newest: tokio::sync::Mutex<Option<Look>>,
    bundles: Mutex<VecDeque<(Digest, Arc<Bundle>)>>,
}

impl Library {
    pub(crate) fn new(roots: Vec<Root>, home: PathBuf, here: Here) -> Self {
        Self {
            roots,
            inventory: home.join("inventory"),
            home,
            here,
            accepted: Mutex::default(),
            kept: Mutex::new(None),
            begun: AtomicU64::new(0),
            newest: tokio::sync::Mutex::new(None),
            bundles: Mutex::default(),
        }
    }

    /// This moment.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.begun.load(Ordering::SeqCst))
    }

    /// What the files say now.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<Arc<Loaded>, Problem> {
        self.since(self.moment()).await
    }

    /// What the files said at some time after this moment, and not long ago. Whoever asks at the same time shares a
    /// look, because each walks over all files.
    pub(crate) async fn since(self: &Arc<Self>, moment: Moment) -> Result<Arc<Loaded>, Problem> {
        let mut newest = self.newest.lock().await;
        if let Some(look) = newest.as_ref()
            && look.number > moment.0
            && look.begun.elapsed() < FRESH
        {
            return Ok(Arc::clone(&look.loaded));
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let begun = Instant::now();
        let library = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || library.read()).await;
        let loaded = read.map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("catalogue and inventory could not be read: {error}"),
                "see the log of the orchestrator",
            )
        })?;
        *newest = Some(Look {
            number,
            begun,
            loaded: Arc::clone(&loaded),
        });
        Ok(loaded)
    }

    /// What counts as accepted from now on, beside what did before.
    pub(crate) fn accept(&self, more: Acceptances) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut accepted).extend(more);
        // A look that was begun before must not stand in for one that knows of it.
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn accepted(&self) -> Arc<Acceptances> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&accepted)
    }

    /// All roots as they are now: the shipped one and those of the configuration, what a person writes, what was added.
    fn roots(&self) -> Vec<Root> {
        let here = repository::roots(&self.home);
        self.roots.iter().cloned().chain(here).collect()
    }

    fn read(&self) -> Arc<Loaded> {
        let roots = self.roots();
        let accepted = self.accepted();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && kept.roots == roots
            && Arc::ptr_eq(&kept.accepted, &accepted)
            && kept.watch.is_quiet()
        {
            return Arc::clone(&kept.loaded);
        }
        let (stamp, watch) = self.stamp(&roots, &accepted);
        let same = kept.take().filter(|kept| kept.loaded.stamp == stamp);
        let loaded = same.map_or_else(|| self.load(&roots, &accepted, stamp), |kept| kept.loaded);
        *kept = Some(Kept {
            loaded: Arc::clone(&loaded),
            roots,
            accepted,
            watch,
        });
        loaded
    }

    fn load(&self, roots: &[Root], accepted: &Acceptances, stamp: Digest) -> Arc<Loaded> {
        let catalogue = Arc::new(Catalogue::load_accepted(roots, accepted));
        for broken in catalogue.broken() {
            tracing::warn!(file = %broken.file, line = broken.line, reason = %broken.reason, "catalogue file does not load; the rest does");
        }
        let inventory = Inventory::load(&self.inventory, &self.here);
        let planner = Planner::new(Arc::clone(&catalogue));
        Arc::new(Loaded {
            catalogue,
            inventory,
            planner,
            stamp,
        })
    }

    /// Digest over names, sizes and times of every file, and over what was accepted: changes whenever one of them may
    /// have. With it what tells of the next change.
    fn stamp(&self, roots: &[Root], accepted: &Acceptances) -> (Digest, Watch) {
        let mut watch = Watch::begin();
        let accepted = accepted.iter();
        let mut lines: Vec<String> = accepted
            .map(|(entry, word)| format!("{entry} {} {:?}", word.digest, word.tier))
            .collect();
        for root in roots {
            stamp::walk(&root.path, &mut watch, &mut lines);
        }
        stamp::walk(&self.inventory, &mut watch, &mut lines);
        (Digest::of_parts(lines.iter().map(String::as_bytes)), watch)
    }

    /// The rights to the machines behind these hosts, where all of them can be told.
    pub(crate) fn machines(&self, hosts: &BTreeSet<HostName>) -> Option<BTreeSet<String>> {
        let loaded = self.read();
        let inventory = loaded.inventory().ok()?;
        let machine = |host| machine_claim(inventory, host);
        hosts.iter().map(machine).collect()
    }

    /// Keeps a bundle that may have to be sent.
    pub(crate) fn keep(&self, digest: Digest, bundle: Bundle) {
        let mut bundles = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
        bundles.retain(|(kept, _)| *kept != digest);
        bundles.push_back((digest, Arc::new(bundle)));
        if bundles.len() > KEPT {
            bundles.pop_front();
        }
    }

    /// The bundle that a step was planned with, if it is still to be had.
    pub(crate) fn bundle(&self, step: &Step) -> Option<Arc<Bundle>> {
        let kept = {
            let bundles = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
            bundles
                .iter()
                .find(|(digest, _)| *digest == step.bundle)
                .map(|(_, bundle)| Arc::clone(bundle))
        };
        kept.or_else(|| {
            let bundle = self.read().bundle_of(&step.entry, &step.hosts).ok()?;
            (bundle.digest() == step.bundle).then(|| Arc::new(bundle))
        })
    }
}

impl Loaded {
    /// The inventory, or what is wrong with it.
    pub(crate) fn inventory(&self) -> Result<&Inventory, Problem> {
        self.inventory.as_ref().map_err(Clone::clone)
    }

    /// Playbook tree and resolved inventory for these hosts.
    pub(crate) fn bundle_of(&self, entry: &EntryId, hosts: &[HostName]) -> Result<Bundle, Problem> {
        let too_odd = |error: chiffon_common::BundleError| {
            Problem::new(
                ErrorCode::CatalogueBroken,
                format!("{entry}: {error}"),
                "rename the file and ask again",
            )
        };
        let mut bundle = self
            .catalogue
            .find(entry.as_str())?
            .bundle_files()
            .map_err(too_odd)?;
        let resolved = self.inventory()?.resolve(hosts)?;
        for (path, file) in resolved.files() {
            bundle.insert(path, file.clone()).map_err(too_odd)?;
        }
        Ok(bundle)
    }
}
