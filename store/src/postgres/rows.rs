//! The statements of the control store. All rest on READ COMMITTED: a statement sees what was committed before it, and one
//! that waited for a row looks at it again.

use chiffon_common::{PlanId, RoomId, TenantId};
use deadpool_postgres::{ClientWrapper, Transaction};
use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    Error,
    control::{
        AuditMark, Backlog, ControlCommit, ControlCounts, ControlKey, ControlKind, Decided, Expect,
        Loaded, Marked, Noting, Outcome, StateChange, StateWrite, Unaudited, Versioned, page,
    },
};

/// Columns of an answer, in the order of [`decided`].
const DECIDED: &str =
    "d.seq, d.tenant_id, d.kind, d.id, d.room_id, d.plan_id, d.body, d.answer, d.at";

/// What this crate wrote must read back.
fn unreadable(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("{what}: {error}"))
}

fn text<T>(row: &Row, column: usize, what: &str) -> Result<T, Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(what, error))
}

fn number(row: &Row, column: usize) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| unreadable("a number", error))
}

/// Numbers are given by the database, which has no higher ones.
fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn decided(row: &Row) -> Result<Decided, Error> {
    let kind: &str = row.try_get(2)?;
    let kind = ControlKind::from_name(kind).ok_or_else(|| unreadable("a kind", kind))?;
    let plan: Option<&str> = row.try_get(5)?;
    let plan = plan.map(str::parse).transpose();
    let at = Timestamp::from_microsecond(row.try_get(8)?);
    Ok(Decided {
        seq: number(row, 0)?,
        key: ControlKey {
            tenant_id: text(row, 1, "a tenant")?,
            kind,
            id: row.try_get(3)?,
        },
        room_id: text(row, 4, "a room")?,
        plan_id: plan.map_err(|error| unreadable("a plan", error))?,
        body: text(row, 6, "a digest")?,
        answer: row.try_get(7)?,
        at: at.map_err(|error| unreadable("a time", error))?,
    })
}

fn state(row: &Row, column: usize) -> Result<Option<Versioned>, Error> {
    let version: Option<i64> = row.try_get(column)?;
    if version.is_none() {
        return Ok(None);
    }
    Ok(Some(Versioned {
        version: number(row, column)?,
        doc: row.try_get(column + 1)?,
    }))
}

/// The name of a state's row: a room's, or empty for the tenant's own.
fn place(room: Option<&RoomId>) -> &str {
    room.map_or("", RoomId::as_str)
}

/// [`crate::ControlStore::load`]: one statement, so one point in time.
pub(super) async fn load(
    client: &ClientWrapper,
    key: &ControlKey,
    room: Option<&RoomId>,
) -> Result<Loaded, Error> {
    let sql = format!(
        "SELECT {DECIDED}, r.version, r.doc, t.version, t.doc
         FROM (SELECT 1) one
         LEFT JOIN control_decided d ON d.tenant_id = $1 AND d.kind = $2 AND d.id = $3
         LEFT JOIN control_states r ON r.tenant_id = $1 AND r.room_id = $4 AND $4 <> ''
         LEFT JOIN control_states t ON t.tenant_id = $1 AND t.room_id = ''"
    );
    let statement = client.prepare_cached(&sql).await?;
    let (tenant, kind) = (key.tenant_id.as_str(), key.kind.as_str());
    let row = client
        .query_one(&statement, &[&tenant, &kind, &key.id, &place(room)])
        .await?;
    let seq: Option<i64> = row.try_get(0)?;
    Ok(Loaded {
        prior: seq.map(|_| decided(&row)).transpose()?,
        room: state(&row, 9)?,
        tenant: state(&row, 11)?,
    })
}

/// [`crate::ControlStore::plan`].
pub(super) async fn plan(
    client: &ClientWrapper,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<Decided>, Error> {
    let sql = format!(
        "SELECT {DECIDED} FROM control_decided d
         WHERE d.tenant_id = $1 AND d.plan_id = $2 AND d.kind = 'event' ORDER BY d.seq LIMIT 1"
    );
    let statement = client.prepare_cached(&sql).await?;
    let (tenant, plan) = (tenant.as_str(), plan.to_string());
    let row = client.query_opt(&statement, &[&tenant, &plan]).await?;
    row.as_ref().map(decided).transpose()
}

/// What a commit writes, within its transaction. Anything but `Committed` must be rolled back.
///
/// All take their locks in the same order: the key, the room, the tenant. So no two wait for each other.
pub(super) async fn apply(tx: &Transaction<'_>, commit: &ControlCommit) -> Result<Outcome, Error> {
    let Some(seq) = insert(tx, commit).await? else {
        // Statements see what was committed before them: whoever was first has.
        return match prior(tx, &commit.key).await? {
            Some(found) => Ok(Outcome::Exists(Box::new(found))),
            // Forgotten in between: the same again will be written.
            None => Ok(Outcome::Stale),
        };
    };
    let room = commit.room.iter();
    let room = room.map(|write| (Some(&commit.room_id), write));
    let states = room.chain(commit.tenant.iter().map(|write| (None, write)));
    for (room, write) in states {
        if !put(tx, &commit.key.tenant_id, room, write, seq).await? {
            return Ok(Outcome::Stale);
        }
    }
    if let Some(audit) = &commit.audit {
        let sql = "INSERT INTO control_unaudited (replica, seq, line) VALUES ($1, $2, $3)";
        let statement = tx.prepare_cached(sql).await?;
        tx.execute(&statement, &[&audit.replica, &bigint(seq), &audit.line])
            .await?;
    }
    Ok(Outcome::Committed { seq })
}

/// The number of the answer; nothing where there is one already. Waits for whoever is writing the same key.
async fn insert(tx: &Transaction<'_>, commit: &ControlCommit) -> Result<Option<u64>, Error> {
    let sql =
        "INSERT INTO control_decided (tenant_id, kind, id, room_id, plan_id, body, answer, at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (tenant_id, kind, id) DO NOTHING RETURNING seq";
    let statement = tx.prepare_cached(sql).await?;
    let key = &commit.key;
    let row = tx
        .query_opt(
            &statement,
            &[
                &key.tenant_id.as_str(),
                &key.kind.as_str(),
                &key.id,
                &commit.room_id.as_str(),
                &commit.plan_id.map(|plan| plan.to_string()),
                &commit.body.to_string(),
                &commit.answer,
                &commit.at.as_microsecond(),
            ],
        )
        .await?;
    row.map(|row| number(&row, 0)).transpose()
}

async fn prior(tx: &Transaction<'_>, key: &ControlKey) -> Result<Option<Decided>, Error> {
    let sql = format!(
        "SELECT {DECIDED} FROM control_decided d WHERE d.tenant_id = $1 AND d.kind = $2 AND d.id = $3"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let (tenant, kind) = (key.tenant_id.as_str(), key.kind.as_str());
    let row = tx.query_opt(&statement, &[&tenant, &kind, &key.id]).await?;
    row.as_ref().map(decided).transpose()
}

/// Writes one state; whether what was judged by is still so. From then to the end of the transaction nobody else can move
/// it.
async fn put(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    room: Option<&RoomId>,
    write: &StateWrite,
    seq: u64,
) -> Result<bool, Error> {
    let (tenant, room) = (tenant.as_str(), place(room));
    if write.expected == Expect::Absent {
        // A row that is not there cannot be locked; its name can.
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))";
        let statement = tx.prepare_cached(sql).await?;
        tx.query(&statement, &[&tenant, &room]).await?;
    }
    // Locks the row, where there is one, against whoever would change it.
    let sql = "SELECT version FROM control_states WHERE tenant_id = $1 AND room_id = $2 FOR UPDATE";
    let statement = tx.prepare_cached(sql).await?;
    let row = tx.query_opt(&statement, &[&tenant, &room]).await?;
    let found = row.map(|row| number(&row, 0)).transpose()?;
    let fits = match write.expected {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Version(version) => found == Some(version),
    };
    if !fits {
        return Ok(false);
    }
    match &write.change {
        StateChange::Keep => {}
        StateChange::Put { doc, keep_until } => {
            let sql = "INSERT INTO control_states (tenant_id, room_id, version, keep_until, doc)
                       VALUES ($1, $2, $3, $4, $5)
                       ON CONFLICT (tenant_id, room_id) DO UPDATE
                       SET version = excluded.version, keep_until = excluded.keep_until, doc = excluded.doc";
            let statement = tx.prepare_cached(sql).await?;
            let (seq, until) = (bigint(seq), keep_until.as_microsecond());
            tx.execute(&statement, &[&tenant, &room, &seq, &until, doc])
                .await?;
        }
        StateChange::Remove => {
            let sql = "DELETE FROM control_states WHERE tenant_id = $1 AND room_id = $2";
            let statement = tx.prepare_cached(sql).await?;
            tx.execute(&statement, &[&tenant, &room]).await?;
        }
    }
    Ok(true)
}

/// [`crate::ControlStore::unaudited`].
pub(super) async fn unaudited(
    client: &ClientWrapper,
    replica: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<Unaudited>, Error> {
    let sql = "SELECT seq, line FROM control_unaudited WHERE replica = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let statement = client.prepare_cached(sql).await?;
    let (after, limit) = (bigint(after), i64::from(page(limit)));
    let rows = client
        .query(&statement, &[&replica, &after, &limit])
        .await?;
    let lines = rows.iter().map(|row| {
        Ok(Unaudited {
            seq: number(row, 0)?,
            line: row.try_get(1)?,
        })
    });
    lines.collect()
}

/// [`crate::ControlStore::audited`].
pub(super) async fn audited(
    tx: &Transaction<'_>,
    replica: &str,
    seqs: &[u64],
    noting: Option<&Noting>,
) -> Result<bool, Error> {
    if let Some(Noting { before, now }) = noting {
        let (seq, hash) = (bigint(now.seq), now.hash.to_string());
        let noted = match before {
            None => {
                let sql = "INSERT INTO control_audit_marks (replica, seq, hash, folder) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (replica) DO NOTHING";
                let statement = tx.prepare_cached(sql).await?;
                tx.execute(&statement, &[&replica, &seq, &hash, &now.folder])
                    .await?
            }
            Some(before) => {
                let sql = "UPDATE control_audit_marks SET seq = $2, hash = $3, folder = $4
                           WHERE replica = $1 AND seq = $5 AND hash = $6 AND folder = $7";
                let statement = tx.prepare_cached(sql).await?;
                let (was, its) = (bigint(before.seq), before.hash.to_string());
                let row: [&(dyn ToSql + Sync); 7] = [
                    &replica,
                    &seq,
                    &hash,
                    &now.folder,
                    &was,
                    &its,
                    &before.folder,
                ];
                tx.execute(&statement, &row).await?
            }
        };
        if noted == 0 {
            return Ok(false);
        }
    }
    let sql = "DELETE FROM control_unaudited WHERE replica = $1 AND seq = ANY($2)";
    let statement = tx.prepare_cached(sql).await?;
    let seqs: Vec<i64> = seqs.iter().map(|seq| bigint(*seq)).collect();
    tx.execute(&statement, &[&replica, &seqs]).await?;
    Ok(true)
}

/// [`crate::ControlStore::marks`].
pub(super) async fn marks(client: &ClientWrapper) -> Result<Vec<Marked>, Error> {
    let sql = "SELECT replica, seq, hash, folder FROM control_audit_marks
               ORDER BY replica COLLATE \"C\" LIMIT 1000";
    let rows = client.query(sql, &[]).await?;
    let all = rows.iter().map(|row| {
        Ok(Marked {
            replica: row.try_get(0)?,
            mark: AuditMark {
                seq: number(row, 1)?,
                hash: text(row, 2, "a digest")?,
                folder: row.try_get(3)?,
            },
        })
    });
    all.collect()
}

/// [`crate::ControlStore::backlog`].
pub(super) async fn backlog(client: &ClientWrapper) -> Result<Vec<Backlog>, Error> {
    let sql = "SELECT replica, count(*) FROM control_unaudited GROUP BY replica
               ORDER BY replica COLLATE \"C\" LIMIT 1000";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    let all = rows.iter().map(|row| {
        Ok(Backlog {
            replica: row.try_get(0)?,
            lines: number(row, 1)?,
        })
    });
    all.collect()
}

/// [`crate::ControlStore::forget`]. What another replica is at is left to it.
pub(super) async fn forget(
    client: &ClientWrapper,
    decided_before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let answers = "DELETE FROM control_decided WHERE seq IN (
                       SELECT seq FROM control_decided WHERE at < $1 ORDER BY at LIMIT $2
                       FOR UPDATE SKIP LOCKED)";
    let states = "DELETE FROM control_states WHERE (tenant_id, room_id) IN (
                      SELECT tenant_id, room_id FROM control_states WHERE keep_until <= $1
                      ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let limit = i64::from(page(limit));
    let mut gone = 0;
    for (sql, time) in [(answers, decided_before), (states, now)] {
        let statement = client.prepare_cached(sql).await?;
        let time = time.as_microsecond();
        gone += client.execute(&statement, &[&time, &limit]).await?;
    }
    Ok(gone)
}

/// [`crate::ControlStore::counts`].
pub(super) async fn counts(client: &ClientWrapper) -> Result<ControlCounts, Error> {
    let sql =
        "SELECT (SELECT count(*) FROM control_decided), (SELECT count(*) FROM control_states)";
    let row = client.query_one(sql, &[]).await?;
    Ok(ControlCounts {
        decided: number(&row, 0)?,
        states: number(&row, 1)?,
    })
}

/// [`crate::ControlStore::clock`].
pub(super) async fn clock(client: &ClientWrapper) -> Result<Timestamp, Error> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let row = client.query_one(sql, &[]).await?;
    let micros = Timestamp::from_microsecond(row.try_get(0)?);
    micros.map_err(|error| Error::Corrupt(error.to_string()))
}

/// [`crate::ControlStore::ready`].
pub(super) async fn ready(client: &ClientWrapper) -> Result<(), Error> {
    let sql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool";
    let row = client.query_one(sql, &[]).await?;
    match row.try_get(0)? {
        false => Ok(()),
        true => Err(Error::ReadOnly("the server is a standby".to_owned())),
    }
}
