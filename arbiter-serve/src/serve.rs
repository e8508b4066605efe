//! `arbiter serve`: puts the parts together, brings store and audit files to the same state, serves until it is told to
//! end, and then finishes what is in hand.

use std::{fs, io::Write, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chiffon_authorizer::Asking;
use chiffon_common::{Digest, ErrorCode, Problem, ReasonCode};
use chiffon_http::Server;
use chiffon_store::{
    ControlStore, MemoryControl, MemoryLimits, Options, PostgresControl, PostgresOptions,
    SqliteControl,
};
use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::{
    audit::{self, Audit, Head, Needs, OpenError, Torn, Writing},
    clocks::{self, Confirmed},
    config::{self, Config, Store},
    decide::{Arbiter, Turns, store_problem},
    http::Api,
    outbox::{Confirming, Outbox},
    record::{self, Kind, Record},
    restore,
    watch::Watch,
};

/// How long what is in hand may take at the end; whoever still waits for an authoriser then is told to come again.
const GRACE: Duration = Duration::from_secs(5);
/// How much of that is left for telling them.
const TELLING: Duration = Duration::from_secs(1);
/// Between two looks for what may be forgotten.
const FORGETTING: Duration = Duration::from_secs(30);
/// Rows of one look.
const FORGOTTEN: u32 = 1_000;

fn fault(code: ErrorCode, detail: impl Into<String>, todo: &str) -> Problem {
    Problem::new(code, detail, todo)
}

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn serve(config: Config) -> Result<(), Problem> {
    // Before anything is promised or touched.
    let mut ended = Signals::new()?;
    let bound = chiffon_http::bind(config.listen, "listen in the configuration").await?;
    let address = bound.address;
    let callers = config.limits.connections;
    let authorizer = config.authorizer.clone();
    let authorizer = authorizer.map(|it| Asking::new(it, callers)).transpose();
    let authorizer = authorizer.map_err(|error| {
        let todo = "name a file of authorities in authz.ca_file";
        fault(ErrorCode::InvalidValue, error.to_string(), todo)
    })?;
    let rules = Digest::of_value(&config.policy)
        .map_err(|error| fault(ErrorCode::Internal, error.to_string(), "please report this"))?;
    beginning(&config.audit)?;
    let mut opened = audit::open(&config.audit.path).map_err(open_problem)?;
    let head = opened.head;
    let confirmed = Confirmed::since(opened.last_at);
    let (store, needs) = store(&config, head).await?;
    let outbox = Outbox::hold(&config, &store, head, confirmed.time()).await?;
    // Nothing refuses the start from here on but a disk that cannot be written.
    let torn = opened.mend().map_err(open_problem)?;
    let (audit, writing) = start_audit(opened, &config, needs, rules)?;
    if let Some(torn) = torn {
        tell(&audit, &torn, rules).await?;
    }
    let watch = Arc::new(watch(&config));
    let looking = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&watch).looking()));
    let turns = Arc::new(Turns::new());
    let (outbox, confirming) = match outbox {
        Some(outbox) => {
            let known = (Arc::clone(&watch), Arc::clone(&turns));
            let started = outbox.start(&audit, rules, known);
            let (outbox, confirming) = started.await?;
            (Some(outbox), Some(confirming))
        }
        None => (None, None),
    };
    let forgetting = forget(Arc::clone(&store), keep(&config), confirmed);
    let forgetting = AbortOnDropHandle::new(tokio::spawn(forgetting));
    let token = config.token.clone();
    let arbiter = Arc::new(Arbiter {
        policy: config.policy,
        rules,
        store,
        audit,
        authorizer,
        outbox,
        turns,
        watch,
        ending: CancellationToken::new(),
    });
    let api = Api::new(Arc::clone(&arbiter), token.as_deref())
        .map_err(|error| fault(ErrorCode::Internal, error.to_string(), "please report this"))?;
    let (api, connections) = (Arc::new(api), config.limits.connections);
    let answer = move |request, _peer| {
        let api = Arc::clone(&api);
        async move { api.answer(request).await }
    };
    let server = Server::start(bound, connections, CancellationToken::new(), answer);
    promise(address);
    ended.wait().await;
    tracing::info!("ending: what is in hand is finished");
    let ending = arbiter.ending.clone();
    // While there are still connections to be told over.
    let telling = AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::time::sleep(GRACE.saturating_sub(TELLING)).await;
        ending.cancel();
    }));
    server.stop(GRACE).await;
    arbiter.ending.cancel();
    drop(telling);
    drop((forgetting, looking));
    end(arbiter, confirming, writing).await
}

fn watch(config: &Config) -> Watch {
    let database = match &config.store {
        Store::Sqlite { path, .. } => path.parent(),
        Store::Memory { .. } | Store::Postgres { .. } => None,
    };
    // A file named alone lies here.
    let here = |folder: &Path| match folder.as_os_str().is_empty() {
        true => Path::new(".").to_owned(),
        false => folder.to_owned(),
    };
    Watch::new(here(&config.audit.path), database.map(here))
}

/// The one line on standard output, for whoever started this and waits for it.
fn promise(address: SocketAddr) {
    let mut out = std::io::stdout().lock();
    // Whoever does not read it does not wait for it.
    let _unread = writeln!(out, "arbiter listens on http://{address}").and_then(|()| out.flush());
}

/// Everything that was put is written, and everything that is written is confirmed.
async fn end(
    arbiter: Arc<Arbiter>,
    confirming: Option<Confirming>,
    writing: Writing,
) -> Result<(), Problem> {
    // Decisions whose callers have gone still hold it; they end within the bounds of their waits.
    let begun = tokio::time::Instant::now();
    while Arc::strong_count(&arbiter) > 1 && begun.elapsed() < GRACE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(arbiter);
    let joined = tokio::task::spawn_blocking(move || writing.join());
    let joined = tokio::time::timeout(GRACE, joined).await;
    match joined {
        Ok(Ok(Ok(head))) => {
            if let Some(confirming) = confirming {
                let _late = tokio::time::timeout(GRACE, confirming.end(head)).await;
            }
            Ok(())
        }
        Ok(Ok(Err(error))) => Err(fault(
            ErrorCode::AuditUnwritable,
            error.to_string(),
            "end what stands in the way, as said; what was not written, and no answer left for, is lost",
        )),
        _ => Err(fault(
            ErrorCode::AuditUnwritable,
            "the audit did not end in time",
            "look at the disk of the audit folder",
        )),
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                fault(
                    ErrorCode::Internal,
                    format!("no signals: {error}"),
                    "please report this",
                )
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn open_problem(error: OpenError) -> Problem {
    let (code, todo) = match &error {
        OpenError::InUse(_) => (
            ErrorCode::AuditInUse,
            "stop the other one, or give this one its own audit.path",
        ),
        OpenError::Damaged { .. } => (
            ErrorCode::AuditBroken,
            "look at it with `arbiter audit verify`; to go on with a new chain, set another audit.path",
        ),
        OpenError::Misnamed { .. } => (
            ErrorCode::AuditBroken,
            "bring back the files that belong between, or move this empty one away where none do",
        ),
        OpenError::NoFolder(_) => (
            ErrorCode::InvalidValue,
            "set audit.path to a folder, or to a name that nothing has yet",
        ),
        OpenError::Unusable { source, .. } if is_full(source) => (
            ErrorCode::AuditUnwritable,
            "make room on the disk of the audit folder",
        ),
        OpenError::Unusable { .. } => (
            ErrorCode::InvalidValue,
            "make the folder writable for the user that runs arbiter, or set audit.path",
        ),
    };
    Problem::new(code, error.to_string(), todo)
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Where all files are to stay, the first must be there: nothing of ours has removed it.
fn beginning(audit: &config::Audit) -> Result<(), Problem> {
    // What is wrong with the folder is told when it is opened.
    let files = audit::files(&audit.path).unwrap_or_default();
    let first = files.first().and_then(|file| audit::first_of(file));
    match first {
        Some(first) if first > 1 && audit.rotation.keep == 0 => {
            let detail = format!(
                "the audit in {} begins at record {first}; its beginning was removed, and audit.keep is 0",
                audit.path.display()
            );
            let todo = "bring the files back; where an earlier audit.keep has removed them, set audit.keep to as many files as are to stay, such as 1000000";
            Err(Problem::new(ErrorCode::AuditBroken, detail, todo))
        }
        _ => Ok(()),
    }
}

fn start_audit(
    opened: audit::Opened,
    config: &Config,
    needs: Needs,
    rules: Digest,
) -> Result<(Audit, Writing), Problem> {
    let policy = config.policy.clone();
    let of_rules = move || {
        let now = Timestamp::now();
        record::of_rules(&policy, rules, record::fresh_id(now), now).bytes()
    };
    audit::start(opened, config.audit.rotation, needs, of_rules).map_err(|error| {
        let detail = format!("the audit cannot be written: {error}");
        fault(
            ErrorCode::AuditUnwritable,
            detail,
            "make the audit folder writable",
        )
    })
}

/// A torn end is told to whoever looks on, and stands in the audit from now on.
async fn tell(audit: &Audit, torn: &Torn, rules: Digest) -> Result<(), Problem> {
    let detail = format!(
        "the last {} bytes of {} were torn, as after a loss of power: no answer leaves before its record is whole; they lie in {} now",
        torn.bytes,
        torn.file.display(),
        torn.kept.display()
    );
    tracing::warn!("{detail}");
    let now = Timestamp::now();
    let record = Record {
        kind: Kind::Repair,
        action: "take_off_torn_end".into(),
        reason_code: ReasonCode::Pass,
        detail: Some(detail.into()),
        ..record::noted(rules, record::fresh_id(now), now)
    };
    let written = async { audit.place().await?.put(record.bytes(), None).wait().await };
    written.await.map_err(|error| {
        fault(
            ErrorCode::AuditUnwritable,
            error.to_string(),
            "make the audit folder writable",
        )
    })
}

/// The store, with everything in it that it must know, and what of that the audit files have to keep.
async fn store(config: &Config, head: Head) -> Result<(Arc<dyn ControlStore>, Needs), Problem> {
    match &config.store {
        Store::Memory { plans, rooms } => {
            temporary_folder();
            let memory = MemoryControl::spilling(MemoryLimits {
                decided: *plans,
                states: *rooms,
                ..MemoryLimits::default()
            });
            let memory = Arc::new(memory.map_err(|error| store_problem(&error))?);
            let gate = &config.policy.gate;
            let filled = restore::fill(memory.as_ref(), &config.audit.path, gate, head.seq).await?;
            let (decisions, newest) = filled;
            tracing::info!(decisions, "brought back from the audit files");
            let kept = Arc::clone(&memory);
            let oldest = move || {
                let oldest = kept.oldest(Timestamp::now());
                oldest.map_err(|error| error.to_string())
            };
            let oldest = Box::new(oldest);
            Ok((memory, Needs { newest, oldest }))
        }
        Store::Sqlite { path, .. } => {
            let store = SqliteControl::open(path, Options::default());
            let store = store.map_err(|error| unopened(path, &error))?;
            Ok((Arc::new(store), Needs::nothing()))
        }
        Store::Postgres { url, ca_file, .. } => {
            let options = PostgresOptions {
                ca_file: ca_file.clone(),
                ..PostgresOptions::new(url.clone())
            };
            let store = PostgresControl::connect(&options).await;
            let store = store.map_err(|error| match error {
                chiffon_store::Error::Malformed(why) => {
                    let todo = "set store.url, such as postgres://arbiter@127.0.0.1/arbiter";
                    fault(ErrorCode::InvalidValue, format!("store.url: {why}"), todo)
                }
                // Nobody has sent anything yet.
                chiffon_store::Error::Unavailable(why) => {
                    let todo =
                        "start the database, or set store.url to a database that takes this user";
                    let detail = format!("store.url: no database can be used there: {why}");
                    fault(ErrorCode::StoreUnavailable, detail, todo)
                }
                error => store_problem(&error),
            });
            let store: Arc<dyn ControlStore> = Arc::new(store?);
            clocks::compare(&store).await;
            Ok((store, Needs::nothing()))
        }
    }
}

/// Why the file of a database cannot be opened; nobody has sent anything yet.
fn unopened(path: &Path, error: &chiffon_store::Error) -> Problem {
    use chiffon_store::Error;
    let shown = path.display();
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let detail = format!(
            "store.path is {shown}, and there is no folder {}",
            folder.display()
        );
        let todo = "make the folder, or set store.path";
        return fault(ErrorCode::InvalidValue, detail, todo);
    }
    let problem = store_problem(error);
    let todo = match error {
        Error::Corrupt(_) => {
            "restore a backup, or move the file away with those beside it (-wal, -shm): a new one is given what stands in the audit files"
        }
        Error::Unavailable(_) | Error::ReadOnly(_) => {
            "make it a file that the user of arbiter can write, in a folder that it can write, or set store.path"
        }
        _ => problem.todo.as_str(),
    };
    fault(
        problem.code,
        format!("store.path {shown}: {}", problem.detail),
        todo,
    )
}

/// Says where rooms that find no place in memory do not go, though somebody wants them there: SQLite takes another folder
/// without a word.
fn temporary_folder() {
    for name in ["SQLITE_TMPDIR", "TMPDIR"] {
        let Some(folder) = std::env::var_os(name) else {
            continue;
        };
        let probe = Path::new(&folder).join(format!(".arbiter-{}", Uuid::now_v7()));
        let tried = fs::File::create_new(&probe).and_then(|_file| fs::remove_file(&probe));
        match tried {
            // The first that can be used is used.
            Ok(()) => return,
            Err(error) => tracing::warn!(
                "{name} is {}, where no file can be made ({error}): rooms that find no place in memory go elsewhere, such as to /var/tmp or /tmp",
                folder.display()
            ),
        }
    }
}

/// How long answers are kept; those in memory are bounded by their number.
fn keep(config: &Config) -> Option<Duration> {
    match &config.store {
        Store::Memory { .. } => None,
        Store::Sqlite { keep, .. } | Store::Postgres { keep, .. } => Some(*keep),
    }
}

/// Forgets what means nothing any more, and answers that are older than they are kept: by a time that is confirmed, because
/// what is forgotten comes back by no clock that is set right again.
async fn forget(store: Arc<dyn ControlStore>, keep: Option<Duration>, mut confirmed: Confirmed) {
    loop {
        tokio::time::sleep(FORGETTING).await;
        let now = confirmed.look();
        let before =
            keep.and_then(|keep| now.checked_sub(SignedDuration::try_from(keep).ok()?).ok());
        let before = before.unwrap_or(Timestamp::MIN);
        loop {
            match store.forget(before, now, FORGOTTEN).await {
                Ok(0) => break,
                // Others wait for the store too.
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => {
                    tracing::warn!(%error, "nothing could be forgotten");
                    break;
                }
            }
        }
    }
}
