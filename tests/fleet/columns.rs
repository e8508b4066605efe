//! Somebody edits one column of one row, or takes one row away: every column of every table is either found, or on the
//! list of what is outside the proof, which is that of docs/audit.md.

use std::path::Path;

use rusqlite::Connection;

use super::proof::{Past, edit, faults};

/// What is outside the proof, or held by another proof, and why.
const OUTSIDE: [(&str, &str); 25] = [
    // Words, what agents say of themselves, and what is remembered so that nothing is done twice.
    ("agents", "*"),
    ("execution_logs", "*"),
    ("resource_metrics", "*"),
    ("hosts", "*"),
    ("rooms", "*"),
    ("projects", "*"),
    ("events", "*"),
    ("idempotency_keys", "*"),
    ("inbox", "*"),
    ("outbox", "*"),
    ("timers", "*"),
    // Free ones keep their number only; a held one is held to its task.
    ("leases", "*"),
    // By `chiffon replay`, but for the time.
    ("run_events", "doc"),
    // Which lines an event is: lines and requests go with age, their numbers stay, and lines of before the stream have no
    // place.
    ("event_numbers", "request_id"),
    ("event_numbers", "first_line"),
    ("event_numbers", "last_line"),
    // By which two writers notice each other.
    ("tasks", "version"),
    ("decisions", "version"),
    // Another name of the same: the columns say what the schema holds together.
    ("migrations", "*"),
    ("refinery_schema_history", "*"),
    // There are none in this past; they have tests of their own.
    ("schedules", "*"),
    ("freezes", "*"),
    ("control_answers", "*"),
    ("control_states", "*"),
    ("sqlite_sequence", "*"),
];

fn is_outside(table: &str, column: &str) -> bool {
    let hits = |(of, one): &(&str, &str)| *of == table && (*one == "*" || *one == column);
    OUTSIDE.iter().any(hits)
}

/// Tables with their columns, and whether each may be null.
#[expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]
fn tables(path: &Path) -> Vec<(String, Vec<(String, String)>)> {
    let conn = Connection::open(path).unwrap();
    let texts = |sql: &str| -> Vec<(String, String)> {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let names = texts("SELECT name, type FROM sqlite_schema WHERE type = 'table'");
    let columns = |table: &str| {
        texts(&format!(
            "SELECT name, type FROM pragma_table_info('{table}')"
        ))
    };
    names
        .into_iter()
        .map(|(name, _)| (name.clone(), columns(&name)))
        .collect()
}

/// Another value of the same kind, in the rows that have the highest.
fn another(table: &str, column: &str, kind: &str) -> String {
    let value = match (kind, column) {
        // Flags and numbers of any kind: one more is another, and stays within a flag's bounds.
        ("INTEGER", "ended" | "shares_commit") => format!("1 - {column}"),
        ("INTEGER", _) => format!("{column} + 1"),
        (_, "doc" | "entry") => format!("json_set({column}, '$.edited', 1)"),
        // The last digit of a digest or an id is exchanged, so that it stays one.
        _ => format!(
            "substr({column}, 1, length({column}) - 1) || iif(substr({column}, -1) = '1', '2', '1')"
        ),
    };
    format!(
        "UPDATE {table} SET {column} = {value} WHERE {column} = (SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} DESC LIMIT 1)"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_is_held_or_is_known_not_to_be() {
    let past = Past::made().await;
    // No agent is missed meanwhile, so that nothing but the edits is written.
    let world = past.edited("DELETE FROM timers").await;
    let path = world.home.path().join("edited.db");
    let saved = world.home.path().join("saved.db");
    assert_eq!(faults(&world, &[]).await, "");
    Connection::open(&path)
        .unwrap()
        .execute("VACUUM INTO ?1", [saved.to_str().unwrap()])
        .unwrap();
    let mut unnoticed = Vec::new();
    let mut looked = 0;
    for (table, columns) in tables(&path) {
        let back = format!(
            "ATTACH '{}' AS saved; DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM saved.{table}; DETACH saved;",
            saved.display()
        );
        let one = format!(
            "DELETE FROM {table} WHERE ({keys}) IS (SELECT {keys} FROM {table} LIMIT 1)",
            keys = columns
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        );
        let edits = columns
            .iter()
            .map(|(name, kind)| (name.as_str(), another(&table, name, kind)));
        let edits = edits.chain([("(a row)", one)]);
        for (column, sql) in edits.filter(|(column, _)| !is_outside(&table, column)) {
            let full: bool = Connection::open(&path)
                .unwrap()
                .query_row(
                    &match column {
                        "(a row)" => format!("SELECT EXISTS (SELECT 1 FROM {table})"),
                        _ => format!(
                            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {column} IS NOT NULL)"
                        ),
                    },
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            if !full {
                continue;
            }
            looked += 1;
            edit(&path, &sql);
            if faults(&world, &[]).await.is_empty() {
                unnoticed.push(format!("{table}.{column}: {sql}"));
            }
            edit(&path, &back);
        }
        assert_eq!(faults(&world, &[]).await, "", "after {table}");
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
    assert!(looked > 60, "only {looked} edits were made");
    world.holds_together().await;
}
