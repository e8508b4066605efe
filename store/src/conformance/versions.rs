//! Rows are made once, change from the version that was read, and stay where they have ended.

use std::sync::Arc;

use chiffon_common::Digest;
use serde_json::json;

use super::{
    crowd::join_all,
    make::{
        assert_conflict, assert_malformed, at, commit, decision_row, done, name, plan_id, plan_row,
        project_row, request_id, request_row, stored_request, task_id, task_row,
    },
};
use crate::{AgentRow, EventRow, Expected, HostRow, PlanRow, RoomRow, Store, Write};

fn agent_row() -> AgentRow {
    AgentRow {
        tenant_id: name("default"),
        agent_id: name("infrastructure"),
        kind: "infrastructure".to_owned(),
        state: "idle".to_owned(),
        status: "active".to_owned(),
        version: 1,
        last_seen: at(0),
        doc: json!({}),
    }
}

fn room_row() -> RoomRow {
    RoomRow {
        tenant_id: name("default"),
        room_id: name("room"),
        project_id: name("default"),
        version: 1,
        updated_at: at(0),
        doc: json!({"mode": "open"}),
    }
}

pub(super) async fn a_row_is_made_once_and_then_changes_from_its_version(store: Arc<dyn Store>) {
    let request = request_row(at(0));
    let (task, decision) = (
        task_row(request.request_id, at(0)),
        decision_row(request.request_id, at(0)),
    );
    let kinds: [&(dyn Fn(Expected) -> Write + Sync); 6] = [
        &|expected| Write::Request(expected, request.clone()),
        &|expected| Write::Task(expected, task.clone()),
        &|expected| Write::Decision(expected, decision.clone()),
        &|expected| Write::Agent(expected, agent_row()),
        &|expected| Write::Room(expected, room_row()),
        &|expected| Write::Project(expected, project_row("lab")),
    ];
    for write in kinds {
        assert_conflict(store.commit(commit([write(Expected::Version(1))])).await);
        done(store.commit(commit([write(Expected::Absent)])).await);
        assert_conflict(store.commit(commit([write(Expected::Absent)])).await);
        assert_conflict(store.commit(commit([write(Expected::Version(2))])).await);
        done(store.commit(commit([write(Expected::Version(1))])).await);
        assert_conflict(store.commit(commit([write(Expected::Version(1))])).await);
        done(store.commit(commit([write(Expected::Version(2))])).await);
    }
    let run = done(store.run(&request.tenant_id, request.request_id).await);
    let run = run.expect("the request is there");
    assert_eq!(run.request.version, 3);
    assert_eq!(run.tasks[0].version, 3);
    assert_eq!(run.decisions[0].version, 3);
    assert_eq!(done(store.agents(&request.tenant_id).await)[0].version, 3);
    let room = done(store.room(&request.tenant_id, &name("room")).await);
    assert_eq!(room.map(|room| room.version), Some(3));
    let project = done(store.project(&request.tenant_id, &name("lab")).await);
    assert_eq!(project.map(|project| project.version), Some(3));
}

pub(super) async fn of_many_writers_of_one_version_one_wins(store: Arc<dyn Store>) {
    let row = stored_request(&*store, at(0)).await;
    let commits = (0..20).map(|number| {
        let (store, mut row) = (store.clone(), row.clone());
        async move {
            row.doc = json!(number);
            store
                .commit(commit([Write::Request(Expected::Version(1), row)]))
                .await
        }
    });
    let results = join_all(commits).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results
        .into_iter()
        .filter(Result::is_err)
        .for_each(assert_conflict);
}

pub(super) async fn a_terminal_row_keeps_its_state(store: Arc<dyn Store>) {
    let mut request = stored_request(&*store, at(0)).await;
    let mut task = task_row(request.request_id, at(0));
    let mut decision = decision_row(request.request_id, at(0));
    (request.state, request.ended) = ("failed".to_owned(), true);
    (task.state, task.ended) = ("completed".to_owned(), true);
    decision.state = "timed_out".to_owned();
    done(
        store
            .commit(commit([
                Write::Request(Expected::Version(1), request.clone()),
                Write::Task(Expected::Absent, task.clone()),
                Write::Decision(Expected::Absent, decision.clone()),
            ]))
            .await,
    );
    // What is known of it may still grow.
    request.doc = json!({"ledger": "abc"});
    done(
        store
            .commit(commit([Write::Request(
                Expected::Version(2),
                request.clone(),
            )]))
            .await,
    );
    (request.state, request.ended) = ("running".to_owned(), false);
    (task.state, task.ended) = ("failed".to_owned(), true);
    decision.state = "resolved".to_owned();
    let request = Write::Request(Expected::Version(3), request);
    assert_malformed(store.commit(commit([request])).await);
    let task = Write::Task(Expected::Version(1), task);
    assert_malformed(store.commit(commit([task])).await);
    let decision = Write::Decision(Expected::Version(1), decision);
    assert_malformed(store.commit(commit([decision])).await);
}

pub(super) async fn an_unknown_state_is_refused(store: Arc<dyn Store>) {
    let mut odd = request_row(at(0));
    odd.state = "nonsense".to_owned();
    assert_malformed(
        store
            .commit(commit([Write::Request(Expected::Absent, odd)]))
            .await,
    );
    let mut untrue = request_row(at(0));
    untrue.ended = true;
    assert_malformed(
        store
            .commit(commit([Write::Request(Expected::Absent, untrue)]))
            .await,
    );
    let orphan = task_row(super::make::request_id(), at(0));
    assert_malformed(
        store
            .commit(commit([Write::Task(Expected::Absent, orphan)]))
            .await,
    );
}

pub(super) async fn an_event_is_written_once(store: Arc<dyn Store>) {
    let plan = plan_id();
    let row = EventRow {
        tenant_id: name("default"),
        event_id: name("mail:17"),
        body: Digest::of_bytes(b"event"),
        request_id: Some(super::make::request_id()),
        created_at: at(0),
        event: json!({"text": "hello"}),
        plan: json!({"actions": [], "plan_id": plan}),
    };
    done(store.commit(commit([Write::Event(row.clone())])).await);
    let mut other = row.clone();
    other.body = Digest::of_bytes(b"another");
    assert_conflict(store.commit(commit([Write::Event(other)])).await);
    let found = done(store.event(&row.tenant_id, &row.event_id).await);
    assert_eq!(found, Some(row.clone()));
    let by_plan = |tenant| {
        let store = Arc::clone(&store);
        async move { done(store.event_of_plan(&name(tenant), plan).await) }
    };
    assert_eq!(by_plan("default").await, Some(row));
    assert_eq!(by_plan("another").await, None);
}

pub(super) async fn a_later_plan_replaces_an_earlier_one(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await;
    for text in ["first", "second"] {
        let plan = PlanRow {
            tenant_id: request.tenant_id.clone(),
            request_id: request.request_id,
            digest: Digest::of_bytes(text.as_bytes()),
            created_at: at(1),
            doc: json!(text),
        };
        done(store.commit(commit([Write::Plan(plan.clone())])).await);
        let run = done(store.run(&request.tenant_id, request.request_id).await);
        assert_eq!(run.and_then(|run| run.plan), Some(plan));
    }
}

pub(super) async fn a_plan_that_is_written_again_keeps_its_time(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await;
    let plan = plan_id();
    let read = async |row: PlanRow| {
        done(store.commit(commit([Write::Plan(row)])).await);
        let run = done(store.run(&request.tenant_id, request.request_id).await);
        run.and_then(|run| run.plan).map(|plan| plan.created_at)
    };
    let first = plan_row(request.request_id, plan, at(1));
    assert_eq!(read(first).await, Some(at(1)));
    let sealed = PlanRow {
        digest: Digest::of_bytes(b"sealed"),
        ..plan_row(request.request_id, plan, at(2))
    };
    assert_eq!(read(sealed).await, Some(at(1)));
    let another = plan_row(request.request_id, plan_id(), at(3));
    assert_eq!(read(another).await, Some(at(3)));
}

pub(super) async fn hosts_and_agents_are_read_back(store: Arc<dyn Store>) {
    let tenant = name("default");
    let mark = |place: &str, task_id, since, because: &str| HostRow {
        tenant_id: name("default"),
        place: place.to_owned(),
        task_id,
        request_id: request_id(),
        since,
        because: because.to_owned(),
    };
    let (first, second) = (task_id(), task_id());
    let of_first = mark("host:nas", first, at(1), "lost");
    let elsewhere = HostRow {
        place: "machine:box".to_owned(),
        ..of_first.clone()
    };
    let of_second = mark("host:nas", second, at(2), "lost too");
    let rows = [&of_second, &of_first, &elsewhere].map(|row| Write::MarkHost(row.clone()));
    done(store.commit(commit(rows)).await);
    let places = ["host:nas", "machine:box", "host:none"].map(str::to_owned);
    let open = async |places: &[String]| done(store.open_at(&tenant, places).await);
    let all = [of_first.clone(), elsewhere.clone(), of_second.clone()];
    assert_eq!(open(&places).await, all);
    assert_eq!(open(&places[2..]).await, []);
    assert_eq!(done(store.open_at(&name("other"), &places).await), []);
    // Said again: since the first time, in the newest words.
    let again = HostRow {
        since: at(5),
        because: "nobody knows".to_owned(),
        ..of_first.clone()
    };
    done(store.commit(commit([Write::MarkHost(again)])).await);
    let said = &open(&places[..1]).await[0];
    assert_eq!((said.since, said.because.as_str()), (at(1), "nobody knows"));
    let unmark = |task_id, places: Option<Vec<String>>| Write::UnmarkHosts { task_id, places };
    let some = Some(vec!["host:nas".to_owned()]);
    done(store.commit(commit([unmark(first, some)])).await);
    assert_eq!(open(&places).await, [elsewhere, of_second.clone()]);
    for _harmless in 0..2 {
        done(store.commit(commit([unmark(first, None)])).await);
        assert_eq!(open(&places).await, std::slice::from_ref(&of_second));
    }
    done(
        store
            .commit(commit([Write::Agent(Expected::Absent, agent_row())]))
            .await,
    );
    assert_eq!(done(store.agents(&tenant).await), [agent_row()]);
    assert_eq!(done(store.agents(&name("other")).await), []);
}
