//! Each tenant sees its own rows, and finds the way from them to its requests.

use std::{slice::from_ref, sync::Arc};

use super::make::{
    assert_malformed, at, commit, decision_row, done, name, plan_id, plan_row, request_row, stored,
    task_row,
};
use crate::{
    Commit, DecisionRow, Expected, ListDecisions, ListTasks, PlanRow, Store, TaskRow, Write,
};

/// A request of this tenant with a task, a decision and a plan.
async fn of_tenant(store: &dyn Store, tenant: &str) -> (TaskRow, DecisionRow, PlanRow) {
    let mut request = request_row(at(0));
    let mut task = task_row(request.request_id, at(0));
    let mut decision = decision_row(request.request_id, at(0));
    let mut plan = plan_row(request.request_id, plan_id(), at(0));
    request.tenant_id = name(tenant);
    task.tenant_id = name(tenant);
    task.agent_id = Some(name("infrastructure"));
    decision.tenant_id = name(tenant);
    plan.tenant_id = name(tenant);
    let all = Commit {
        tenant_id: name(tenant),
        ..commit([
            Write::Request(Expected::Absent, request),
            Write::Task(Expected::Absent, task.clone()),
            Write::Decision(Expected::Absent, decision.clone()),
            Write::Plan(plan.clone()),
        ])
    };
    done(store.commit(all).await);
    (task, decision, plan)
}

pub(super) async fn a_list_shows_rows_of_its_tenant_only(store: Arc<dyn Store>) {
    let mine = of_tenant(&*store, "default").await;
    let theirs = of_tenant(&*store, "other").await;
    for (tenant, own, foreign) in [("default", &mine, &theirs), ("other", &theirs, &mine)] {
        let tenant = name(tenant);
        let all = ListTasks {
            limit: 10,
            ..ListTasks::default()
        };
        let by_agent = ListTasks {
            agent_id: own.0.agent_id.clone(),
            ..all.clone()
        };
        let by_state = ListTasks {
            state: Some("open".to_owned()),
            ..all.clone()
        };
        let open = ListTasks {
            open_only: true,
            ..all.clone()
        };
        for list in [all.clone(), by_agent, by_state, open] {
            assert_eq!(done(store.tasks(&tenant, list).await), from_ref(&own.0));
        }
        let of_request = ListTasks {
            request_id: Some(foreign.0.request_id),
            ..all
        };
        assert_eq!(done(store.tasks(&tenant, of_request).await), []);
        let all = ListDecisions {
            limit: 10,
            ..ListDecisions::default()
        };
        let by_state = ListDecisions {
            state: Some("pending".to_owned()),
            ..all.clone()
        };
        for list in [all.clone(), by_state] {
            assert_eq!(done(store.decisions(&tenant, list).await), from_ref(&own.1));
        }
        let of_request = ListDecisions {
            request_id: Some(foreign.1.request_id),
            ..all
        };
        assert_eq!(done(store.decisions(&tenant, of_request).await), []);
        let plans = done(store.plans(&tenant, None, 10).await);
        assert_eq!(plans, from_ref(&own.2));
    }
}

pub(super) async fn a_row_of_another_tenants_request_is_refused(store: Arc<dyn Store>) {
    let (task, ..) = of_tenant(&*store, "other").await;
    let request = task.request_id;
    let rows = [
        Write::Task(Expected::Absent, task_row(request, at(1))),
        Write::Decision(Expected::Absent, decision_row(request, at(1))),
        Write::Plan(plan_row(request, plan_id(), at(1))),
    ];
    for row in rows {
        assert_malformed(store.commit(commit([row])).await);
    }
    let run = done(store.run(&name("other"), request).await);
    let run = run.expect("the request is there");
    assert_eq!(run.tasks, [task]);
    assert_eq!(run.decisions.len(), 1);
    let mine = done(store.plans(&name("default"), None, 10).await);
    assert_eq!(mine, []);
}

pub(super) async fn a_decision_and_a_plan_lead_to_their_request(store: Arc<dyn Store>) {
    let (_, decision, _) = of_tenant(&*store, "default").await;
    let (mine, theirs, request) = (name("default"), name("other"), decision.request_id);
    let id = decision.decision_id.as_str();
    let found = done(store.request_of_decision(&mine, id).await);
    assert_eq!(found, Some(request));
    assert_eq!(done(store.request_of_decision(&theirs, id).await), None);
    assert_eq!(done(store.request_of_decision(&mine, "none").await), None);
    let (first, second) = (plan_id(), plan_id());
    for (plan, other) in [(first, second), (second, first)] {
        let row = plan_row(request, plan, at(1));
        stored(&*store, [Write::Plan(row)]).await;
        let found = done(store.request_of_plan(&mine, plan).await);
        assert_eq!(found, Some(request));
        assert_eq!(done(store.request_of_plan(&theirs, plan).await), None);
        let replaced = done(store.request_of_plan(&mine, other).await);
        assert_eq!(replaced, None, "it was replaced, or is not there yet");
    }
}
