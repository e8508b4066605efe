//! The one writer: records of many requests become one write and one fsync, and only then does any of their answers
//! leave. Rotation happens between two batches.
//!
//! What cannot be written is kept and tried again, in its order, and nothing new is taken meanwhile: the records are the
//! truth, and a decision that is in force without one would be a hole in it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    line::Head,
    open::{LastFile, Opened, appending, sync_folder},
    ours::{append, as_left, same_bytes},
    scan::{file_name, files},
    seen::Seen,
};

/// Records that wait for the writer. More than this at once means that the disk is slower than the callers: they wait.
const WAITING: usize = 8_192;
/// Records of one fsync; bounds the memory of a batch, not its time.
const BATCH: usize = 2_048;
/// From one fsync to the next at least, while many come at once: each costs the processor as much as some events do, and
/// one for each handful would leave too little of it to the events. Who comes alone waits for nobody.
const APART: Duration = Duration::from_millis(1);
/// As many records in one fsync are many: somebody else came meanwhile.
const MANY: usize = 2;
/// Longest wait for the disk. What was put is written all the same, whenever that may be.
const SLOWEST: Duration = Duration::from_secs(30);
/// Between two tries to write what could not be written.
const AGAIN: Duration = Duration::from_millis(200);
/// Tries at the end, where somebody waits for this process to go.
const LAST_TRIES: u32 = 10;

/// How files are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// A file that has reached this many bytes is not gone on with.
    pub(crate) bytes: u64,
    /// How many files stay at least, the current one among them; 0 keeps all.
    pub(crate) keep: usize,
}

/// The newest decision of each file, where it has one.
pub(crate) type Newest = HashMap<PathBuf, Timestamp>;

/// Which decisions the files must still hold.
pub(crate) struct Needs {
    /// Of the files that are there.
    pub(crate) newest: Newest,
    /// The time of the oldest decision that must be brought back at a start; nothing where none has to be. An error where
    /// that cannot be told.
    pub(crate) oldest: Box<dyn Fn() -> Result<Option<Timestamp>, String> + Send>,
}

impl Needs {
    /// Nothing is brought back from the files.
    pub(crate) fn nothing() -> Self {
        Self {
            newest: Newest::new(),
            oldest: Box::new(|| Ok(None)),
        }
    }
}

/// A record could not be made durable; it is kept and tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit record cannot be written: {0}")]
pub(crate) struct Unwritten(pub(crate) String);

struct Entry {
    record: Vec<u8>,
    /// When it was decided, where it decides.
    at: Option<Timestamp>,
    done: Option<oneshot::Sender<Result<(), Unwritten>>>,
}

struct Shared {
    failing: AtomicBool,
    why: Mutex<String>,
    /// The last record that is on the disk.
    reached: Mutex<Head>,
}

impl Shared {
    fn fault(&self) -> Option<Unwritten> {
        let why = || {
            self.why
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let is_failing = self.failing.load(Ordering::Acquire);
        is_failing.then(|| Unwritten(why()))
    }

    fn fails(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.failing.store(true, Ordering::Release);
    }

    fn reaches(&self, head: Head) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// How far the files have come, for whoever keeps nobody from ending.
#[derive(Clone)]
pub(crate) struct Reached(Arc<Shared>);

impl Reached {
    /// The last record that is on the disk.
    pub(crate) fn head(&self) -> Head {
        *self
            .0
            .reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where records go.
#[derive(Clone)]
pub(crate) struct Audit {
    to: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
}

/// Where records go, held by somebody who keeps the writer from nothing.
pub(crate) struct Weak {
    to: mpsc::WeakSender<Entry>,
    shared: Arc<Shared>,
}

impl Weak {
    /// Nothing once all others are gone.
    pub(crate) fn upgrade(&self) -> Option<Audit> {
        Some(Audit {
            to: self.to.upgrade()?,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// A place for one record, taken before the decision, so that none is in force that cannot be recorded.
pub(crate) struct Place<'a>(mpsc::Permit<'a, Entry>);

/// A record on its way to the disk.
pub(crate) struct Durable(oneshot::Receiver<Result<(), Unwritten>>);

impl Audit {
    /// A place for a record; waits where many wait, and is refused while nothing can be written.
    pub(crate) async fn place(&self) -> Result<Place<'_>, Unwritten> {
        if let Some(fault) = self.shared.fault() {
            return Err(fault);
        }
        match timeout(SLOWEST, self.to.reserve()).await {
            Ok(place) => place.map(Place).map_err(|_closed| ended()),
            Err(_) => Err(slow()),
        }
    }

    /// The same for somebody who is not waited for.
    pub(crate) fn weak(&self) -> Weak {
        Weak {
            to: self.to.downgrade(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// How far the files have come.
    pub(crate) fn reached(&self) -> Reached {
        Reached(Arc::clone(&self.shared))
    }

    /// Why nothing can be written, where that is so.
    pub(crate) fn fault(&self) -> Option<Unwritten> {
        self.shared.fault()
    }
}

impl Place<'_> {
    /// Puts a record, a JSON object, behind all that were put before it; with its time, where it is a decision.
    pub(crate) fn put(self, record: Vec<u8>, at: Option<Timestamp>) -> Durable {
        let (done, durable) = oneshot::channel();
        self.0.send(Entry {
            record,
            at,
            done: Some(done),
        });
        Durable(durable)
    }
}

impl Durable {
    /// Waits until the record is on the disk.
    pub(crate) async fn wait(self) -> Result<(), Unwritten> {
        match timeout(SLOWEST, self.0).await {
            Ok(written) => written.unwrap_or_else(|_gone| Err(ended())),
            Err(_) => Err(slow()),
        }
    }
}

fn slow() -> Unwritten {
    Unwritten(format!(
        "the disk did not take it within {} s",
        SLOWEST.as_secs()
    ))
}

fn ended() -> Unwritten {
    Unwritten("the writer has ended".to_owned())
}

/// The writer's thread. It ends once every [`Audit`] is gone and all is written.
pub(crate) struct Writing(JoinHandle<Result<Head, Unwritten>>);

impl Writing {
    /// Waits for the end; the chain's head then. Blocks.
    pub(crate) fn join(self) -> Result<Head, Unwritten> {
        let joined = self.0.join();
        joined.unwrap_or_else(|_panicked| Err(Unwritten("the writer panicked".to_owned())))
    }
}

/// Starts the writer on an opened folder, with a record of the rules in force. `rules` makes it anew for each file, so
/// that a file can be judged again by itself.
pub(crate) fn start(
    mut opened: Opened,
    rotation: Rotation,
    needs: Needs,
    rules: impl Fn() -> Vec<u8> + Send + 'static,
) -> io::Result<(Audit, Writing)> {
    let (to, from) = mpsc::channel(WAITING);
    opened.mend().map_err(io::Error::other)?;
    let Opened {
        folder,
        head,
        last,
        last_at: _,
        torn: _,
        mut seen,
        lock,
    } = opened;
    seen.write(&folder);
    let shared = Arc::new(Shared {
        failing: AtomicBool::new(false),
        why: Mutex::default(),
        reached: Mutex::new(head),
    });
    let mut writer = Writer {
        folder,
        rotation,
        needs,
        rules: Box::new(rules),
        head,
        file: last,
        next: None,
        seen,
        full: Vec::new(),
        shared: Arc::clone(&shared),
        _lock: lock,
    };
    writer.begin()?;
    let thread = std::thread::Builder::new().name("audit".to_owned());
    let thread = thread.spawn(move || writer.run(from))?;
    Ok((Audit { to, shared }, Writing(thread)))
}

struct Writer {
    folder: PathBuf,
    rotation: Rotation,
    needs: Needs,
    rules: Box<dyn Fn() -> Vec<u8> + Send>,
    head: Head,
    file: Option<LastFile>,
    /// The file after it, which was made and could not be written.
    next: Option<LastFile>,
    seen: Seen,
    /// Files that are whole, and not noted as such yet.
    full: Vec<(PathBuf, Head)>,
    shared: Arc<Shared>,
    _lock: File,
}

impl Writer {
    fn begin(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return self.rotate();
        };
        let rules = (self.rules)();
        append(file, &mut self.head, [rules.as_slice()], &mut Vec::new())?;
        self.shared.reaches(self.head);
        Ok(())
    }

    fn run(mut self, mut from: mpsc::Receiver<Entry>) -> Result<Head, Unwritten> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut lines = Vec::new();
        let mut next = Instant::now();
        while from.blocking_recv_many(&mut batch, BATCH) > 0 {
            gather(&mut batch, &mut from, next);
            let begun = Instant::now();
            self.settle(&mut batch, &mut lines, &from)?;
            next = match batch.len() {
                MANY.. => begun + APART,
                _ => begun,
            };
            batch.clear();
        }
        Ok(self.head)
    }

    /// Writes a batch, however long it takes; whoever waits for it hears of the first failure.
    fn settle(
        &mut self,
        batch: &mut [Entry],
        lines: &mut Vec<u8>,
        from: &mpsc::Receiver<Entry>,
    ) -> Result<(), Unwritten> {
        let mut last_tries = LAST_TRIES;
        loop {
            let written = self.write(batch, lines);
            let said = written.map_err(|error| Unwritten(error.to_string()));
            // Before anybody hears of it, so that whoever does finds it so.
            match &said {
                Ok(()) if self.shared.failing.swap(false, Ordering::AcqRel) => {
                    tracing::warn!("audit records can be written again");
                }
                Ok(()) => {}
                Err(why) => {
                    if self.shared.fault().is_none() {
                        tracing::error!(%why, "nothing is decided until audit records can be written");
                    }
                    self.shared.fails(why.0.clone());
                }
            }
            for entry in &mut *batch {
                // Whoever went away meanwhile is told the same thing when it asks again.
                if let Some(done) = entry.done.take() {
                    let _gone = done.send(said.clone());
                }
            }
            let Err(why) = said else {
                return Ok(());
            };
            if from.is_closed() {
                last_tries -= 1;
            }
            if last_tries == 0 {
                return Err(why);
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn write(&mut self, batch: &[Entry], lines: &mut Vec<u8>) -> io::Result<()> {
        let is_full = |file: &LastFile| file.length >= self.rotation.bytes;
        if self.file.as_ref().is_none_or(is_full) {
            // What was cut off or removed must not be left behind for whole.
            if let Some(file) = &self.file {
                as_left(file, self.head)?;
            }
            self.rotate()?;
        }
        let records = batch.iter().map(|entry| entry.record.as_slice());
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("there is no audit file"));
        };
        if let Some(back) = same_bytes(file, self.head)? {
            tracing::warn!(file = %file.path.display(), "a copy of the audit file lies in its place, and is gone on with");
            *file = back;
        }
        append(file, &mut self.head, records, lines)?;
        self.shared.reaches(self.head);
        if let Some(at) = batch.iter().filter_map(|entry| entry.at).max() {
            let newest = self.needs.newest.entry(file.path.clone()).or_insert(at);
            *newest = at.max(*newest);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let end = self.head;
        let path = self.folder.join(file_name(self.head.seq + 1));
        let made = self.next.take().filter(LastFile::is_there);
        let mut file = match made {
            Some(file) => file,
            None => made_new(path)?,
        };
        let rules = (self.rules)();
        let written = sync_folder(&self.folder).and_then(|()| {
            let rules = [rules.as_slice()];
            append(&mut file, &mut self.head, rules, &mut Vec::new())
        });
        if let Err(error) = written {
            self.next = Some(file);
            return Err(error);
        }
        // All of it was read at the start, or written since.
        let full = self.file.replace(file).map(|full| full.path);
        self.shared.reaches(self.head);
        self.forget();
        self.full.extend(full.map(|full| (full, end)));
        let seen = &mut self.seen;
        self.full.retain(|(full, end)| {
            let about = fs::metadata(full);
            about.is_ok_and(|about| !seen.note(full, &about, *end))
        });
        self.seen.write(&self.folder);
        Ok(())
    }

    /// Removes files that are not to be kept, up to the first that holds what a start must bring back. By time, whatever
    /// the clock did: no file without a decision as new as the oldest one that is needed has that one. One that cannot be
    /// removed is in nobody's way.
    fn forget(&mut self) {
        let keep = self.rotation.keep;
        let files = files(&self.folder).unwrap_or_default();
        let old = files.len().saturating_sub(keep);
        if keep == 0 || old == 0 {
            return;
        }
        let oldest = match (self.needs.oldest)() {
            Ok(oldest) => oldest,
            Err(error) => {
                tracing::warn!(%error, "which audit files are needed cannot be told: all stay");
                return;
            }
        };
        for path in &files[..old] {
            let newest = self.needs.newest.get(path);
            if newest.is_some_and(|newest| oldest.is_some_and(|oldest| *newest >= oldest)) {
                tracing::debug!(file = %path.display(), "an old audit file is needed");
                return;
            }
            match std::fs::remove_file(path) {
                Ok(()) => {
                    self.needs.newest.remove(path);
                    tracing::info!(file = %path.display(), "an old audit file is removed");
                }
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "an old audit file stays");
                }
            }
        }
    }
}

/// A file for the next records. One of that name with anything in it is somebody else's, and is left as it is.
fn made_new(path: PathBuf) -> io::Result<LastFile> {
    let file = LastFile::of(appending(&path)?, path, 0);
    let length = file.file.metadata()?.len();
    match length {
        0 => file.held(),
        _ => Err(io::Error::other(format!(
            "{} lies there already, and arbiter did not write it; move it away, then arbiter goes on by itself",
            file.path.display()
        ))),
    }
}

/// Takes what comes until then, if that is still to come.
fn gather(batch: &mut Vec<Entry>, from: &mut mpsc::Receiver<Entry>, until: Instant) {
    let wait = until.saturating_duration_since(Instant::now());
    if wait.is_zero() {
        return;
    }
    std::thread::sleep(wait);
    while batch.len() < BATCH
        && let Ok(entry) = from.try_recv()
    {
        batch.push(entry);
    }
}
