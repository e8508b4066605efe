//! The checker itself put to the proof: what a cell left behind is doctored in one way after the other, and each time
//! the invariant that was broken must be named.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    cell::Cell,
    check::{self, Demands, Evidence},
    dice::seeds,
    history::{End, Op},
    load::Parts,
    program::Surroundings,
    yard::{CANARY, ENTRIES},
};

type Doctor = fn(&mut Evidence);

/// What is spoiled, and which invariant must be named.
const DOCTORED: [(&str, &str, Doctor); 27] = [
    ("I1", "an acknowledged request is gone", |it| {
        let id = acknowledged(it);
        it.requests.remove(&id);
    }),
    ("I1", "a request never ended", |it| {
        let id = acknowledged(it);
        let request = it.requests.get_mut(&id).unwrap();
        (request.state, request.ended) = ("running".to_owned(), false);
    }),
    ("I1", "a lease is held for ever", |it| {
        it.waiting.push("lease host:alpha is held".to_owned())
    }),
    ("I2", "a request came from nowhere", |it| {
        let (id, request) = it
            .requests
            .iter()
            .next()
            .map(|(id, request)| (id.clone(), request.clone()))
            .unwrap();
        it.rooms.insert(id + "x", "elsewhere".to_owned());
        it.requests.insert(request.id.clone() + "x", request);
    }),
    ("I2", "one key made two requests", |it| {
        let id = acknowledged(it);
        let (room, request) = (it.rooms[&id].clone(), it.requests[&id].clone());
        it.rooms.insert(id.clone() + "x", room);
        it.requests.insert(id + "x", request);
    }),
    ("I2", "an effect of no task", |it| {
        it.marks[0].task = "nobody".to_owned()
    }),
    ("I3", "an end was changed later", |it| {
        let id = acknowledged(it);
        let from = it.requests[&id].state.clone();
        let moved = json!({ "subject": { "kind": "request", "id": id }, "from": from, "to": "failed", "because": "" });
        it.audit.last_mut().unwrap().1["moves"]
            .as_array_mut()
            .unwrap()
            .push(moved);
    }),
    ("I3", "a row is not what its last record says", |it| {
        let task = it
            .tasks
            .values_mut()
            .find(|task| task.state == "completed")
            .unwrap();
        task.state = "failed".to_owned();
    }),
    ("I3", "somebody saw another end", |it| {
        let op = it
            .history
            .ops
            .iter_mut()
            .find(|op| op.answer["ended"] == true)
            .unwrap();
        op.answer["state"] = json!("expired");
    }),
    ("I4", "an attempt took effect twice", |it| {
        it.marks.push(it.marks[0].clone())
    }),
    ("I4", "a success without an effect", |it| {
        let task = changed_task(it);
        it.marks.retain(|mark| mark.task != task);
    }),
    ("I4", "what may not run twice ran twice", |it| {
        let task = changed_task(it);
        let mut again = it
            .marks
            .iter()
            .find(|mark| mark.task == task)
            .unwrap()
            .clone();
        again.attempt += 1;
        it.tasks.get_mut(&task).unwrap().attempt += 1;
        it.marks.push(again);
    }),
    ("I5", "an old attempt was heard", |it| {
        let ended = it
            .taken
            .iter_mut()
            .find(|(_, doc)| doc["event"]["event"] == "ended")
            .unwrap();
        ended.1["event"]["attempt"] = json!(0);
    }),
    ("I5", "an old message was heard", |it| {
        let ended = it
            .taken
            .iter()
            .find(|(_, doc)| doc["event"]["event"] == "ended")
            .unwrap()
            .clone();
        it.taken.push(ended);
    }),
    (
        "I7",
        "the program's own verification found something",
        |it| it.said.verified = Some(1),
    ),
    ("I7", "a record lost its place", |it| {
        it.numbers.remove(it.numbers.len() / 2);
    }),
    ("I7", "a record is missing", |it| {
        it.audit.remove(it.audit.len() / 2);
    }),
    ("I7", "the ledger was told twice", |it| {
        it.entered.push(it.entered[0].clone())
    }),
    ("I7", "a foreign commit", |it| {
        it.commits.insert("f".repeat(40));
    }),
    ("I8", "nobody approved", |it| {
        it.taken
            .retain(|(_, doc)| doc["event"]["choice"] != "approve");
        it.decisions.clear();
    }),
    ("I8", "another plan was approved", |it| {
        let taken = it
            .taken
            .iter_mut()
            .find(|(_, doc)| doc["event"]["choice"] == "approve")
            .unwrap();
        taken.1["event"]["digest"] = json!("sha256:0");
    }),
    ("I9", "an event was never told", |it| {
        let at = it
            .stream
            .iter()
            .position(|told| told.what == "event")
            .unwrap();
        it.stream.remove(at);
    }),
    ("I9", "the stream told another end", |it| {
        let last = it.stream.iter_mut().rev().find_map(|told| {
            let event = told.event.as_mut()?;
            (event["type"] == "request.completed").then_some(event)
        });
        last.unwrap()["data"]["state"] = json!("running");
    }),
    ("I11", "files of a run were left behind", |it| {
        it.left_over.push(PathBuf::from("/dev/shm/run"))
    }),
    ("I11", "descriptors leak", |it| {
        it.said.healed.as_mut().unwrap().files += 500
    }),
    ("I12", "a panic", |it| {
        it.logs[0].1 += "thread 'x' panicked at src/main.rs:1:1:\n"
    }),
    ("I12", "a secret in the log", |it| {
        it.logs[0].1 += &format!("2026 WARN it is {CANARY}\n")
    }),
];

/// Doctored so that nothing is proved by the rest.
const VACUOUS: [(&str, Doctor); 4] = [
    ("no fault", |it| it.history.faults.clear()),
    ("a fault that nobody saw", |it| {
        it.history.faults[0].2 = false
    }),
    ("no final reads", |it| it.history.final_reads = None),
    ("only errors", |it| {
        it.history
            .ops
            .iter_mut()
            .for_each(|op| op.end = op.end.map(|(us, _)| (us, End::Info)))
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_names_what_was_spoiled() {
    let seed = seeds()[0];
    let with = Surroundings::default();
    let mut cell = Cell::begin("doctored", seed, &with).await;
    cell.begin_load(Parts::CHEAP).await;
    cell.until_ok(150, std::time::Duration::from_secs(60)).await;
    cell.kill();
    cell.start(&with).await.expect("it starts again");
    cell.until_ok(50, std::time::Duration::from_secs(60)).await;
    let evidence = cell.evidence(&with).await;
    judge(&evidence).assert_holds("doctored", seed);
    for (invariant, what, doctor) in DOCTORED {
        let mut doctored = evidence.clone();
        doctor(&mut doctored);
        let broken = judge(&doctored).broken();
        assert!(
            broken.contains(&invariant),
            "{what}: {invariant} is not among {broken:?}"
        );
    }
    for (what, doctor) in VACUOUS {
        let mut doctored = evidence.clone();
        doctor(&mut doctored);
        assert!(
            judge(&doctored).broken().contains(&"vacuous"),
            "{what} goes unseen"
        );
    }
}

fn judge(evidence: &Evidence) -> check::Verdict {
    let entries = ENTRIES.map(|entry| (entry.id, entry.on_interrupt));
    check::judge(evidence, Demands::SHORT, &entries)
}

/// A completed request that somebody asked for and knows of.
fn acknowledged(it: &Evidence) -> String {
    let of = |op: &Op| op.answer["request_id"].as_str().map(str::to_owned);
    let asked = it
        .history
        .ops
        .iter()
        .filter(|op| op.is(End::Ok) && op.about.kind == "ask")
        .filter_map(of);
    let completed = |id: &String| {
        it.requests
            .get(id)
            .is_some_and(|request| request.state == "completed")
    };
    asked.into_iter().find(completed).unwrap()
}

/// A completed task of an entry that may not run twice.
fn changed_task(it: &Evidence) -> String {
    let is_it = |mark: &&check::Mark| {
        let once = ["mark_ask", "mark_fail", "mark_slow"].contains(&mark.entry.as_str());
        let task = it.tasks.get(&mark.task);
        let again = |doc: &Value| doc["event"]["choice"] == "retry";
        let nobody_again = task.is_some_and(|task| {
            !it.taken
                .iter()
                .any(|(id, doc)| *id == task.request && again(doc))
        });
        once && task.is_some_and(|task| task.state == "completed") && nobody_again
    };
    it.marks.iter().find(is_it).unwrap().task.clone()
}
