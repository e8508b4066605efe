//! Table `event_numbers`: the places of the event stream (R42), and table `execution_logs`: output lines, numbered within
//! their request. An audit record is as many events as it has moves, and at least one; lines that came together are one.

use std::collections::BTreeMap;

use chiffon_common::{RequestId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::{
    apply::Batch,
    audit,
    columns::{
        Param, bigint, clean, execute, micros, number, one_number, opt_parsed, page, parsed, rows,
        small, time,
    },
};
use crate::{Error, LogRow, NewLogLine, StreamRow, StreamSource};

const LINES: &str = "SELECT id, task_id, attempt, ts, line, request_id FROM execution_logs";

/// The number of the last event; 0 for none.
pub(super) async fn head<C: GenericClient>(client: &C) -> Result<u64, Error> {
    let sql = "SELECT coalesce(max(last_event), 0) FROM event_numbers";
    one_number(client, sql, &[]).await
}

/// Adds lines in order. What one attempt said without another between is one place of the event stream.
pub(super) async fn append(
    tx: &Transaction<'_>,
    batch: &mut Batch,
    tenant: &TenantId,
    lines: &[NewLogLine],
) -> Result<(), Error> {
    let attempt = |line: &NewLogLine| (line.request_id, line.task_id, line.attempt);
    for run in lines.chunk_by(|a, b| attempt(a) == attempt(b)) {
        if let [first, ..] = run {
            append_run(tx, batch, tenant, first, run).await?;
        }
    }
    Ok(())
}

async fn append_run(
    tx: &Transaction<'_>,
    batch: &mut Batch,
    tenant: &TenantId,
    first: &NewLogLine,
    lines: &[NewLogLine],
) -> Result<(), Error> {
    let request = first.request_id.to_string();
    // The event stream is asked as well: a number whose line was forgotten must not come again, or that line's place would
    // show another.
    let sql = "SELECT greatest(
                   (SELECT coalesce(max(id), 0) FROM execution_logs WHERE request_id = $1),
                   (SELECT coalesce(max(last_line), 0) FROM event_numbers WHERE request_id = $1))";
    let before = bigint(one_number(tx, sql, &[&request]).await?);
    let times: Vec<i64> = lines.iter().map(|line| micros(line.ts)).collect();
    let texts: Vec<String> = lines.iter().map(|line| clean(&line.line)).collect();
    let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO execution_logs (request_id, id, tenant_id, task_id, attempt, ts, line)
               SELECT $1, $2::bigint + one.place, $3, $4, $5, one.ts, one.line
               FROM unnest($6::bigint[], $7::text[]) WITH ORDINALITY AS one (ts, line, place)";
    execute(
        tx,
        sql,
        &[
            &request,
            &before,
            &tenant.as_str(),
            &first.task_id.to_string(),
            &i64::from(first.attempt),
            &times,
            &texts,
        ],
    )
    .await?;
    let place = batch.place(tx, 1).await?;
    let sql = "INSERT INTO event_numbers (last_event, first_event, tenant_id, request_id, first_line, last_line)
               SELECT $1, $1, tenant_id, request_id, $4, $5 FROM requests
               WHERE request_id = $3 AND tenant_id = $2";
    let written = execute(
        tx,
        sql,
        &[
            &bigint(*place.end()),
            &tenant.as_str(),
            &request,
            &(before + 1),
            &(before + count),
        ],
    )
    .await?;
    match written {
        1 => Ok(()),
        _ => Err(Error::Malformed(format!(
            "output lines of request {request}, which tenant {tenant} does not have"
        ))),
    }
}

/// Places that end after a number, lowest first.
pub(super) async fn after<C: GenericClient>(
    client: &C,
    after: u64,
    limit: u32,
) -> Result<Vec<StreamRow>, Error> {
    let sql = "SELECT n.seq, l.position, l.previous, l.hash, l.entry,
                      e.first_event, e.last_event, e.request_id, e.first_line, e.last_line, r.project_id
               FROM event_numbers e
               LEFT JOIN audit_numbers n ON n.audit_id = e.audit_id
               LEFT JOIN audit_log l ON l.audit_id = e.audit_id
               LEFT JOIN requests r ON r.request_id = e.request_id
               WHERE e.last_event > $1 ORDER BY e.last_event LIMIT $2";
    let found = rows(client, sql, &[&bigint(after), &page(limit)], place).await?;
    let mut wanted = Vec::new();
    for (row, ids) in &found {
        if let (StreamSource::Lines { request_id, .. }, Some(ids)) = (&row.source, ids) {
            wanted.push((request_id.to_string(), ids.0, ids.1));
        }
    }
    let mut lines = between(client, &wanted).await?;
    let fill = |(mut row, ids): (StreamRow, Option<(i64, i64)>)| {
        if let (
            StreamSource::Lines {
                request_id,
                lines: filled,
                ..
            },
            Some((first, last)),
        ) = (&mut row.source, ids)
        {
            let range = first.unsigned_abs()..=last.unsigned_abs();
            let of_request = lines.entry(*request_id).or_default();
            filled.extend(of_request.range(range).map(|(_, line)| line.clone()));
        }
        row
    };
    Ok(found.into_iter().map(fill).collect())
}

/// A place, and which lines it stands for.
fn place(row: &Row) -> Result<(StreamRow, Option<(i64, i64)>), Error> {
    let lines = match opt_parsed::<RequestId>(row, 7)? {
        None => None,
        Some(request_id) => Some((
            StreamSource::Lines {
                request_id,
                // Of a request that was forgotten nobody knows it any more, and nothing is left to show.
                project_id: opt_parsed(row, 10)?.unwrap_or_default(),
                lines: Vec::new(),
            },
            (row.try_get(8)?, row.try_get(9)?),
        )),
    };
    let (source, ids) = match lines {
        Some((source, ids)) => (source, Some(ids)),
        None => (StreamSource::Record(Box::new(audit::record(row)?)), None),
    };
    let (first, last) = (number(row, 5)?, number(row, 6)?);
    Ok((
        StreamRow {
            first,
            last,
            source,
        },
        ids,
    ))
}

/// The lines of these ranges, as far as they were not forgotten, by request and number.
async fn between<C: GenericClient>(
    client: &C,
    ranges: &[(String, i64, i64)],
) -> Result<BTreeMap<RequestId, BTreeMap<u64, LogRow>>, Error> {
    let mut found = BTreeMap::<_, BTreeMap<_, _>>::new();
    if ranges.is_empty() {
        return Ok(found);
    }
    let requests: Vec<&str> = ranges
        .iter()
        .map(|(request, ..)| request.as_str())
        .collect();
    let firsts: Vec<i64> = ranges.iter().map(|(_, first, _)| *first).collect();
    let lasts: Vec<i64> = ranges.iter().map(|(.., last)| *last).collect();
    let sql = "SELECT l.id, l.task_id, l.attempt, l.ts, l.line, l.request_id
               FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS wanted (request_id, first, last)
               JOIN execution_logs l ON l.request_id = wanted.request_id COLLATE \"C\"
                    AND l.id BETWEEN wanted.first AND wanted.last";
    let parameters: [Param<'_>; 3] = [&requests, &firsts, &lasts];
    let lines = rows(client, sql, &parameters, |row| {
        Ok((parsed::<RequestId>(row, 5)?, line(row)?))
    })
    .await?;
    for (request, line) in lines {
        found.entry(request).or_default().insert(line.id, line);
    }
    Ok(found)
}

/// Lines of a request after a number, oldest first.
pub(super) async fn lines<C: GenericClient>(
    client: &C,
    request: RequestId,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, Error> {
    let sql = format!("{LINES} WHERE request_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    let parameters: [Param<'_>; 3] = [&request.to_string(), &bigint(after), &i64::from(limit)];
    rows(client, &sql, &parameters, line).await
}

fn line(row: &Row) -> Result<LogRow, Error> {
    Ok(LogRow {
        id: number(row, 0)?,
        task_id: parsed(row, 1)?,
        attempt: small(row, 2)?,
        ts: time(row, 3)?,
        line: row.try_get(4)?,
    })
}
