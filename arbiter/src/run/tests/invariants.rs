//! What holds after every event, whatever it was: the invariants of DESIGN section 5, and what the proof counts on.

use super::*;

pub(super) fn invariants(before: &Run, moved: &Moved) {
    let run = &moved.run;
    invariant_every_open_state_is_looked_at_again(run);
    invariant_what_has_ended_stays_as_it_is(before, run);
    invariant_leases_are_held_by_live_tasks_only(before, run);
    invariant_every_change_of_state_has_its_line(before, moved);
    invariant_every_effect_can_be_performed(moved);
    invariant_the_proof_knows_what_has_ended(run);
}

/// An effect that nobody can perform would hold its event up for ever.
fn invariant_every_effect_can_be_performed(moved: &Moved) {
    for effect in &moved.effects {
        match effect {
            Effect::Dispatch { task }
            | Effect::Query { task }
            | Effect::Cancel { task }
            | Effect::SendBundle { task } => {
                let task = moved.run.tasks.get(task).expect("an effect on no task");
                assert!(
                    task.state.sent().is_some(),
                    "{effect:?} on a task that is {}",
                    task.state.name()
                );
            }
            Effect::MarkHosts { task, .. } => assert!(moved.run.tasks.contains_key(task)),
            Effect::SealPreview | Effect::Plan | Effect::Wake | Effect::Record => {}
        }
    }
}

fn invariant_every_open_state_is_looked_at_again(run: &Run) {
    let has_timer = |subject| run.timers.keys().any(|name| name.subject == subject);
    assert!(
        run.request.state.ended() || has_timer(TimerSubject::Request),
        "request {} waits for ever",
        run.request.state.name()
    );
    for task in run.tasks.values() {
        let looked_at = has_timer(TimerSubject::Task(task.task_id));
        assert_eq!(
            !task.state.ended(),
            looked_at,
            "task {} and its timers",
            task.state.name()
        );
    }
    for decision in run.decisions.values() {
        let looked_at = has_timer(TimerSubject::Decision(decision.decision_id));
        assert_eq!(
            !decision.state.ended(),
            looked_at,
            "decision {} and its timers",
            decision.state.name()
        );
    }
}

fn invariant_what_has_ended_stays_as_it_is(before: &Run, after: &Run) {
    if before.request.state.ended() {
        assert_eq!(
            before.request.state, after.request.state,
            "a terminal request moved"
        );
    }
    for (id, task) in &before.tasks {
        if task.state.ended() {
            assert_eq!(
                Some(&task.state),
                after.tasks.get(id).map(|t| &t.state),
                "a terminal task moved"
            );
        }
    }
    for (id, decision) in &before.decisions {
        if decision.state.ended() {
            assert_eq!(
                Some(&decision.state),
                after.decisions.get(id).map(|d| &d.state),
                "a terminal decision moved"
            );
        }
    }
}

fn invariant_leases_are_held_by_live_tasks_only(before: &Run, run: &Run) {
    for task in run.tasks.values() {
        assert!(
            !task.state.ended() || task.leases.is_empty(),
            "an ended task holds a lease"
        );
        let in_hand = task.state.sent().is_some() && task.mode == Mode::Apply;
        // Only the time in which no agent can run it any more takes a lease from an attempt that is unknown.
        let was = before.tasks.get(&task.task_id);
        let lost = was.is_some_and(|was| {
            was.attempt == task.attempt && was.leases.is_empty()
                || matches!(task.state, TaskState::Unknown { .. })
        });
        assert!(
            !in_hand || lost || !task.leases.is_empty(),
            "an unresolved attempt holds no lease"
        );
    }
}

fn invariant_every_change_of_state_has_its_line(before: &Run, moved: &Moved) {
    let line = |id: String, to: &str| moved.moves.iter().any(|m| m.subject.id == id && m.to == to);
    let (was, is) = (before.request.state.name(), moved.run.request.state.name());
    assert!(
        was == is || line(before.request.request_id.to_string(), is),
        "request {was} -> {is} without a line"
    );
    for (id, task) in &moved.run.tasks {
        let was = before.tasks.get(id).map(|t| t.state.name());
        assert!(
            was == Some(task.state.name()) || line(id.to_string(), task.state.name()),
            "a task moved without a line"
        );
    }
}

/// The digest over endings goes by names, because it is made from stored rows.
fn invariant_the_proof_knows_what_has_ended(run: &Run) {
    let ended = |row: serde_json::Value| super::super::proof::has_ended(&row);
    let request = serde_json::to_value(&run.request).unwrap();
    assert_eq!(ended(request), run.request.state.ended());
    for task in run.tasks.values() {
        assert_eq!(
            ended(serde_json::to_value(task).unwrap()),
            task.state.ended()
        );
    }
}
