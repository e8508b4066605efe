//! Days of `resource_metrics` and `execution_logs`: each is a partition, made before its first row and dropped when all of
//! it is old. Rows of a day that has none fall into the last partition, whose rows go one by one (`history.rs`).

use std::collections::BTreeSet;

use deadpool_postgres::Pool;
use jiff::Timestamp;

use super::columns::{Param, micros, row, rows};
use crate::{
    Error,
    commit::{Commit, Write},
    postgres::pool,
};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The lock of whoever makes or drops one; "chfd" in ASCII.
const LOCK: i64 = 0x6368_6664;

/// A partitioned table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Metrics,
    Lines,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Metrics => "resource_metrics",
            Self::Lines => "execution_logs",
        }
    }
}

/// Which days of which table are known to have a partition, or to get none.
pub(super) type Days = BTreeSet<(Table, i64)>;

/// The days that a commit writes to.
pub(super) fn days_of(commit: &Commit) -> Days {
    let day = |time: Timestamp| micros(time).div_euclid(DAY);
    let mut days = Days::new();
    for write in &commit.writes {
        match write {
            Write::Metric(row) => {
                days.insert((Table::Metrics, day(row.ts)));
            }
            Write::Logs(lines) => days.extend(lines.iter().map(|one| (Table::Lines, day(one.ts)))),
            _ => {}
        }
    }
    days
}

/// Makes what is missing, in a transaction of its own: it locks the whole table for a moment. Nothing hangs on it.
pub(super) async fn ensure(pool: &Pool, known: &mut Days, days: Days) {
    for (table, day) in days {
        if !known.insert((table, day)) {
            continue;
        }
        if let Err(error) = make(pool, table, day).await {
            tracing::warn!(table = table.name(), day, %error, "no partition for this day; its rows go where the rest is");
        }
    }
}

async fn make(pool: &Pool, table: Table, day: i64) -> Result<(), Error> {
    let Some(part) = part_name(table, day) else {
        return Ok(());
    };
    let (from, to) = (day * DAY, (day + 1) * DAY);
    let mut client = pool::client(pool).await?;
    let tx = client.transaction().await?;
    tx.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let table = table.name();
    tx.batch_execute(&format!(
        "CREATE TABLE IF NOT EXISTS {part} PARTITION OF {table} FOR VALUES FROM ({from}) TO ({to})"
    ))
    .await?;
    Ok(tx.commit().await?)
}

fn part_name(table: Table, day: i64) -> Option<String> {
    let time = Timestamp::from_microsecond(day.checked_mul(DAY)?).ok()?;
    Some(format!("{}_{}", table.name(), time.strftime("%Y%m%d")))
}

/// Drops the days that ended before this moment and hold nothing that is needed; how many rows went.
pub(super) async fn drop_old(pool: &Pool, before: Timestamp) -> Result<u64, Error> {
    let mut gone = 0;
    for table in [Table::Metrics, Table::Lines] {
        let client = pool::client(pool).await?;
        let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                   WHERE i.inhparent = to_regclass($1) ORDER BY c.relname";
        let parts = rows(&client, sql, &[&table.name()], |row| {
            Ok(row.try_get::<_, String>(0)?)
        })
        .await?;
        let last = micros(before).div_euclid(DAY);
        let limit = part_name(table, last).unwrap_or_default();
        let rest = format!("{}_rest", table.name());
        let is_old = |part: &String| *part < limit && *part != rest;
        drop(client);
        for part in parts.iter().filter(|part| is_old(part)) {
            gone += drop_one(pool, table, part).await?;
        }
    }
    Ok(gone)
}

async fn drop_one(pool: &Pool, table: Table, part: &str) -> Result<u64, Error> {
    let mut client = pool::client(pool).await?;
    let tx = client.transaction().await?;
    tx.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let there = "SELECT 1 FROM pg_class WHERE oid = to_regclass($1)";
    let parameters: [Param<'_>; 1] = [&part];
    // Another one was quicker; or lines of a request that has not ended are in it.
    if row(&tx, there, &parameters, |_| Ok(())).await?.is_none() {
        return Ok(0);
    }
    if table == Table::Lines {
        let needed = format!(
            "SELECT 1 FROM {part} l JOIN requests r ON r.request_id = l.request_id
             WHERE NOT r.ended LIMIT 1"
        );
        if tx.query_opt(&needed, &[]).await?.is_some() {
            return Ok(0);
        }
    }
    let counted = tx
        .query_one(&format!("SELECT count(*) FROM {part}"), &[])
        .await?;
    let gone: i64 = counted.try_get(0)?;
    tx.batch_execute(&format!("DROP TABLE {part}")).await?;
    tx.commit().await?;
    Ok(gone.unsigned_abs())
}
