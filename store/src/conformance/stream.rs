//! The event stream: numbers without holes over records and lines, which are given back as they were.

use std::sync::Arc;

use chiffon_common::{AuditEntry, TaskId};

use super::{
    crowd::join_all,
    make::{
        assert_conflict, assert_malformed, at, commit, done, entry, line, message, moving, name,
        request_row, stored, stored_request, task_row,
    },
};
use crate::{
    Commit, Expected, NewLogLine, RequestRow, Store, StreamRow, StreamSource, Write, verify_audit,
};

fn recording(entries: impl IntoIterator<Item = AuditEntry>) -> Commit {
    Commit {
        audit: entries.into_iter().collect(),
        ..Commit::default()
    }
}

fn places(rows: &[StreamRow]) -> Vec<(u64, u64)> {
    rows.iter().map(|row| (row.first, row.last)).collect()
}

/// The ids and texts of a place's lines.
#[track_caller]
fn said(row: &StreamRow) -> Vec<(u64, &str)> {
    match &row.source {
        StreamSource::Lines { lines, .. } => lines
            .iter()
            .map(|line| (line.id, line.line.as_str()))
            .collect(),
        StreamSource::Record(record) => panic!("{record:?} are no lines"),
    }
}

pub(super) async fn a_record_is_as_many_events_as_moves(store: Arc<dyn Store>) {
    assert_eq!(done(store.stream_head().await), 0);
    assert_eq!(done(store.stream_after(0, 10).await), []);
    let entries = [3, 0, 1].map(|moves| moving("request:1", moves));
    done(store.commit(recording(entries.clone())).await);
    assert_eq!(done(store.stream_head().await), 5);
    let all = done(store.stream_after(0, 10).await);
    assert_eq!(places(&all), [(1, 3), (4, 4), (5, 5)]);
    let records = done(store.audit_after(0, 10).await);
    for ((row, record), entry) in all.iter().zip(&records).zip(&entries) {
        assert_eq!(row.source, StreamSource::Record(Box::new(record.clone())));
        assert_eq!(record.record.entry, *entry);
    }
    // Whoever has seen a part of a place is given all of it again.
    for (after, first) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)] {
        assert_eq!(done(store.stream_after(after, 10).await), all[first..]);
        let next = done(store.stream_after(after, 1).await);
        assert_eq!(next, all[first..=first]);
    }
    assert_eq!(done(store.stream_after(5, 10).await), []);
}

pub(super) async fn a_refused_commit_gives_its_event_numbers_back(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await;
    let task = task_row(request.request_id, at(0));
    for number in 0..3 {
        let lines = vec![line(request.request_id, task.task_id, "changed: [nas]")];
        let mut bad = recording([moving("request:1", 3)]);
        bad.writes.push(Write::Logs(lines));
        let sent = message("q", at(0));
        bad.outbox.extend([sent.clone(), sent]);
        assert_conflict(store.commit(bad.clone()).await);
        assert_eq!(done(store.stream_head().await), number * 4);
        bad.outbox.pop();
        done(store.commit(bad).await);
        assert_eq!(done(store.stream_head().await), number * 4 + 4);
    }
}

pub(super) async fn lines_that_came_together_are_one_event(store: Arc<dyn Store>) {
    let one = RequestRow {
        project_id: name("lab"),
        ..request_row(at(0))
    };
    stored(&*store, [Write::Request(Expected::Absent, one.clone())]).await;
    let two = stored_request(&*store, at(0)).await;
    let [a, b] = [0, 0].map(|second| task_row(one.request_id, at(second)).task_id);
    let of = |request: &RequestRow, task: TaskId, text: &str| line(request.request_id, task, text);
    let again = NewLogLine {
        attempt: 2,
        ..of(&one, b, "six")
    };
    let lines = vec![
        of(&one, a, "one"),
        of(&one, a, "two"),
        of(&two, a, "three"),
        of(&one, a, "four"),
        of(&one, b, "five"),
        again,
    ];
    stored(&*store, [Write::Logs(lines)]).await;
    // Those that come later stand for themselves.
    stored(&*store, [Write::Logs(vec![of(&one, a, "seven")])]).await;
    stored(&*store, [Write::Logs(Vec::new())]).await;
    let rows = done(store.stream_after(0, 10).await);
    let numbers: Vec<_> = (1..=6).map(|number| (number, number)).collect();
    assert_eq!(places(&rows), numbers);
    let texts: Vec<_> = rows.iter().map(said).collect();
    let expected: [&[(u64, &str)]; 6] = [
        &[(1, "one"), (2, "two")],
        &[(1, "three")],
        &[(3, "four")],
        &[(4, "five")],
        &[(5, "six")],
        &[(6, "seven")],
    ];
    assert_eq!(texts, expected);
    for (number, row) in rows.iter().enumerate() {
        let request = if number == 1 { &two } else { &one };
        let StreamSource::Lines {
            request_id,
            project_id,
            lines,
        } = &row.source
        else {
            panic!("{row:?} is no place of lines");
        };
        assert_eq!(*request_id, request.request_id);
        assert_eq!(*project_id, request.project_id);
        let (first, count) = (lines[0].id, lines.len() as u32);
        let stored = done(store.logs(*request_id, first - 1, count).await);
        assert_eq!(*lines, stored);
    }
}

pub(super) async fn lines_stand_before_the_records_of_their_commit(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await;
    let task = task_row(request.request_id, at(0));
    let lines = |text: &str| Write::Logs(vec![line(request.request_id, task.task_id, text)]);
    let all = Commit {
        audit: vec![moving("request:1", 2)],
        ..commit([
            lines("first"),
            Write::Task(Expected::Absent, task.clone()),
            lines("second"),
        ])
    };
    done(store.commit(all).await);
    let rows = done(store.stream_after(0, 10).await);
    assert_eq!(places(&rows), [(1, 1), (2, 2), (3, 4)]);
    assert_eq!(said(&rows[0]), [(1, "first")]);
    assert_eq!(said(&rows[1]), [(2, "second")]);
    assert!(matches!(rows[2].source, StreamSource::Record(_)));
}

pub(super) async fn event_numbers_have_no_holes_under_concurrent_commits(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await.request_id;
    let task = task_row(request, at(0)).task_id;
    let claimed = message("q", at(0));
    let commits = (0..100_u64).map(|number| {
        let (store, claimed) = (store.clone(), claimed.clone());
        async move {
            let stream = format!("request:{}", number % 7);
            let moves = [0, 1, 3][number as usize / 3 % 3];
            let mut one = recording([moving(&stream, moves), entry("default/a/2026-11-20")]);
            if number % 2 == 0 {
                let lines = ["a", "b"].map(|text| line(request, task, text));
                one.writes.push(Write::Logs(lines.to_vec()));
            }
            // One of these is kept; the others are refused after their events were numbered.
            if number % 3 == 0 {
                one.outbox.push(claimed);
            }
            let kept = store.commit(one).await.is_ok();
            let events = 1 + moves.max(1) as u64 + u64::from(number % 2 == 0);
            if kept { events } else { 0 }
        }
    });
    let kept = join_all(commits).await;
    assert_eq!(kept.iter().filter(|events| **events > 0).count(), 67);
    let (mut after, mut lines, mut seqs) = (0, 0, Vec::new());
    loop {
        let page = done(store.stream_after(after, 7).await);
        let Some(last) = page.last().map(|row| row.last) else {
            break;
        };
        for row in page {
            assert_eq!(row.first, after + 1, "no hole");
            after = row.last;
            match &row.source {
                StreamSource::Record(record) => {
                    let events = record.record.entry.event_count();
                    assert_eq!(row.last + 1 - row.first, events);
                    seqs.push(record.seq);
                }
                StreamSource::Lines { .. } => {
                    let ids: Vec<_> = said(&row).iter().map(|(id, _)| *id).collect();
                    assert_eq!(ids, [lines + 1, lines + 2]);
                    lines += 2;
                }
            }
        }
        assert_eq!(after, last);
    }
    assert_eq!(after, kept.iter().sum::<u64>());
    assert_eq!(done(store.stream_head().await), after);
    assert_eq!(seqs, (1..=134).collect::<Vec<u64>>(), "in the same order");
    assert_eq!(done(verify_audit(&*store).await).faults, []);
    assert_eq!(done(store.check().await), Vec::<String>::new());
}

pub(super) async fn forgotten_lines_leave_their_number(store: Arc<dyn Store>) {
    let mut request = stored_request(&*store, at(0)).await;
    let (id, task) = (
        request.request_id,
        task_row(request.request_id, at(0)).task_id,
    );
    let line = |text: &str, second| NewLogLine {
        ts: at(second),
        ..line(id, task, text)
    };
    let both = vec![line("old", 1), line("new", 100)];
    stored(
        &*store,
        [Write::Logs(vec![line("older", 1)]), Write::Logs(both)],
    )
    .await;
    (request.state, request.ended) = ("completed".to_owned(), true);
    stored(&*store, [Write::Request(Expected::Version(1), request)]).await;
    assert_eq!(done(store.forget(at(50)).await), 2);
    let rows = done(store.stream_after(0, 10).await);
    assert_eq!(places(&rows), [(1, 1), (2, 2)]);
    assert_eq!(said(&rows[0]), []);
    assert_eq!(said(&rows[1]), [(3, "new")]);
    assert_eq!(done(store.forget(at(500)).await), 1);
    // A number is not given twice, or a place would show what never stood there.
    stored(&*store, [Write::Logs(vec![line("late", 600)])]).await;
    let rows = done(store.stream_after(0, 10).await);
    let texts: Vec<_> = rows.iter().map(said).collect();
    assert_eq!(texts, [vec![], vec![], vec![(4, "late")]]);
    assert_eq!(done(store.stream_head().await), 3);
    assert_eq!(done(store.check().await), Vec::<String>::new());
}

pub(super) async fn lines_of_a_request_of_another_tenant_are_refused(store: Arc<dyn Store>) {
    let request = stored_request(&*store, at(0)).await;
    let task = task_row(request.request_id, at(0)).task_id;
    let lines = Write::Logs(vec![line(request.request_id, task, "changed: [nas]")]);
    let theirs = Commit {
        tenant_id: name("other"),
        ..commit([lines])
    };
    assert_malformed(store.commit(theirs).await);
    assert_eq!(done(store.logs(request.request_id, 0, 10).await), []);
    assert_eq!(done(store.stream_head().await), 0);
    let nobody = vec![line(super::make::request_id(), task, "changed: [nas]")];
    assert_malformed(store.commit(commit([Write::Logs(nobody)])).await);
}

pub(super) async fn a_page_of_the_stream_has_a_bound(store: Arc<dyn Store>) {
    let entries = (0..1001).map(|_| entry("request:1"));
    done(store.commit(recording(entries)).await);
    for (limit, length) in [(0, 1), (1000, 1000), (u32::MAX, 1000)] {
        assert_eq!(done(store.stream_after(0, limit).await).len(), length);
    }
}
