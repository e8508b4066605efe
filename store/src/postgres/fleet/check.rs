//! Holding the database against itself. The audit chain as such is left to `crate::verify`; here is only what cannot be
//! seen through the contract. Pages and indexes are left to the server's own `pg_amcheck`.

use std::collections::BTreeSet;

use deadpool_postgres::GenericClient;

use super::columns::rows;
use crate::Error;

/// Guards, by table: without them what ended or was audited could be changed unseen.
const TRIGGERS: [(&str, &str); 7] = [
    ("requests", "requests_ended_stay"),
    ("tasks", "tasks_ended_stay"),
    ("decisions", "decisions_ended_stay"),
    ("audit_log", "audit_log_no_change"),
    ("audit_numbers", "audit_numbers_no_change"),
    ("audit_seals", "audit_seals_no_change"),
    ("event_numbers", "event_numbers_no_change"),
];

/// Each query lists what is wrong, as texts.
const QUERIES: [&str; 12] = [
    "SELECT 'audit record ' || audit_id || ' has no number' FROM audit_log l
     WHERE NOT EXISTS (SELECT 1 FROM audit_numbers n WHERE n.audit_id = l.audit_id)",
    "SELECT 'audit number ' || seq || ' has no record' FROM audit_numbers n
     WHERE NOT EXISTS (SELECT 1 FROM audit_log l WHERE l.audit_id = n.audit_id)",
    // A stream cut off at its end is whole in itself; only its head remembers.
    "SELECT 'audit stream ' || s.stream || ' does not end as its head says' FROM audit_streams s
     LEFT JOIN audit_log l ON l.stream = s.stream AND l.position = s.position AND l.hash = s.hash
     WHERE l.audit_id IS NULL
        OR s.position <> (SELECT max(position) FROM audit_log a WHERE a.stream = s.stream)",
    "SELECT 'audit stream ' || stream || ' has no head' FROM (SELECT DISTINCT stream FROM audit_log) l
     WHERE NOT EXISTS (SELECT 1 FROM audit_streams s WHERE s.stream = l.stream)",
    // The owner stands in the record, under its hash, and is repeated beside it.
    "SELECT 'audit number ' || n.seq || ' has another owner than its record' FROM audit_numbers n
     JOIN audit_log l ON l.audit_id = n.audit_id WHERE l.tenant_id <> n.tenant_id",
    "SELECT 'the head of audit stream ' || s.stream || ' has another owner than its record'
     FROM audit_streams s JOIN audit_log l ON l.stream = s.stream AND l.position = s.position
     WHERE l.tenant_id <> s.tenant_id",
    "SELECT 'audit seal ' || seal_no || ' has an owner, ' || tenant_id FROM audit_seals
     WHERE tenant_id <> 'default'",
    // The numbers of lines stay when the lines go with age, never the other way round.
    "SELECT 'lines of request ' || request_id || ' up to ' || last || ' have no place in the event stream'
     FROM (SELECT request_id, max(id) AS last FROM execution_logs GROUP BY request_id) l
     WHERE last > coalesce((SELECT max(last_line) FROM event_numbers e WHERE e.request_id = l.request_id), 0)",
    "SELECT 'lines ' || first_line || ' to ' || last_line || ' of request ' || request_id || ' do not follow line ' || before
     FROM (SELECT request_id, first_line, last_line,
                  lag(last_line, 1, 0::bigint) OVER (PARTITION BY request_id ORDER BY last_line) AS before
           FROM event_numbers WHERE request_id IS NOT NULL) l
     WHERE first_line <> before + 1",
    "SELECT 'event ' || e.first_event || ' has another owner than what it tells' FROM event_numbers e
     LEFT JOIN audit_log l ON l.audit_id = e.audit_id LEFT JOIN requests r ON r.request_id = e.request_id
     WHERE e.tenant_id <> coalesce(l.tenant_id, r.tenant_id, e.tenant_id)",
    "SELECT 'audit record ' || audit_id || ' has no place in the event stream' FROM audit_numbers n
     WHERE NOT EXISTS (SELECT 1 FROM event_numbers e WHERE e.audit_id = n.audit_id)",
    "SELECT 'event number ' || first_event || ' does not follow ' || before
     FROM (SELECT first_event, lag(last_event, 1, 0::bigint) OVER (ORDER BY last_event) AS before
           FROM event_numbers) e
     WHERE first_event <> before + 1",
];

/// What is wrong, in words. The caller holds one point in time.
pub(super) async fn faults<C: GenericClient>(client: &C) -> Result<Vec<String>, Error> {
    let sql = "SELECT c.relname::text, t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
               WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
                 AND t.tgenabled IN ('O', 'A')";
    let found = rows(client, sql, &[], |row| {
        Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?))
    })
    .await?;
    let found: BTreeSet<_> = found.into_iter().collect();
    let is_missing =
        |(table, name): &&(&str, &str)| !found.contains(&((*table).to_owned(), (*name).to_owned()));
    let missing = TRIGGERS.iter().filter(is_missing);
    let mut faults: Vec<_> = missing
        .map(|(_, name)| format!("trigger {name} is missing or switched off"))
        .collect();
    for sql in QUERIES {
        faults.extend(rows(client, sql, &[], |row| Ok(row.try_get::<_, String>(0)?)).await?);
    }
    Ok(faults)
}
