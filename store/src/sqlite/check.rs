//! Holding the database against itself. The audit chain as such is left to `crate::verify`; here is only
//! what cannot be seen through the contract.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::open;
use crate::Error;

/// Each query lists what is wrong, as texts.
const QUERIES: [&str; 15] = [
    // Pages, indexes, NOT NULL and CHECK constraints, text that must be text.
    "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "SELECT 'a row of ' || \"table\" || ' points to a row of ' || parent || ' that is not there'
     FROM pragma_foreign_key_check",
    "SELECT 'audit record ' || audit_id || ' has no number' FROM audit_log
     WHERE audit_id NOT IN (SELECT audit_id FROM audit_numbers)",
    "SELECT 'audit number ' || seq || ' has no record' FROM audit_numbers
     WHERE audit_id NOT IN (SELECT audit_id FROM audit_log)",
    // A stream cut off at its end is whole in itself; only its head remembers.
    "SELECT 'audit stream ' || s.stream || ' does not end as its head says' FROM audit_streams s
     LEFT JOIN audit_log l ON l.stream = s.stream AND l.position = s.position AND l.hash = s.hash
     WHERE l.audit_id IS NULL
        OR s.position <> (SELECT max(position) FROM audit_log WHERE stream = s.stream)",
    "SELECT 'audit stream ' || stream || ' has no head' FROM (SELECT DISTINCT stream FROM audit_log)
     WHERE stream NOT IN (SELECT stream FROM audit_streams)",
    // The owner stands in the record, under its hash, and is repeated beside it.
    "SELECT 'audit number ' || n.seq || ' has another owner than its record' FROM audit_numbers n
     JOIN audit_log l ON l.audit_id = n.audit_id WHERE l.tenant_id <> n.tenant_id",
    "SELECT 'the head of audit stream ' || s.stream || ' has another owner than its record'
     FROM audit_streams s JOIN audit_log l ON l.stream = s.stream AND l.position = s.position
     WHERE l.tenant_id <> s.tenant_id",
    "SELECT 'audit seal ' || seal_no || ' has an owner, ' || tenant_id FROM audit_seals
     WHERE tenant_id <> 'default'",
    // The numbers of lines stay when the lines go with age, never the other way round. Lines of before the stream have no
    // place, so the first place of a request may begin with any.
    "SELECT 'lines of request ' || request_id || ' up to ' || last || ' have no place in the event stream'
     FROM (SELECT request_id, max(id) AS last FROM execution_logs GROUP BY request_id) l
     WHERE last > (SELECT max(last_line) FROM event_numbers e WHERE e.request_id = l.request_id)",
    "SELECT 'lines ' || first_line || ' to ' || last_line || ' of request ' || request_id || ' do not follow line ' || before
     FROM (SELECT request_id, first_line, last_line,
                  lag(last_line) OVER (PARTITION BY request_id ORDER BY last_line) AS before
           FROM event_numbers WHERE request_id IS NOT NULL)
     WHERE first_line <> before + 1",
    "SELECT 'event ' || e.first_event || ' has another owner than what it tells' FROM event_numbers e
     LEFT JOIN audit_log l ON l.audit_id = e.audit_id LEFT JOIN requests r ON r.request_id = e.request_id
     WHERE e.tenant_id <> coalesce(l.tenant_id, r.tenant_id, e.tenant_id)",
    "SELECT 'audit record ' || audit_id || ' has no place in the event stream' FROM audit_numbers
     WHERE audit_id NOT IN (SELECT audit_id FROM event_numbers WHERE audit_id IS NOT NULL)",
    "SELECT 'event number ' || first_event || ' does not follow ' || before
     FROM (SELECT first_event, lag(last_event, 1, 0) OVER (ORDER BY last_event) AS before
           FROM event_numbers)
     WHERE first_event <> before + 1",
    // A record that no longer reads is named by the verification.
    "SELECT 'audit record ' || l.audit_id || ' is not the events ' || first_event || ' to ' || last_event
     FROM event_numbers e JOIN audit_log l ON l.audit_id = e.audit_id
     WHERE CASE WHEN json_valid(l.entry)
                THEN last_event - first_event + 1
                     <> max(1, coalesce(json_array_length(l.entry, '$.moves'), 1)) END",
];

/// What is wrong, in words.
pub(super) fn faults(conn: &Connection) -> Result<Vec<String>, Error> {
    let mut faults = schema_faults(conn)?;
    if faults.iter().any(|fault| fault.starts_with("table ")) {
        return Ok(faults);
    }
    for sql in QUERIES {
        let mut statement = conn.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        for row in rows {
            faults.push(row?);
        }
    }
    Ok(faults)
}

/// What is wrong with the pages alone: every page is read, and nothing is held against anything.
pub(super) fn pages(conn: &Connection) -> Result<Vec<String>, Error> {
    let sql = "SELECT quick_check FROM pragma_quick_check(1) WHERE quick_check <> 'ok'";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What differs from a database made anew: a dropped trigger, a changed table.
fn schema_faults(conn: &Connection) -> Result<Vec<String>, Error> {
    let (found, meant) = (objects(conn)?, objects(&open::reference()?)?);
    let mut faults = Vec::new();
    for ((kind, name), sql) in &meant {
        match found.get(&(kind.clone(), name.clone())) {
            None => faults.push(format!("{kind} {name} is missing")),
            Some(other) if other != sql => faults.push(format!("{kind} {name} was changed")),
            Some(_) => {}
        }
    }
    for (kind, name) in found.keys().filter(|key| !meant.contains_key(*key)) {
        faults.push(format!("unknown {kind} {name}"));
    }
    Ok(faults)
}

type Objects = BTreeMap<(String, String), Option<String>>;

fn objects(conn: &Connection) -> Result<Objects, Error> {
    // SQLite's own statistics come and go.
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
