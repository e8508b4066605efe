//! Schedules: made once, changed and removed from their version, found when they are due.

use std::sync::Arc;

use chiffon_common::{ScheduleId, TenantId};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::crowd::join_all;
use super::make::{
    assert_conflict, assert_malformed, at, commit, done, name, project_row, request_id, stored,
};
use crate::{Check, Commit, Expected, ListSchedules, ScheduleRow, Store, Write};

fn schedule_row(created: Timestamp, next: i64) -> ScheduleRow {
    ScheduleRow {
        tenant_id: TenantId::default(),
        schedule_id: ScheduleId::from_uuid(Uuid::now_v7()),
        project_id: name("default"),
        state: "active".to_owned(),
        version: 1,
        next_at: Some(at(next)),
        considered_at: created,
        open_request: None,
        created_at: created,
        updated_at: created,
        doc: json!({"title": "Nightly", "load": 0.1}),
    }
}

fn made(row: &ScheduleRow) -> Write {
    Write::Schedule(Expected::Absent, row.clone())
}

pub(super) async fn a_schedule_is_made_changed_and_removed_from_its_version(store: Arc<dyn Store>) {
    let tenant = name("default");
    let mut row = schedule_row(at(0), 60);
    let id = row.schedule_id;
    stored(&*store, [made(&row)]).await;
    assert_eq!(done(store.schedule(&tenant, id).await), Some(row.clone()));
    assert_conflict(store.commit(commit([made(&row)])).await);
    (row.state, row.next_at) = ("paused".to_owned(), None);
    (row.updated_at, row.considered_at) = (at(7), at(6));
    row.doc = json!({"title": "Daily"});
    let later = Write::Schedule(Expected::Version(1), row.clone());
    stored(&*store, [later.clone()]).await;
    row.version = 2;
    assert_eq!(done(store.schedule(&tenant, id).await), Some(row.clone()));
    assert_conflict(store.commit(commit([later])).await);
    let theirs = Write::Schedule(
        Expected::Version(2),
        ScheduleRow {
            tenant_id: name("other"),
            ..row.clone()
        },
    );
    assert_malformed(store.commit(commit([theirs])).await);
    assert_eq!(done(store.schedule(&name("other"), id).await), None);
    for (version, state) in [(2, "bogus"), (2, "paused")] {
        // No such state; and what is paused has no next time.
        let wrong = ScheduleRow {
            state: state.to_owned(),
            next_at: Some(at(9)),
            ..row.clone()
        };
        let write = Write::Schedule(Expected::Version(version), wrong);
        assert_malformed(store.commit(commit([write])).await);
    }
    let remove = |version| Write::RemoveSchedule {
        schedule_id: id,
        version,
    };
    assert_conflict(store.commit(commit([remove(1)])).await);
    stored(&*store, [remove(2)]).await;
    assert_eq!(done(store.schedule(&tenant, id).await), None);
    assert_conflict(store.commit(commit([remove(2)])).await);
    assert_eq!(done(store.schedule_count(&tenant).await), 0);
}

pub(super) async fn many_at_once_are_not_more_than_there_may_be(store: Arc<dyn Store>) {
    const MOST: u64 = 5;
    let makers = (0..20).map(|_| {
        let store = store.clone();
        async move {
            let one = Commit {
                checks: vec![Check::FewerSchedules { than: MOST }],
                ..commit([made(&schedule_row(at(0), 60))])
            };
            match store.commit(one).await {
                Ok(_) => true,
                Err(crate::Error::Conflict { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let made = join_all(makers).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 5);
    assert_eq!(done(store.schedule_count(&name("default")).await), MOST);
    // Those of others do not count.
    let theirs = Commit {
        tenant_id: name("other"),
        checks: vec![Check::FewerSchedules { than: MOST }],
        ..Commit::default()
    };
    done(store.commit(theirs).await);
}

pub(super) async fn a_commit_holds_the_version_of_a_schedule(store: Arc<dyn Store>) {
    let row = schedule_row(at(0), 60);
    stored(&*store, [made(&row)]).await;
    let checked = |version, project: &str| Commit {
        checks: vec![Check::Schedule {
            schedule_id: row.schedule_id,
            version,
        }],
        ..commit([Write::Project(Expected::Absent, project_row(project))])
    };
    done(store.commit(checked(1, "a")).await);
    stored(
        &*store,
        [Write::Schedule(Expected::Version(1), row.clone())],
    )
    .await;
    assert_conflict(store.commit(checked(1, "b")).await);
    done(store.commit(checked(2, "b")).await);
    let gone = Write::RemoveSchedule {
        schedule_id: row.schedule_id,
        version: 2,
    };
    stored(&*store, [gone]).await;
    assert_conflict(store.commit(checked(2, "c")).await);
    assert_eq!(
        done(store.project(&name("default"), &name("c")).await),
        None
    );
}

pub(super) async fn a_schedule_is_due_when_its_time_has_come_and_its_last_run_has_ended(
    store: Arc<dyn Store>,
) {
    let rows = [30, 10, 20, 40].map(|next| schedule_row(at(0), next));
    stored(&*store, rows.iter().map(made)).await;
    let due = async |now| {
        let found = done(store.due_schedules(at(now), 10).await);
        let number = |row: &ScheduleRow| {
            rows.iter()
                .position(|one| one.schedule_id == row.schedule_id)
        };
        found.iter().filter_map(number).collect::<Vec<_>>()
    };
    assert_eq!(due(9).await, Vec::<usize>::new());
    assert_eq!(due(30).await, [1, 2, 0]);
    assert_eq!(done(store.next_schedule().await), Some(at(10)));
    assert_eq!(done(store.due_schedules(at(30), 1).await).len(), 1);
    // One has an open run, one is paused.
    let (first, second) = (request_id(), request_id());
    let open = |row: &ScheduleRow, request| ScheduleRow {
        open_request: Some(request),
        ..row.clone()
    };
    let paused = ScheduleRow {
        state: "paused".to_owned(),
        next_at: None,
        ..rows[2].clone()
    };
    let of_first = |row| Write::Schedule(Expected::Version(1), row);
    let changes = [open(&rows[1], first), paused, open(&rows[3], second)];
    stored(&*store, changes.map(of_first)).await;
    assert_eq!(due(100).await, [0]);
    assert_eq!(done(store.next_schedule().await), Some(at(30)));
    let watched = async |after| {
        let found = done(store.watched_schedules(after, 10).await);
        found
            .iter()
            .filter_map(|row| row.open_request)
            .collect::<Vec<_>>()
    };
    assert_eq!(watched(None).await, [first, second]);
    assert_eq!(watched(Some(first)).await, [second]);
}

pub(super) async fn schedules_ahead_of_the_clock_are_found(store: Arc<dyn Store>) {
    let mut rows = [10, 20, 30].map(|considered| ScheduleRow {
        considered_at: at(considered),
        ..schedule_row(at(0), 60)
    });
    (rows[2].state, rows[2].next_at) = ("paused".to_owned(), None);
    stored(&*store, rows.iter().map(made)).await;
    let ahead = done(store.schedules_ahead(at(10), 10).await);
    assert_eq!(ahead, [rows[1].clone()]);
}

pub(super) async fn a_list_of_schedules_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let tenant = name("default");
    let mut rows: Vec<_> = (0..7).map(|n| schedule_row(at(n % 3), 60)).collect();
    (rows[4].state, rows[4].next_at) = ("ended".to_owned(), None);
    stored(&*store, rows.iter().map(made)).await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.schedule_id)));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let list = ListSchedules {
            after,
            limit: 3,
            ..ListSchedules::default()
        };
        let page = done(store.schedules(&tenant, list).await);
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.schedule_id));
        found.extend(page);
    }
    assert_eq!(found, rows);
    let ended = ListSchedules {
        state: Some("ended".to_owned()),
        limit: 3,
        ..ListSchedules::default()
    };
    assert_eq!(done(store.schedules(&tenant, ended.clone()).await).len(), 1);
    assert_eq!(done(store.schedules(&name("other"), ended).await), []);
    assert_eq!(done(store.schedule_count(&tenant).await), 7);
}
