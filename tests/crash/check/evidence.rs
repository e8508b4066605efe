//! Everything that a cell leaves, read into memory once: so that a doctored copy can be judged too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_common::Digest;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::super::{
    history::{self, Told},
    program::Measure,
    reader,
    yard::{Yard, left_over},
};

/// What the harness itself saw and said at the end.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Requests that were still open when the drain gave up.
    pub open: Vec<String>,
    /// Requests whose recorded events lead somewhere else when they are told again.
    pub told_otherwise: Vec<String>,
    pub baseline: Option<Measure>,
    pub healed: Option<Measure>,
    /// Exit code of the last life, which was asked to end.
    pub last_exit: Option<i32>,
    /// Exit code of `chiffon audit verify`, and its words.
    pub verified: Option<i32>,
    pub verify_text: String,
}

/// A row with a state of its own.
#[derive(Debug, Clone)]
pub struct Thing {
    pub id: String,
    /// The request it belongs to; its own id for a request.
    pub request: String,
    pub state: String,
    pub ended: bool,
    pub attempt: u32,
    pub doc: Value,
}

/// An effect that a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub task: String,
    pub attempt: u32,
    pub entry: String,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub said: Said,
    pub history: Told,
    pub stream: Vec<reader::Told>,
    pub marks: Vec<Mark>,
    pub logs: Vec<(String, String)>,
    pub requests: BTreeMap<String, Thing>,
    pub rooms: BTreeMap<String, String>,
    pub tasks: BTreeMap<String, Thing>,
    pub decisions: BTreeMap<String, Thing>,
    pub plans: BTreeMap<String, Value>,
    pub schedules: BTreeMap<String, Value>,
    /// Audit records in the order of their numbers.
    pub audit: Vec<(u64, Value)>,
    /// Places of the event stream: first, last, the record.
    pub numbers: Vec<(u64, u64, Option<String>)>,
    /// Events that requests took, in order.
    pub taken: Vec<(String, Value)>,
    /// Requests that the ledger was told of.
    pub entered: Vec<String>,
    pub batches: Vec<Option<String>>,
    /// Commits of the ledger's `main`.
    pub commits: BTreeSet<String>,
    /// What may hold no secret, by its place.
    pub told: Vec<(String, String)>,
    pub token: String,
    /// Rows that wait: outbox, timers, leases.
    pub waiting: Vec<String>,
    pub left_over: Vec<PathBuf>,
    pub processes: Vec<String>,
}

impl Evidence {
    /// Reads all. The program must have ended.
    pub fn gather(yard: &Yard, said: Said) -> Self {
        let home = yard.home.path();
        let database = Database::open(&home.join("chiffon.db"));
        let ledger = home.join("ledger");
        let mut told = vec![
            (
                "the ledger".to_owned(),
                git(&ledger, &["log", "-p", "main"]),
            ),
            (
                "the stream".to_owned(),
                fs::read_to_string(yard.stream()).unwrap(),
            ),
        ];
        for (place, sql) in [
            ("the audit records", "SELECT entry FROM audit_log"),
            ("output lines", "SELECT line FROM execution_logs"),
        ] {
            let lines = database.rows(sql, |row| row.get::<_, String>(0));
            told.push((place.to_owned(), lines.join("\n")));
        }
        let run_folder = run_folder(&home);
        let (rooms, requests) = database.requests();
        Self {
            said,
            history: history::read(&yard.history()),
            stream: reader::read(&yard.stream()),
            marks: marks(&yard.effects()),
            logs: logs(&yard.logs()),
            requests,
            rooms,
            tasks: database
                .things("SELECT task_id, request_id, state, ended, attempt, doc FROM tasks"),
            decisions: database.things(
                "SELECT decision_id, request_id, state, state <> 'pending', 0, doc FROM decisions",
            ),
            plans: database.docs("SELECT request_id, doc FROM plans"),
            schedules: database.docs("SELECT schedule_id, doc FROM schedules"),
            audit: database.audit(),
            numbers: database.rows(
                "SELECT first_event, last_event, audit_id FROM event_numbers ORDER BY last_event",
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            ),
            taken: database.taken(),
            entered: database.rows(
                "SELECT request_id FROM ledger_entries ORDER BY entry_no",
                |row| row.get(0),
            ),
            batches: database.rows(
                "SELECT commit_id FROM ledger_batches ORDER BY batch_no",
                |row| row.get(0),
            ),
            commits: git(&ledger, &["rev-list", "main"])
                .lines()
                .map(str::to_owned)
                .collect(),
            told,
            token: yard.home.read("token").unwrap().trim().to_owned(),
            waiting: database.waiting(),
            left_over: left_over(&home)
                .into_iter()
                .chain(inside(&run_folder))
                .collect(),
            processes: processes(run_folder.file_name().unwrap().to_str().unwrap()),
        }
    }
}

struct Database(Connection);

impl Database {
    fn open(path: &Path) -> Self {
        let open = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        Self(open.unwrap())
    }

    fn rows<T>(&self, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| read(row)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn things(&self, sql: &str) -> BTreeMap<String, Thing> {
        let things = self.rows(sql, |row| {
            Ok(Thing {
                id: row.get(0)?,
                request: row.get(1)?,
                state: row.get(2)?,
                ended: row.get(3)?,
                attempt: row.get(4)?,
                doc: parsed(&row.get::<_, String>(5)?),
            })
        });
        things
            .into_iter()
            .map(|thing| (thing.id.clone(), thing))
            .collect()
    }

    fn requests(&self) -> (BTreeMap<String, String>, BTreeMap<String, Thing>) {
        let rooms = self.rows("SELECT request_id, room_id FROM requests", |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let things =
            self.things("SELECT request_id, request_id, state, ended, 0, doc FROM requests");
        (rooms.into_iter().collect(), things)
    }

    fn docs(&self, sql: &str) -> BTreeMap<String, Value> {
        let rows = self.rows(sql, |row| {
            Ok((row.get(0)?, parsed(&row.get::<_, String>(1)?)))
        });
        rows.into_iter().collect()
    }

    fn audit(&self) -> Vec<(u64, Value)> {
        let sql =
            "SELECT seq, entry FROM audit_numbers JOIN audit_log USING (audit_id) ORDER BY seq";
        self.rows(sql, |row| {
            Ok((row.get(0)?, parsed(&row.get::<_, String>(1)?)))
        })
    }

    fn taken(&self) -> Vec<(String, Value)> {
        let sql = "SELECT request_id, doc FROM run_events ORDER BY request_id, version";
        self.rows(sql, |row| {
            Ok((row.get(0)?, parsed(&row.get::<_, String>(1)?)))
        })
    }

    fn waiting(&self) -> Vec<String> {
        let mut waiting = self.rows(
            "SELECT name, owner FROM leases WHERE owner LIKE 'task:%'",
            |row| {
                Ok(format!(
                    "lease {} is held by {}",
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?
                ))
            },
        );
        waiting.extend(self.rows(
            "SELECT slice, name FROM timers WHERE slice IN (SELECT request_id FROM requests)",
            |row| {
                Ok(format!(
                    "timer {} of {}",
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(0)?
                ))
            },
        ));
        waiting
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// `<task>-<attempt> <entry> <how>`.
fn marks(path: &Path) -> Vec<Mark> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        let (task, attempt) = words.next()?.rsplit_once('-')?;
        Some(Mark {
            task: task.to_owned(),
            attempt: attempt.parse().ok()?,
            entry: words.next()?.to_owned(),
        })
    };
    let text = fs::read_to_string(path).unwrap();
    let marks = text
        .lines()
        .map(|line| read(line).unwrap_or_else(|| panic!("no mark: {line:?}")));
    marks.collect()
}

fn logs(folder: &Path) -> Vec<(String, String)> {
    let mut logs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect();
    logs.sort();
    logs
}

fn git(ledger: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(ledger)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where the agent of this data folder keeps its runs in memory.
fn run_folder(home: &Path) -> PathBuf {
    let agent = fs::canonicalize(home.join("agents/infrastructure")).unwrap();
    let owner = fs::metadata(&agent).unwrap().uid();
    let mark = Digest::of_bytes(agent.as_os_str().as_encoded_bytes()).short();
    PathBuf::from(format!("/dev/shm/chiffon-{owner}-infrastructure-{mark}"))
}

fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Processes that still work in that folder.
fn processes(folder: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let of_ours = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(folder)
    });
    of_ours
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
