//! What the harness did and heard (I6): every operation is written down before it leaves and again when it has an
//! end, as ok, fail (certainly not done) or info (nobody knows). Judging it is left to `check`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an operation is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// `ask`, `answer`, `cancel`, `resolve`, `schedule`, `undo`, `follow`, `read`.
    pub kind: String,
    /// The same key means the same operation, sent again.
    pub key: Option<String>,
    /// A conversation that only this key asks in, so that what came of it is found without its answer.
    pub room: Option<String>,
    /// What it names: a request, a decision, a task.
    pub id: Option<String>,
    /// What is said: the sentence, the entry, the choice.
    pub what: Option<String>,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Ok,
    /// It was refused, or never sent.
    Fail,
    /// It may have been done, or not.
    Info,
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Line {
    Invoke {
        no: u64,
        us: u64,
        about: About,
    },
    End {
        no: u64,
        us: u64,
        end: End,
        status: u16,
        /// The part of the answer that is held against the data folder.
        answer: Value,
    },
    /// The harness did something to the program.
    Fault {
        us: u64,
        what: String,
        in_flight: u64,
        /// Whether it was seen to have happened.
        observed: bool,
    },
    /// The load is over, and everything was read once more.
    FinalReads {
        us: u64,
        requests: u64,
    },
}

/// An operation, as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    pub no: u64,
    pub about: About,
    pub invoked: u64,
    /// None where the harness itself went away.
    pub end: Option<(u64, End)>,
    pub status: u16,
    pub answer: Value,
}

impl Op {
    /// Asked for, and nothing heard of it yet.
    fn begun(no: u64, about: About, invoked: u64) -> Self {
        Self {
            no,
            about,
            invoked,
            end: None,
            status: 0,
            answer: Value::Null,
        }
    }
}

impl Op {
    pub fn is(&self, end: End) -> bool {
        self.end.is_some_and(|(_, ended)| ended == end)
    }

    /// It was on its way at a moment between the two; one that was cut then counts.
    fn in_flight(&self, from: u64, until: u64) -> bool {
        // A cut line is felt before the death of the process is.
        const FELT: u64 = 1_000_000;
        self.invoked <= until
            && match self.end {
                None => true,
                Some((us, End::Info)) => us + FELT > from,
                Some((us, _)) => us > from,
            }
    }
}

/// Microseconds since 1970, by the harness's own clock.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}

/// The pen.
pub struct History(Mutex<(u64, File, BTreeMap<u64, Op>)>);

impl History {
    pub fn create(path: &Path) -> Self {
        Self(Mutex::new((
            0,
            File::create(path).unwrap(),
            BTreeMap::new(),
        )))
    }

    fn with<T>(&self, write: impl FnOnce(&mut (u64, File, BTreeMap<u64, Op>)) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Before it leaves; its number.
    pub fn invoke(&self, about: About) -> u64 {
        self.with(|(next, file, ops)| {
            *next += 1;
            let (no, us) = (*next, now());
            put(
                file,
                &Line::Invoke {
                    no,
                    us,
                    about: about.clone(),
                },
            );
            ops.insert(no, Op::begun(no, about, us));
            no
        })
    }

    pub fn end(&self, no: u64, end: End, status: u16, answer: Value) {
        self.with(|(_, file, ops)| {
            let us = now();
            put(
                file,
                &Line::End {
                    no,
                    us,
                    end,
                    status,
                    answer: answer.clone(),
                },
            );
            let op = ops.get_mut(&no).unwrap();
            (op.end, op.status, op.answer) = (Some((us, end)), status, answer);
        });
    }

    /// Notes a fault that began at `at` and is over now; how many operations it met.
    pub fn fault(&self, what: &str, at: u64, observed: bool) -> u64 {
        let until = now();
        self.with(|(_, file, ops)| {
            let in_flight = ops
                .values()
                .rev()
                .take(5_000)
                .filter(|op| op.in_flight(at, until))
                .count();
            let in_flight = u64::try_from(in_flight).unwrap();
            let line = Line::Fault {
                us: at,
                what: what.to_owned(),
                in_flight,
                observed,
            };
            put(file, &line);
            in_flight
        })
    }

    pub fn final_reads(&self, requests: u64) {
        self.with(|(_, file, _)| {
            put(
                file,
                &Line::FinalReads {
                    us: now(),
                    requests,
                },
            )
        });
    }

    pub fn count(&self, end: End) -> usize {
        self.with(|(_, _, ops)| ops.values().filter(|op| op.is(end)).count())
    }
}

fn put(file: &mut File, line: &Line) {
    let text = serde_json::to_string(line).unwrap() + "\n";
    file.write_all(text.as_bytes()).unwrap();
}

/// A history read back.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub ops: Vec<Op>,
    /// What was done, how many operations it met, whether it was seen.
    pub faults: Vec<(String, u64, bool)>,
    /// How many requests the final reads showed; none where they were not done.
    pub final_reads: Option<u64>,
}

pub fn read(path: &Path) -> Told {
    let mut told = Told::default();
    let mut ops: BTreeMap<u64, Op> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        match serde_json::from_str(line).unwrap() {
            Line::Invoke { no, us, about } => {
                ops.insert(no, Op::begun(no, about, us));
            }
            Line::End {
                no,
                us,
                end,
                status,
                answer,
            } => {
                let op = ops.get_mut(&no).unwrap();
                (op.end, op.status, op.answer) = (Some((us, end)), status, answer);
            }
            Line::Fault {
                what,
                in_flight,
                observed,
                ..
            } => told.faults.push((what, in_flight, observed)),
            Line::FinalReads { requests, .. } => told.final_reads = Some(requests),
        }
    }
    told.ops = ops.into_values().collect();
    told
}
