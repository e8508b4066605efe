//! How long a page of each list takes in a long history: fills a database and reads the first page and one from the
//! middle, with every filter. That every page is a walk over one index is a test beside the backend.

use std::{future::Future, time::Instant};

use chiffon_common::TenantId;
use chiffon_store::{
    Commit, Error, Expected, ListRequests, ListTasks, Options, RequestRow, Sqlite, Store, TaskRow,
    Write,
    conformance::{at, commit, entry, request_row, task_row},
};

use crate::table::{median as median_of, milliseconds, row};

/// Requests in one commit.
const CHUNK: u64 = 500;
/// Elements of a page.
const PAGE: u32 = 50;
/// Each page is read so often.
const TIMES: usize = 21;
const STATES: [&str; 4] = ["completed", "completed", "completed", "failed"];

pub(crate) async fn measure(requests: u32) -> anyhow::Result<()> {
    let folder = crate::on_disk()?;
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path, Options::default())?;
    let requests = u64::from(requests);
    let begun = Instant::now();
    let mut number = 0;
    while number < requests {
        let until = (number + CHUNK).min(requests);
        store.commit(filled(number..until)).await?;
        number = until;
    }
    let size = std::fs::metadata(&path)?.len() >> 20;
    row(
        &format!("history, {requests} requests with a task each: filling it"),
        &format!("{:.0} s, {size} MiB", begun.elapsed().as_secs_f64()),
        "-",
        "-",
        "none",
    );
    let middle = middle(requests);
    for (name, list) in of_requests() {
        let page = async |after| {
            let list = ListRequests {
                after,
                ..list.clone()
            };
            let rows = store.requests(&TenantId::default(), list).await?;
            Ok::<_, Error>(rows.len())
        };
        let deep = Some((at(middle), request_row(at(0)).request_id));
        tell(name, || page(None), || page(deep)).await?;
    }
    for (name, list) in of_tasks() {
        let page = async |after| {
            let list = ListTasks {
                after,
                ..list.clone()
            };
            let rows = store.tasks(&TenantId::default(), list).await?;
            Ok::<_, Error>(rows.len())
        };
        let deep = Some((
            at(middle),
            task_row(request_row(at(0)).request_id, at(0)).task_id,
        ));
        tell(name, || page(None), || page(deep)).await?;
    }
    let stream = async |after| Ok::<_, Error>(store.stream_after(after, PAGE).await?.len());
    tell("events", || stream(0), || stream(requests / CHUNK / 2)).await?;
    let old = async || {
        Ok(store
            .forgettable(&TenantId::default(), at(i64::MAX >> 40), PAGE)
            .await?
            .len())
    };
    tell("what may be forgotten", old, old).await?;
    Ok(())
}

fn middle(requests: u64) -> i64 {
    i64::try_from(requests / 2).unwrap_or_default()
}

fn filled(numbers: std::ops::Range<u64>) -> Commit {
    let mut writes = Vec::new();
    for number in numbers {
        let time = at(i64::try_from(number).unwrap_or_default());
        let is_open = number % 10_000 == 0;
        let state = match is_open {
            true => "running",
            false => STATES[(number % 4) as usize],
        };
        let request = RequestRow {
            project_id: name(&format!("p{}", number % 97)),
            room_id: name(&format!("room{}", number % 1_009)),
            state: state.to_owned(),
            ended: !is_open,
            ..request_row(time)
        };
        let task = TaskRow {
            state: state.to_owned(),
            ended: !is_open,
            agent_id: Some(name(&format!("desktop.h{}", number % 13))),
            ..task_row(request.request_id, time)
        };
        writes.push(Write::Request(Expected::Absent, request));
        writes.push(Write::Task(Expected::Absent, task));
    }
    Commit {
        audit: vec![entry("bench")],
        ..commit(writes)
    }
}

fn name<T: std::str::FromStr>(text: &str) -> T {
    let read = text.parse();
    read.unwrap_or_else(|_| panic!("{text:?} is no id"))
}

fn of_requests() -> Vec<(&'static str, ListRequests)> {
    let all = ListRequests {
        limit: PAGE,
        ..ListRequests::default()
    };
    let state = Some("failed".to_owned());
    let project_id = Some(name("p7"));
    let room_id = Some(name("room7"));
    vec![
        ("requests", all.clone()),
        (
            "requests, open",
            ListRequests {
                open_only: true,
                ..all.clone()
            },
        ),
        (
            "requests in a state",
            ListRequests {
                state: state.clone(),
                ..all.clone()
            },
        ),
        (
            "requests of a project",
            ListRequests {
                project_id: project_id.clone(),
                ..all.clone()
            },
        ),
        (
            "requests of a project in a state",
            ListRequests {
                project_id,
                state: state.clone(),
                ..all.clone()
            },
        ),
        (
            "requests of a room",
            ListRequests {
                room_id: room_id.clone(),
                ..all.clone()
            },
        ),
        (
            "requests of a room in a state",
            ListRequests {
                room_id,
                state,
                ..all
            },
        ),
    ]
}

fn of_tasks() -> Vec<(&'static str, ListTasks)> {
    let all = ListTasks {
        limit: PAGE,
        ..ListTasks::default()
    };
    let state = Some("failed".to_owned());
    let agent_id = Some(name("desktop.h7"));
    vec![
        ("tasks", all.clone()),
        (
            "tasks, open",
            ListTasks {
                open_only: true,
                ..all.clone()
            },
        ),
        (
            "tasks in a state",
            ListTasks {
                state: state.clone(),
                ..all.clone()
            },
        ),
        (
            "tasks of an agent",
            ListTasks {
                agent_id: agent_id.clone(),
                ..all.clone()
            },
        ),
        (
            "tasks of an agent in a state",
            ListTasks {
                agent_id,
                state,
                ..all
            },
        ),
    ]
}

/// A row: the first page beside one from the middle.
async fn tell<A, B>(name: &str, first: impl Fn() -> A, middle: impl Fn() -> B) -> Result<(), Error>
where
    A: Future<Output = Result<usize, Error>>,
    B: Future<Output = Result<usize, Error>>,
{
    let ((first, rows), (middle, deep)) = (median(first).await?, median(middle).await?);
    row(
        &format!("history, page of {PAGE}: {name}"),
        &format!("{first:.2} ms ({rows} rows)"),
        &format!("from the middle: {middle:.2} ms ({deep} rows)"),
        &format!("{:.2}", middle / first),
        "fast",
    );
    Ok(())
}

/// Milliseconds that the page takes, and its rows.
async fn median<F>(page: impl Fn() -> F) -> Result<(f64, usize), Error>
where
    F: Future<Output = Result<usize, Error>>,
{
    let mut times = Vec::new();
    let mut rows = 0;
    for _time in 0..TIMES {
        let begun = Instant::now();
        rows = page().await?;
        times.push(milliseconds(begun.elapsed()));
    }
    Ok((median_of(&mut times), rows))
}
