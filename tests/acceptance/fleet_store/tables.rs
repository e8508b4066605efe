//! What the fleet's tables are in a real server: which databases are refused, days as partitions, guards, and the views with
//! the questions of their page.

use chiffon_common::{Digest, TenantId};
use chiffon_store::{
    Commit, Error, Expected, MetricRow, NewLogLine, PlanRow, Postgres as Database, PostgresOptions,
    RequestRow, Write,
    conformance::{at, commit, entry, request_row, task_row},
};
use chiffon_tests::repository_root;
use serde_json::json;

use super::{connect, started};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_fit_is_refused() {
    let Some(server) = started("a database that does not fit").await else {
        return;
    };
    let refused = async |url: &str| {
        let refused = Database::connect(&PostgresOptions::new(url)).await;
        refused.map(drop).expect_err("it does not fit")
    };
    let url = server.database("later");
    drop(connect(&url).await);
    let later = "INSERT INTO chiffon_schema_history (version, name, applied_on, checksum)
                 VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    server.sql("later", later);
    let told = refused(&url).await;
    assert!(matches!(told, Error::Newer { found: 99, .. }), "{told:?}");
    // Another program's, which is not touched; beside the control store's tables there is room.
    let url = server.database("theirs");
    server.sql(
        "theirs",
        "CREATE TABLE invoices (x INT); CREATE TABLE control_states (x INT)",
    );
    let told = refused(&url).await;
    assert!(
        matches!(&told, Error::Corrupt(text) if text.contains("another program (invoices)")),
        "{told:?}"
    );
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
                  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";
    assert_eq!(server.sql("theirs", tables), "control_states invoices");
    server.sql("theirs", "DROP TABLE invoices");
    drop(connect(&url).await);
    let told = refused(&server.url("nowhere")).await;
    assert!(
        matches!(&told, Error::Unavailable(text) if text.contains("nowhere")),
        "{told:?}"
    );
}

/// So many seconds are a day.
const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_what_grows_is_a_partition_and_goes_as_a_whole() {
    let Some(server) = started("partitions").await else {
        return;
    };
    let store = connect(&server.database("days")).await;
    let open = request_row(at(0));
    let mut ended = request_row(at(0));
    (ended.state, ended.ended) = ("completed".to_owned(), true);
    let line = |row: &RequestRow, day: i64| NewLogLine {
        request_id: row.request_id,
        task_id: task_row(row.request_id, at(0)).task_id,
        attempt: 1,
        ts: at(day * DAY),
        // A program may say anything.
        line: "changed\0".to_owned(),
    };
    let metric = |day: i64| {
        Write::Metric(MetricRow {
            tenant_id: TenantId::default(),
            agent_id: "infrastructure".parse().expect("an id"),
            ts: at(day * DAY),
            doc: json!({ "cpu": 0.5 }),
        })
    };
    let mut writes = vec![
        Write::Request(Expected::Absent, open.clone()),
        Write::Request(Expected::Absent, ended.clone()),
    ];
    for day in 0..4 {
        writes.push(metric(day));
        writes.push(Write::Logs(vec![line(&ended, day)]));
    }
    writes.push(Write::Logs(vec![line(&open, 1)]));
    store
        .commit(commit(writes))
        .await
        .expect("nothing is in its way");
    let days = |table: &str| {
        let sql = format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{table}'::regclass");
        server.sql("days", &sql)
    };
    // One for the rest.
    assert_eq!(
        [days("resource_metrics"), days("execution_logs")],
        ["5", "5"]
    );
    assert_eq!(
        server.sql("days", "SELECT count(*) FROM execution_logs_rest"),
        "0"
    );
    let lines = store
        .logs(open.request_id, 0, 10)
        .await
        .expect("it can be read");
    assert_eq!(lines[0].line, "changed\u{fffd}");
    // Two days and one row of the third; of the second day, the line of what has not ended stays.
    assert_eq!(store.forget(at(2 * DAY + 1)).await.expect("it goes"), 6);
    assert_eq!(
        [days("resource_metrics"), days("execution_logs")],
        ["3", "4"]
    );
    let lines = store
        .logs(open.request_id, 0, 10)
        .await
        .expect("it can be read");
    assert_eq!(lines.len(), 1);
    // A day that went is no obstacle to what comes late.
    store
        .commit(commit([metric(0)]))
        .await
        .expect("nothing is in its way");
    assert_eq!(
        server.sql("days", "SELECT count(*) FROM resource_metrics_rest"),
        "1"
    );
    assert_eq!(store.forget(at(1)).await.expect("it goes"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_audited_or_has_ended_is_guarded_by_the_database() {
    let Some(server) = started("guards").await else {
        return;
    };
    let store = connect(&server.database("guarded")).await;
    let mut row = request_row(at(0));
    (row.state, row.ended) = ("failed".to_owned(), true);
    let all = Commit {
        audit: vec![entry("request:1")],
        ..commit([Write::Request(Expected::Absent, row)])
    };
    store.commit(all).await.expect("nothing is in its way");
    let tries = [
        ("UPDATE audit_log SET entry = ''", "cannot be changed"),
        ("DELETE FROM audit_numbers", "cannot be changed"),
        ("TRUNCATE audit_seals", "cannot be changed"),
        ("DELETE FROM event_numbers", "cannot be changed"),
        (
            "UPDATE requests SET state = 'running', ended = false",
            "keeps its state",
        ),
    ];
    for (sql, words) in tries {
        let tried = format!(
            "DO $$ BEGIN {sql}; RAISE 'done'; EXCEPTION WHEN integrity_constraint_violation
                 OR check_violation OR restrict_violation THEN
                 IF strpos(SQLERRM, '{words}') = 0 THEN RAISE; END IF; END $$"
        );
        server.sql("guarded", &tried);
    }
    assert_eq!(
        store.check().await.expect("it can be read"),
        Vec::<String>::new()
    );
    server.sql(
        "guarded",
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_no_change",
    );
    let faults = store.check().await.expect("it can be read");
    assert_eq!(
        faults,
        ["trigger audit_log_no_change is missing or switched off"]
    );
}

/// A step that went wrong on one of two hosts, as the engine writes it.
fn failed_run() -> Commit {
    let mut request = request_row(at(0));
    let (id, mut task) = (request.request_id, task_row(request.request_id, at(1)));
    (request.state, request.ended, request.updated_at) = ("failed".to_owned(), true, at(9));
    request.doc = json!({"text": "Deploy Kuma to NAS", "requester": {"id": "local:anna", "kind": "person"}, "because": "step 0 failed"});
    (task.state, task.ended, task.updated_at) = ("failed".to_owned(), true, at(8));
    task.doc = json!({
        "step": 0, "mode": "apply", "because": "the image is not there", "started_at": at(3).to_string(),
        "outcome": {
            "duration_seconds": 4.5, "usage": {"cpu_hours": 0.25, "memory_peak_gb": 0.5},
            "hosts": {"nas": {"outcome": "failed", "message": "no such image"}, "pi": {"outcome": "ok"}},
        },
    });
    let plan = PlanRow {
        tenant_id: TenantId::default(),
        request_id: id,
        digest: Digest::of_bytes(b"plan"),
        created_at: at(0),
        doc: json!({"steps": [{"no": 0, "entry": "deploy-kuma", "title": "Deploy Kuma"}]}),
    };
    let odd = RequestRow {
        doc: json!({"text": "NUL \0 in it"}),
        ..request_row(at(0))
    };
    let metric = MetricRow {
        tenant_id: TenantId::default(),
        agent_id: "infrastructure".parse().expect("an id"),
        ts: at(0),
        doc: json!({"hostname": "box", "cpu_percent": 12.5, "load": [0.5, 0.2, 0.1],
                    "memory_total": 4_294_967_296_u64, "memory_available": 1_073_741_824_u64, "disks": []}),
    };
    commit([
        Write::Request(Expected::Absent, request),
        Write::Request(Expected::Absent, odd),
        Write::Plan(plan),
        Write::Task(Expected::Absent, task),
        Write::Metric(metric),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_views_answer_and_each_question_of_the_page_can_be_asked() {
    let Some(server) = started("views").await else {
        return;
    };
    let store = connect(&server.database("asked")).await;
    store
        .commit(failed_run())
        .await
        .expect("nothing is in its way");
    let one = |sql: &str| server.sql("asked", sql);
    let why = "SELECT asked, asked_by, because, step, entry, step_because, host, message FROM request_failures";
    assert_eq!(
        one(why),
        "Deploy Kuma to NAS|local:anna|step 0 failed|0|deploy-kuma|the image is not there|nas|no such image"
    );
    let long = "SELECT title, waited_seconds, ran_seconds, cpu_hours FROM step_runs";
    assert_eq!(one(long), "Deploy Kuma|2|4.5|0.25");
    let which = "SELECT host, outcome, failed FROM host_runs ORDER BY host";
    assert_eq!(one(which), "nas|failed|t\npi|ok|f");
    let used = "SELECT host, cpu_percent, round(memory_used_gb, 1) FROM machine_use";
    assert_eq!(one(used), "box|12.5|3.0");
    let page = std::fs::read_to_string(repository_root().join("docs/postgres.md"))
        .expect("the page is there");
    let questions: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(questions.len(), 7);
    for question in questions {
        one(question);
    }
}
