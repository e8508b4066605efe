//! The statements of the control store, and what its writer is asked to do. Transactions are left to `writer.rs`.

use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    Error,
    control::{
        AuditMark, Backlog, ControlCommit, ControlCounts, ControlKey, ControlKind, Decided, Expect,
        Loaded, Marked, Noting, Outcome, StateChange, StateWrite, Unaudited, Versioned,
    },
    sqlite::{
        columns::{micros, opt_parsed, page, parsed, text_list, time},
        writer::Duty,
    },
};

/// What the writer can be asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// [`crate::ControlStore::commit`].
    Commit(Box<ControlCommit>),
    /// [`crate::ControlStore::audited`].
    Audited {
        replica: String,
        seqs: Vec<u64>,
        noting: Option<Noting>,
    },
    /// [`crate::ControlStore::forget`].
    Forget {
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    },
}

/// What became of a command.
#[derive(Debug)]
pub(super) enum Answer {
    Outcome(Outcome),
    Count(u64),
}

/// What the writer does for a control store. Its commands share nothing but the transaction.
#[derive(Debug)]
pub(super) struct Control;

impl Duty for Control {
    type Command = Command;
    type Answer = Answer;
    type Batch<'c> = &'c Connection;
    type Mark = ();

    fn begin(conn: &Connection) -> &Connection {
        conn
    }

    fn mark(_: &&Connection) {}

    fn back_to(_: &mut &Connection, (): ()) {}

    fn apply(conn: &mut &Connection, command: &Command) -> Result<Answer, Error> {
        match command {
            Command::Commit(commit) => apply_commit(conn, commit).map(Answer::Outcome),
            Command::Audited {
                replica,
                seqs,
                noting,
            } => {
                audited(conn, replica, seqs, noting.as_ref()).map(|done| Answer::Count(done.into()))
            }
            Command::Forget {
                decided_before,
                now,
                limit,
            } => forget(conn, *decided_before, *now, *limit).map(Answer::Count),
        }
    }

    fn seal(_: &&Connection) -> Result<(), Error> {
        Ok(())
    }
}

const DECIDED: &str =
    "SELECT seq, tenant_id, kind, id, room_id, plan_id, body, answer, at FROM decided";

fn decided(row: &Row<'_>) -> rusqlite::Result<Decided> {
    let kind = ControlKind::from_name(row.get_ref(2)?.as_str()?);
    Ok(Decided {
        seq: row.get(0)?,
        key: ControlKey {
            tenant_id: parsed(row, 1)?,
            // The table permits no other.
            kind: kind.unwrap_or(ControlKind::Event),
            id: row.get(3)?,
        },
        room_id: parsed(row, 4)?,
        plan_id: opt_parsed(row, 5)?,
        body: parsed(row, 6)?,
        answer: row.get(7)?,
        at: time(row, 8)?,
    })
}

fn prior(conn: &Connection, key: &ControlKey) -> Result<Option<Decided>, Error> {
    let sql = format!("{DECIDED} WHERE tenant_id = ?1 AND kind = ?2 AND id = ?3");
    let key = params![key.tenant_id.as_str(), key.kind.as_str(), key.id];
    let mut statement = conn.prepare_cached(&sql)?;
    Ok(statement.query_row(key, decided).optional()?)
}

/// The name of a state's row: a room's, or empty for the tenant's own.
fn place(room: Option<&RoomId>) -> &str {
    room.map_or("", RoomId::as_str)
}

fn state(
    conn: &Connection,
    tenant: &TenantId,
    room: Option<&RoomId>,
) -> Result<Option<Versioned>, Error> {
    let sql = "SELECT version, doc FROM states WHERE tenant_id = ?1 AND room_id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.as_str(), place(room)], |row| {
        Ok(Versioned {
            version: row.get(0)?,
            doc: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

/// [`crate::ControlStore::load`].
pub(super) fn load(
    conn: &Connection,
    key: &ControlKey,
    room: Option<&RoomId>,
) -> Result<Loaded, Error> {
    let of_room = room.map(|room| state(conn, &key.tenant_id, Some(room)));
    Ok(Loaded {
        prior: prior(conn, key)?,
        room: of_room.transpose()?.flatten(),
        tenant: state(conn, &key.tenant_id, None)?,
    })
}

/// [`crate::ControlStore::plan`].
pub(super) fn plan(
    conn: &Connection,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<Decided>, Error> {
    let sql = format!(
        "{DECIDED} WHERE tenant_id = ?1 AND plan_id = ?2 AND kind = 'event' ORDER BY seq LIMIT 1"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_row([tenant.to_string(), plan.to_string()], decided);
    Ok(found.optional()?)
}

fn apply_commit(conn: &Connection, commit: &ControlCommit) -> Result<Outcome, Error> {
    if let Some(found) = prior(conn, &commit.key)? {
        return Ok(Outcome::Exists(Box::new(found)));
    }
    let tenant = &commit.key.tenant_id;
    let room = commit
        .room
        .iter()
        .map(|write| (Some(&commit.room_id), write));
    let states = room.chain(commit.tenant.iter().map(|write| (None, write)));
    // All before any: nothing is written where one does not fit.
    for (room, write) in states.clone() {
        if !fits(write.expected, state(conn, tenant, room)?.as_ref()) {
            return Ok(Outcome::Stale);
        }
    }
    let seq = insert(conn, commit)?;
    for (room, write) in states {
        put(conn, tenant, room, write, seq)?;
    }
    if let Some(audit) = &commit.audit {
        let sql = "INSERT INTO unaudited (replica, seq, line) VALUES (?1, ?2, ?3)";
        conn.prepare_cached(sql)?
            .execute(params![audit.replica, seq, audit.line])?;
    }
    Ok(Outcome::Committed { seq })
}

fn fits(expected: Expect, found: Option<&Versioned>) -> bool {
    match expected {
        Expect::Any => true,
        other => other == Expect::of(found),
    }
}

fn insert(conn: &Connection, commit: &ControlCommit) -> Result<u64, Error> {
    let sql = "INSERT INTO decided (tenant_id, kind, id, room_id, plan_id, body, answer, at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING seq";
    let mut statement = conn.prepare_cached(sql)?;
    let row = params![
        commit.key.tenant_id.as_str(),
        commit.key.kind.as_str(),
        commit.key.id,
        commit.room_id.as_str(),
        commit.plan_id.map(|plan| plan.to_string()),
        commit.body.to_string(),
        commit.answer,
        micros(commit.at)
    ];
    Ok(statement.query_row(row, |row| row.get(0))?)
}

fn put(
    conn: &Connection,
    tenant: &TenantId,
    room: Option<&RoomId>,
    write: &StateWrite,
    seq: u64,
) -> Result<(), Error> {
    match &write.change {
        StateChange::Keep => {}
        StateChange::Put { doc, keep_until } => {
            let sql = "INSERT INTO states (tenant_id, room_id, version, keep_until, doc)
                       VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (tenant_id, room_id) DO UPDATE
                       SET version = excluded.version, keep_until = excluded.keep_until, doc = excluded.doc";
            let row = params![tenant.as_str(), place(room), seq, micros(*keep_until), doc];
            conn.prepare_cached(sql)?.execute(row)?;
        }
        StateChange::Remove => {
            let sql = "DELETE FROM states WHERE tenant_id = ?1 AND room_id = ?2";
            conn.prepare_cached(sql)?
                .execute([tenant.as_str(), place(room)])?;
        }
    }
    Ok(())
}

/// [`crate::ControlStore::unaudited`].
pub(super) fn unaudited(
    conn: &Connection,
    replica: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<Unaudited>, Error> {
    let sql =
        "SELECT seq, line FROM unaudited WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![replica, after, page(limit)], |row| {
        Ok(Unaudited {
            seq: row.get(0)?,
            line: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn audited(
    conn: &Connection,
    replica: &str,
    seqs: &[u64],
    noting: Option<&Noting>,
) -> Result<bool, Error> {
    if let Some(Noting { before, now }) = noting {
        let sql = "SELECT replica, seq, hash, folder FROM audit_marks WHERE replica = ?1";
        let mut statement = conn.prepare_cached(sql)?;
        let found = statement.query_row([replica], marked).optional()?;
        if found.map(|found| found.mark) != *before {
            return Ok(false);
        }
        let sql = "INSERT INTO audit_marks (replica, seq, hash, folder) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (replica) DO UPDATE
                   SET seq = excluded.seq, hash = excluded.hash, folder = excluded.folder";
        let row = params![replica, now.seq, now.hash.to_string(), now.folder];
        conn.prepare_cached(sql)?.execute(row)?;
    }
    if seqs.is_empty() {
        return Ok(true);
    }
    let sql =
        "DELETE FROM unaudited WHERE replica = ?1 AND seq IN (SELECT value FROM json_each(?2))";
    let list = text_list(seqs)?.replace('"', "");
    conn.prepare_cached(sql)?.execute([replica, &list])?;
    Ok(true)
}

/// [`crate::ControlStore::marks`].
pub(super) fn marks(conn: &Connection) -> Result<Vec<Marked>, Error> {
    let sql = "SELECT replica, seq, hash, folder FROM audit_marks ORDER BY replica LIMIT 1000";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], marked)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn marked(row: &Row<'_>) -> rusqlite::Result<Marked> {
    Ok(Marked {
        replica: row.get(0)?,
        mark: AuditMark {
            seq: row.get(1)?,
            hash: parsed(row, 2)?,
            folder: row.get(3)?,
        },
    })
}

/// [`crate::ControlStore::backlog`].
pub(super) fn backlog(conn: &Connection) -> Result<Vec<Backlog>, Error> {
    let sql =
        "SELECT replica, count(*) FROM unaudited GROUP BY replica ORDER BY replica LIMIT 1000";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Backlog {
            replica: row.get(0)?,
            lines: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn forget(
    conn: &Connection,
    decided_before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let answers = "DELETE FROM decided WHERE seq IN (
                       SELECT seq FROM decided WHERE at < ?1 ORDER BY at LIMIT ?2)";
    let states = "DELETE FROM states WHERE (tenant_id, room_id) IN (
                      SELECT tenant_id, room_id FROM states WHERE keep_until <= ?1
                      ORDER BY keep_until LIMIT ?2)";
    let mut gone = 0;
    for (sql, time) in [(answers, decided_before), (states, now)] {
        gone += conn
            .prepare_cached(sql)?
            .execute(params![micros(time), page(limit)])? as u64;
    }
    Ok(gone)
}

/// [`crate::ControlStore::counts`].
pub(super) fn counts(conn: &Connection) -> Result<ControlCounts, Error> {
    let sql = "SELECT (SELECT count(*) FROM decided), (SELECT count(*) FROM states)";
    Ok(conn.query_row(sql, [], |row| {
        Ok(ControlCounts {
            decided: row.get(0)?,
            states: row.get(1)?,
        })
    })?)
}
