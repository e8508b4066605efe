//! A database of the first version, full of data, is brought to the newest one: what was there is kept,
//! and gets the numbers and rows that are new.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the impossible may panic"
)]

use std::{collections::BTreeMap, path::PathBuf};

use chiffon_common::{AuditEntry, AuditRecord, GENESIS, MoveRecord};
use chiffon_store::{
    AuditSeal, Commit, Error, ListRequests, NumberedAudit, Options, RequestRow, Sqlite, Store,
    StreamSource, Write,
    conformance::{at, entry, request_row, task_row},
    verify_audit,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

mod versions {
    //! The migrations, to stop at one of them.
    refinery::embed_migrations!("migrations/sqlite");
}

/// A database as the first version made it, with its mark.
struct First {
    folder: TempDir,
    conn: Connection,
    /// Last position and hash of each stream.
    heads: BTreeMap<String, (u64, String)>,
    seal: Option<AuditSeal>,
    seq: u64,
}

impl First {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(folder.path().join("a.db")).unwrap();
        conn.pragma_update(None, "application_id", 0x6368_666e)
            .unwrap();
        let first = refinery::Target::Version(1);
        let runner = versions::migrations::runner().set_target(first);
        runner.run(&mut conn).unwrap();
        Self {
            folder,
            conn,
            heads: BTreeMap::new(),
            seal: None,
            seq: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn request(&self, row: &RequestRow) {
        let sql =
            "INSERT INTO requests (request_id, tenant_id, project_id, room_id, state, ended, version,
                       created_at, updated_at, doc)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)";
        let values = params![
            row.request_id.to_string(),
            row.tenant_id.as_str(),
            row.project_id.as_str(),
            row.room_id.as_str(),
            row.state,
            row.ended,
            row.version,
            row.created_at.as_microsecond(),
            row.doc.to_string()
        ];
        self.conn.execute(sql, values).unwrap();
    }

    /// A line as the first version wrote it.
    fn line(&self, request: &RequestRow, id: u64) {
        let sql =
            "INSERT INTO execution_logs (request_id, id, tenant_id, task_id, attempt, ts, line)
                   VALUES (?1, ?2, ?3, ?4, 1, ?5, 'changed: [nas]')";
        let task = task_row(request.request_id, at(0)).task_id;
        let values = params![
            request.request_id.to_string(),
            id,
            request.tenant_id.as_str(),
            task.to_string(),
            at(0).as_microsecond()
        ];
        self.conn.execute(sql, values).unwrap();
    }

    /// A record, chained, numbered and under a seal of its own.
    fn record(&mut self, entry: &AuditEntry) {
        let head = self.heads.get(&entry.stream).cloned();
        let (position, previous) =
            head.map_or((0, GENESIS.to_owned()), |(last, hash)| (last + 1, hash));
        let record = AuditRecord::chain(entry.clone(), position, previous).unwrap();
        self.seq += 1;
        let (id, tenant) = (entry.audit_id.to_string(), entry.tenant_id.as_str());
        let json = serde_json::to_string(entry).unwrap();
        let sql =
            "INSERT INTO audit_log (audit_id, tenant_id, stream, position, previous, hash, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            id,
            tenant,
            entry.stream,
            position,
            record.previous,
            record.hash,
            json
        ];
        self.conn.execute(sql, values).unwrap();
        let sql = "INSERT INTO audit_numbers (seq, tenant_id, audit_id) VALUES (?1, ?2, ?3)";
        self.conn
            .execute(sql, params![self.seq, tenant, id])
            .unwrap();
        let sql = "INSERT OR REPLACE INTO audit_streams (stream, tenant_id, position, hash) VALUES (?1, ?2, ?3, ?4)";
        let values = params![entry.stream, tenant, position, record.hash];
        self.conn.execute(sql, values).unwrap();
        let hashes = [record.hash.clone()];
        let seal = AuditSeal::over(self.seal.as_ref(), self.seq, &hashes);
        let sql = "INSERT INTO audit_seals (seal_no, first_seq, last_seq, root, previous, hash)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            seal.seal_no,
            seal.first_seq,
            seal.last_seq,
            seal.root,
            seal.previous,
            seal.hash
        ];
        self.conn.execute(sql, values).unwrap();
        self.seal = Some(seal);
        self.heads
            .insert(entry.stream.clone(), (position, record.hash));
    }

    /// Closes it, and opens it as this program does.
    fn migrated(self) -> (TempDir, Result<Sqlite, Error>) {
        let path = self.path();
        drop(self.conn);
        (self.folder, Sqlite::open(&path, Options::default()))
    }
}

fn moving(stream: &str, moves: usize) -> AuditEntry {
    let mut entry = entry(stream);
    let moved = MoveRecord {
        subject: entry.target.clone(),
        from: None,
        to: "received".to_owned(),
        because: "it came".to_owned(),
    };
    entry.moves = vec![moved; moves];
    entry
}

/// The places of the stream with the numbers of their records.
async fn places(store: &Sqlite) -> Vec<(u64, u64, NumberedAudit)> {
    let rows = store.stream_after(0, 100).await.unwrap();
    let record = |source| match source {
        StreamSource::Record(record) => *record,
        StreamSource::Lines { .. } => panic!("lines of before have no place"),
    };
    rows.into_iter()
        .map(|row| (row.first, row.last, record(row.source)))
        .collect()
}

#[tokio::test]
async fn records_of_before_get_their_event_numbers_in_order() {
    let mut first = First::new();
    let request = request_row(at(0));
    first.request(&request);
    first.line(&request, 1);
    first.line(&request, 2);
    let mut entries: Vec<_> = [0, 3, 1, 0, 2, 1]
        .into_iter()
        .enumerate()
        .map(|(number, moves)| moving(["a", "b", "other/c"][number % 3], moves))
        .collect();
    // Their ids, which rise with the time, are to tell nothing of the order of their numbers.
    let ids: Vec<_> = entries.iter().rev().map(|entry| entry.audit_id).collect();
    for (entry, id) in entries.iter_mut().zip(ids) {
        entry.audit_id = id;
        if entry.stream == "other/c" {
            entry.tenant_id = "other".parse().unwrap();
        }
        first.record(entry);
    }
    let (_folder, store) = first.migrated();
    let store = store.unwrap();
    let found = places(&store).await;
    let numbers: Vec<_> = found
        .iter()
        .map(|(first, last, record)| (*first, *last, record.seq))
        .collect();
    let expected = [
        (1, 1, 1),
        (2, 4, 2),
        (5, 5, 3),
        (6, 6, 4),
        (7, 8, 5),
        (9, 9, 6),
    ];
    assert_eq!(numbers, expected);
    let records = store.audit_after(0, 100).await.unwrap();
    assert_eq!(
        found.into_iter().map(|one| one.2).collect::<Vec<_>>(),
        records
    );
    assert_eq!(store.stream_head().await.unwrap(), 9);
    assert_eq!(verify_audit(&store).await.unwrap().faults, []);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_stream_goes_on_after_what_was_there() {
    let mut first = First::new();
    let request = request_row(at(0));
    first.request(&request);
    first.line(&request, 1);
    first.record(&moving("a", 3));
    let (_folder, store) = first.migrated();
    let store = store.unwrap();
    let task = task_row(request.request_id, at(0));
    let line = chiffon_store::NewLogLine {
        request_id: request.request_id,
        task_id: task.task_id,
        attempt: 1,
        ts: at(1),
        line: "ok: [nas]".to_owned(),
    };
    let commit = Commit {
        writes: vec![Write::Logs(vec![line])],
        audit: vec![moving("a", 2)],
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    let rows = store.stream_after(3, 10).await.unwrap();
    let places: Vec<_> = rows.iter().map(|row| (row.first, row.last)).collect();
    assert_eq!(places, [(4, 4), (5, 6)]);
    let StreamSource::Lines { lines, .. } = &rows[0].source else {
        panic!("{:?} is no place of lines", rows[0]);
    };
    let ids: Vec<_> = lines.iter().map(|line| line.id).collect();
    assert_eq!(ids, [2], "the line of before has no place");
    assert_eq!(verify_audit(&store).await.unwrap().faults, []);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn projects_come_from_the_requests_of_before() {
    let first = First::new();
    let mut rows = Vec::new();
    for (tenant, project, created) in [
        ("default", "lab", 7),
        ("default", "lab", 3),
        ("default", "default", 5),
        ("other", "lab", 1),
    ] {
        let mut row = request_row(at(created));
        row.tenant_id = tenant.parse().unwrap();
        row.project_id = project.parse().unwrap();
        first.request(&row);
        rows.push(row);
    }
    let (_folder, store) = first.migrated();
    let store = store.unwrap();
    for (tenant, expected) in [
        ("default", vec![("default", at(5)), ("lab", at(3))]),
        ("other", vec![("lab", at(1))]),
    ] {
        let tenant = tenant.parse().unwrap();
        let found = store.projects(&tenant, None, 10).await.unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|row| (row.project_id.as_str(), row.created_at))
            .collect();
        assert_eq!(told, expected);
        for row in &found {
            assert_eq!((row.title.as_str(), row.description.as_str()), ("", ""));
            assert_eq!((row.version, row.updated_at), (1, row.created_at));
        }
    }
    let list = ListRequests {
        room_id: Some(rows[0].room_id.clone()),
        limit: 10,
        ..ListRequests::default()
    };
    let found = store.requests(&rows[0].tenant_id, list).await.unwrap();
    assert_eq!(found, [rows[0].clone(), rows[2].clone(), rows[1].clone()]);
}

#[tokio::test]
async fn a_record_that_no_longer_reads_does_not_hold_up_the_migration() {
    let mut first = First::new();
    for moves in [2, 3, 1] {
        first.record(&moving("a", moves));
    }
    let guard: String = first
        .conn
        .query_row(
            "SELECT sql FROM sqlite_schema WHERE name = 'audit_log_no_update'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let edit = format!(
        "PRAGMA ignore_check_constraints = true;
         DROP TRIGGER audit_log_no_update;
         UPDATE audit_log SET entry = 'nonsense' WHERE position = 1;
         {guard}"
    );
    first.conn.execute_batch(&edit).unwrap();
    let (_folder, store) = first.migrated();
    let store = store.unwrap();
    assert_eq!(store.stream_head().await.unwrap(), 4, "2, 1 for it, and 1");
    let report = verify_audit(&store).await.unwrap();
    assert_eq!(report.first_bad_seq(), Some(2), "{:?}", report.faults);
}

#[tokio::test]
async fn open_marks_of_hosts_are_kept_by_task_and_place() {
    let first = First::new();
    let request = request_row(at(0));
    let task = task_row(request.request_id, at(0)).task_id;
    let doc = |because: &str| serde_json::json!({ "because": because, "task_id": task, "request_id": request.request_id });
    let sql = "INSERT INTO hosts (tenant_id, host, needs_look, updated_at, doc)
               VALUES ('default', ?1, ?2, ?3, ?4)";
    for (host, open, doc) in [
        ("nas", true, doc("lost")),
        ("web", false, doc("found")),
        ("odd", true, serde_json::json!({})),
    ] {
        let values = params![host, open, at(3).as_microsecond(), doc.to_string()];
        first.conn.execute(sql, values).unwrap();
    }
    let (_folder, store) = first.migrated();
    let store = store.unwrap();
    let places = ["host:nas", "host:web", "host:odd"].map(str::to_owned);
    let open = store.open_at(&request.tenant_id, &places).await.unwrap();
    let kept: Vec<_> = open
        .iter()
        .map(|mark| {
            (
                mark.place.as_str(),
                mark.task_id,
                mark.since,
                mark.because.as_str(),
            )
        })
        .collect();
    assert_eq!(kept, [("host:nas", task, at(3), "lost")]);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
