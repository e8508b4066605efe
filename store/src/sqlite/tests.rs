//! How SQLite finds what the lists ask for: by a walk over an index in its order, never over a table, and
//! never by sorting. What they answer is left to the conformance suite.

use chiffon_common::RequestId;
use rusqlite::Connection;

use super::{decisions, history, lists, logs, open, plans, projects, schedules, stream, tasks};
use crate::{ListDecisions, ListRequests, ListTasks};

/// How SQLite would do it, a line for each table.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let rows = statement.raw_query().mapped(|row| row.get("detail"));
    rows.collect::<Result<_, _>>().unwrap()
}

/// Every table is searched, the first by these words, and nothing is sorted.
#[track_caller]
fn assert_walks(conn: &Connection, sql: &str, by: &str) {
    let plan = plan(conn, sql);
    let found = plan.iter().any(|step| step.contains(by));
    assert!(found, "{plan:?} does not go by {by:?}");
    for step in &plan {
        // What stands in a subquery has lines of its own.
        let cheap = step.starts_with("SEARCH ") || step.starts_with("CORRELATED SCALAR SUBQUERY");
        assert!(cheap, "{step:?} in {plan:?} of {sql}");
    }
}

fn request() -> Option<RequestId> {
    "019b2c00-0000-7000-8000-000000000001".parse().ok()
}

#[test]
fn lists_of_requests_walk_over_an_index() {
    let conn = open::reference().unwrap();
    let all = ListRequests::default();
    let choices = [
        (all.clone(), "requests_newest (tenant_id=? AND (created_at"),
        (
            ListRequests {
                project_id: Some("lab".parse().unwrap()),
                ..all.clone()
            },
            "requests_by_project (tenant_id=? AND project_id=? AND (created_at",
        ),
        (
            ListRequests {
                room_id: Some("room".parse().unwrap()),
                ..all.clone()
            },
            "requests_by_room (tenant_id=? AND room_id=? AND (created_at",
        ),
        (
            ListRequests {
                state: Some("running".to_owned()),
                ..all.clone()
            },
            "requests_by_state (tenant_id=? AND state=? AND (created_at",
        ),
        (
            ListRequests {
                project_id: Some("lab".parse().unwrap()),
                state: Some("failed".to_owned()),
                ..all.clone()
            },
            "requests_of_project_in (tenant_id=? AND project_id=? AND state=? AND (created_at",
        ),
        (
            ListRequests {
                room_id: Some("room".parse().unwrap()),
                project_id: Some("lab".parse().unwrap()),
                state: Some("failed".to_owned()),
                ..all.clone()
            },
            "requests_of_room_in (tenant_id=? AND room_id=? AND state=? AND (created_at",
        ),
        (
            ListRequests {
                open_only: true,
                ..all
            },
            "requests_open (tenant_id=? AND (created_at",
        ),
    ];
    for (list, by) in choices {
        assert_walks(&conn, lists::page_of(&list), by);
    }
}

#[test]
fn lists_of_tasks_walk_over_an_index() {
    let conn = open::reference().unwrap();
    let all = ListTasks::default();
    let choices = [
        (all.clone(), "tasks_newest (tenant_id=? AND (created_at"),
        (
            ListTasks {
                request_id: request(),
                ..all.clone()
            },
            "tasks_of_request (request_id=? AND (created_at",
        ),
        (
            ListTasks {
                agent_id: Some("desktop.pi".parse().unwrap()),
                ..all.clone()
            },
            "tasks_of_agent (tenant_id=? AND agent_id=? AND (created_at",
        ),
        (
            ListTasks {
                state: Some("running".to_owned()),
                ..all.clone()
            },
            "tasks_of_tenant (tenant_id=? AND state=? AND (created_at",
        ),
        (
            ListTasks {
                agent_id: Some("desktop.pi".parse().unwrap()),
                state: Some("failed".to_owned()),
                ..all.clone()
            },
            "tasks_of_agent_in (tenant_id=? AND agent_id=? AND state=? AND (created_at",
        ),
        (
            ListTasks {
                open_only: true,
                ..all
            },
            "tasks_open (tenant_id=? AND (created_at",
        ),
    ];
    for (list, by) in choices {
        assert_walks(&conn, tasks::page_of(&list), by);
    }
}

#[test]
fn lists_of_decisions_walk_over_an_index() {
    let conn = open::reference().unwrap();
    let all = ListDecisions::default();
    let choices = [
        (all.clone(), "decisions_newest (tenant_id=? AND (created_at"),
        (
            ListDecisions {
                request_id: request(),
                ..all.clone()
            },
            "decisions_of_request (request_id=? AND (created_at",
        ),
        (
            ListDecisions {
                state: Some("pending".to_owned()),
                ..all
            },
            "decisions_by_state (tenant_id=? AND state=? AND (created_at",
        ),
    ];
    for (list, by) in choices {
        assert_walks(&conn, decisions::page_of(&list), by);
    }
}

#[test]
fn plans_and_projects_are_found_by_an_index() {
    let conn = open::reference().unwrap();
    let by = "plans_newest (tenant_id=? AND (created_at";
    assert_walks(&conn, plans::PAGE_OF, by);
    let by = "plans_by_id (tenant_id=? AND <expr>=?)";
    assert_walks(&conn, plans::REQUEST_OF, by);
    let by = "(tenant_id=? AND project_id>?)";
    assert_walks(&conn, projects::PAGE_OF, by);
}

#[test]
fn schedules_and_old_history_are_found_by_an_index() {
    let conn = open::reference().unwrap();
    let by = "schedules_newest (tenant_id=? AND (created_at";
    assert_walks(&conn, schedules::PAGE_OF, by);
    assert_walks(
        &conn,
        schedules::DUE,
        "schedules_due (next_at>? AND next_at<?)",
    );
    assert_walks(&conn, schedules::AHEAD, "schedules_ahead (considered_at>?)");
    assert_walks(
        &conn,
        schedules::WATCHED,
        "schedules_watched (open_request>?)",
    );
    let plan = plan(&conn, history::OLD);
    let by = "requests_ended_by_age (tenant_id=? AND updated_at<?)";
    assert!(plan.iter().any(|step| step.contains(by)), "{plan:?}");
    let scans = |step: &&String| step.starts_with("SCAN") || step.contains("TEMP B-TREE");
    assert_eq!(plan.iter().find(scans), None, "{plan:?}");
}

#[test]
fn the_event_stream_is_read_from_where_one_is() {
    let conn = open::reference().unwrap();
    let by = "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)";
    assert_walks(&conn, stream::PAGE_OF, by);
    assert_walks(&conn, stream::HEAD, "SEARCH event_numbers");
    assert_walks(&conn, logs::LAST_LINE, "(request_id=?)");
    assert_walks(
        &conn,
        logs::LAST_PLACE,
        "event_numbers_of_lines (request_id=?)",
    );
}
