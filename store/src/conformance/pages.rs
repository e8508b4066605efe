//! Lists of tasks, decisions and plans: page by page nothing is missed or repeated. Lists of requests are
//! left to `lists.rs`, whose rows they are to `tenants.rs`.

use std::{future::Future, sync::Arc};

use chiffon_common::{RequestId, TenantId};

use super::make::{
    at, decision_row, done, name, plan_id, plan_row, project_row, request_row, stored,
    stored_request, task_row,
};
use crate::{
    DecisionRow, Expected, ListDecisions, ListTasks, PlanRow, RequestRow, Store, TaskRow, Write,
};

/// Walks over pages of four; before each next page something newer comes in.
async fn walk<T, C, F, N>(
    mut page: impl FnMut(Option<C>) -> F,
    key: impl Fn(&T) -> C,
    mut newer: impl FnMut() -> N,
) -> Vec<T>
where
    F: Future<Output = Vec<T>>,
    N: Future<Output = ()>,
{
    let mut found = Vec::new();
    let mut rows = page(None).await;
    while let Some(last) = rows.last() {
        assert!(rows.len() <= 4);
        let after = key(last);
        found.append(&mut rows);
        newer().await;
        rows = page(Some(after)).await;
    }
    found
}

/// Two requests with fifteen tasks each, three to a second, of two agents; newest first.
async fn thirty_tasks(store: &dyn Store) -> (RequestId, Vec<TaskRow>) {
    let one = stored_request(store, at(0)).await.request_id;
    let other = stored_request(store, at(0)).await.request_id;
    let mut rows = Vec::new();
    for number in 0..30_usize {
        let mut row = task_row([one, other][number % 2], at(number as i64 / 3));
        row.state = ["open", "running", "completed"][number % 3].to_owned();
        row.ended = row.state == "completed";
        row.agent_id =
            [None, Some(name("infrastructure")), Some(name("desktop.pi"))][number / 2 % 3].clone();
        rows.push(row);
    }
    let writes = rows
        .iter()
        .map(|row| Write::Task(Expected::Absent, row.clone()));
    stored(store, writes).await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.task_id)));
    (one, rows)
}

pub(super) async fn a_list_of_tasks_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let (request, rows) = thirty_tasks(&*store).await;
    let (store, tenant) = (&*store, &TenantId::default());
    let page = |after| {
        let list = ListTasks {
            after,
            limit: 4,
            ..ListTasks::default()
        };
        async move { done(store.tasks(tenant, list).await) }
    };
    let newer = || {
        let row = task_row(request, at(1000));
        stored(store, [Write::Task(Expected::Absent, row)])
    };
    let found = walk(page, |row| (row.created_at, row.task_id), newer).await;
    assert_eq!(found, rows);
}

pub(super) async fn a_list_of_tasks_can_be_narrowed(store: Arc<dyn Store>) {
    let (request, rows) = thirty_tasks(&*store).await;
    for choice in 0..16 {
        let chosen = |bit: u8| choice & (1 << bit) != 0;
        let mut list = ListTasks {
            request_id: chosen(0).then_some(request),
            agent_id: chosen(1).then(|| name("desktop.pi")),
            state: chosen(2).then(|| "running".to_owned()),
            open_only: chosen(3),
            after: None,
            limit: 100,
        };
        let mut expected: Vec<_> = rows
            .iter()
            .filter(|row| list.request_id.is_none_or(|one| row.request_id == one))
            .filter(|row| list.agent_id.is_none() || row.agent_id == list.agent_id)
            .filter(|row| list.state.as_ref().is_none_or(|one| row.state == *one))
            .filter(|row| !list.open_only || !row.ended)
            .cloned()
            .collect();
        let found = done(store.tasks(&name("default"), list.clone()).await);
        assert_eq!(found, expected, "{list:?}");
        let first = expected.remove(0);
        list.after = Some((first.created_at, first.task_id));
        let found = done(store.tasks(&name("default"), list.clone()).await);
        assert_eq!(found, expected, "{list:?}");
    }
}

/// The same as [`thirty_tasks`], as decisions.
async fn thirty_decisions(store: &dyn Store) -> (RequestId, Vec<DecisionRow>) {
    let one = stored_request(store, at(0)).await.request_id;
    let elsewhere = RequestRow {
        project_id: name("lab"),
        ..request_row(at(0))
    };
    let other = elsewhere.request_id;
    stored(store, [Write::Request(Expected::Absent, elsewhere)]).await;
    let mut rows = Vec::new();
    for number in 0..30_usize {
        let mut row = decision_row([one, other][number % 2], at(number as i64 / 3));
        row.state = ["pending", "resolved", "timed_out"][number / 2 % 3].to_owned();
        rows.push(row);
    }
    let writes = rows
        .iter()
        .map(|row| Write::Decision(Expected::Absent, row.clone()));
    stored(store, writes).await;
    rows.sort_by(|a, b| (b.created_at, &b.decision_id).cmp(&(a.created_at, &a.decision_id)));
    (one, rows)
}

pub(super) async fn a_list_of_decisions_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let (request, rows) = thirty_decisions(&*store).await;
    let (store, tenant) = (&*store, &TenantId::default());
    let page = |after| {
        let list = ListDecisions {
            after,
            limit: 4,
            ..ListDecisions::default()
        };
        async move { done(store.decisions(tenant, list).await) }
    };
    let newer = || {
        let row = decision_row(request, at(1000));
        stored(store, [Write::Decision(Expected::Absent, row)])
    };
    let key = |row: &DecisionRow| (row.created_at, row.decision_id.clone());
    assert_eq!(walk(page, key, newer).await, rows);
}

pub(super) async fn a_list_of_decisions_can_be_narrowed(store: Arc<dyn Store>) {
    let (request, rows) = thirty_decisions(&*store).await;
    for choice in 0..8 {
        let chosen = |bit: u8| choice & (1 << bit) != 0;
        let mut list = ListDecisions {
            request_id: chosen(0).then_some(request),
            state: chosen(1).then(|| "resolved".to_owned()),
            // All that is not of this request is of the other group.
            project_id: chosen(2).then(|| name("default")),
            after: None,
            limit: 100,
        };
        let mut expected: Vec<_> = rows
            .iter()
            .filter(|row| list.request_id.is_none_or(|one| row.request_id == one))
            .filter(|row| list.state.as_ref().is_none_or(|one| row.state == *one))
            .filter(|row| list.project_id.is_none() || row.request_id == request)
            .cloned()
            .collect();
        let found = done(store.decisions(&name("default"), list.clone()).await);
        assert_eq!(found, expected, "{list:?}");
        let first = expected.remove(0);
        list.after = Some((first.created_at, first.decision_id));
        let found = done(store.decisions(&name("default"), list.clone()).await);
        assert_eq!(found, expected, "{list:?}");
    }
}

pub(super) async fn a_list_of_plans_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let (store, tenant) = (&*store, &TenantId::default());
    let mut rows = Vec::new();
    for number in 0..15 {
        let request = stored_request(store, at(0)).await;
        let row = plan_row(request.request_id, plan_id(), at(number / 3));
        stored(store, [Write::Plan(row.clone())]).await;
        rows.push(row);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.request_id)));
    let page = |after| async move { done(store.plans(tenant, after, 4).await) };
    let newer = || async {
        let request = stored_request(store, at(0)).await;
        let row = plan_row(request.request_id, plan_id(), at(1000));
        stored(store, [Write::Plan(row)]).await;
    };
    let found = walk(
        page,
        |row: &PlanRow| (row.created_at, row.request_id),
        newer,
    )
    .await;
    assert_eq!(found, rows);
}

pub(super) async fn a_page_is_neither_empty_nor_endless(store: Arc<dyn Store>) {
    let mut writes = Vec::new();
    for number in 0..1_001 {
        let request = request_row(at(0));
        let id = request.request_id;
        writes.push(Write::Request(Expected::Absent, request));
        writes.push(Write::Task(Expected::Absent, task_row(id, at(0))));
        writes.push(Write::Decision(Expected::Absent, decision_row(id, at(0))));
        writes.push(Write::Plan(plan_row(id, plan_id(), at(0))));
        let project = project_row(&format!("p{number}"));
        writes.push(Write::Project(Expected::Absent, project));
    }
    stored(&*store, writes).await;
    let tenant = TenantId::default();
    for (limit, length) in [(0, 1), (1_000, 1_000), (u32::MAX, 1_000)] {
        let tasks = ListTasks {
            limit,
            ..ListTasks::default()
        };
        assert_eq!(done(store.tasks(&tenant, tasks).await).len(), length);
        let decisions = ListDecisions {
            limit,
            ..ListDecisions::default()
        };
        let decisions = done(store.decisions(&tenant, decisions).await);
        assert_eq!(decisions.len(), length);
        assert_eq!(done(store.plans(&tenant, None, limit).await).len(), length);
        let projects = done(store.projects(&tenant, None, limit).await);
        assert_eq!(projects.len(), length);
    }
}
