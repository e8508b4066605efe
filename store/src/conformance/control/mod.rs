//! The suite that a control store must pass, made like that of the fleet's store. What ends a process or a server is
//! left to the tests of the backends.

mod keys;
mod lines;
mod states;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chiffon_common::{Digest, PlanId, RoomId, TenantId};
use uuid::Uuid;

use super::make::{at, done, name};
use crate::{
    AuditWrite, ControlCommit, ControlKey, ControlKind, ControlStore, Expect, Loaded, Outcome,
    StateChange, StateWrite,
};

super::cases! {
    ControlStore, CONTROL_CASES, run_control, control_conformance;
    keys: of_many_answers_to_one_id_one_is_kept,
        an_id_of_another_kind_or_tenant_is_another_one,
        an_answer_is_given_back_byte_by_byte,
        an_answer_comes_before_a_moved_state,
        a_plan_leads_to_its_event,
        what_no_store_could_keep_is_refused,
        later_answers_have_higher_numbers,
        a_storm_of_repeated_ids_is_answered_once_each;
    states: a_state_changes_from_its_version_only,
        of_many_judgements_by_one_state_one_is_true,
        a_version_never_comes_again,
        a_state_that_stays_is_held_against_its_version,
        what_a_file_tells_replaces_whatever_is_there,
        rooms_of_two_tenants_never_meet,
        nothing_is_counted_twice_and_nothing_is_lost,
        ended_states_and_old_answers_are_forgotten,
        forgetting_goes_in_bites;
    lines: a_line_waits_until_it_is_confirmed,
        lines_of_two_replicas_never_meet,
        what_was_refused_leaves_no_line,
        a_page_of_lines_has_a_bound,
        a_line_stays_when_its_answer_is_forgotten,
        a_mark_stays_until_its_replica_sets_the_next;
}

/// A key of the default tenant that nobody else has.
pub fn control_key(kind: ControlKind) -> ControlKey {
    ControlKey {
        tenant_id: TenantId::default(),
        kind,
        id: Uuid::now_v7().to_string(),
    }
}

/// An answer of its own, about the room `room`, with nothing else to it.
pub fn control_commit(key: &ControlKey) -> ControlCommit {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    ControlCommit {
        key: key.clone(),
        room_id: name("room"),
        plan_id: None,
        body: Digest::of_bytes(key.id.as_bytes()),
        answer: format!("answer {number}"),
        at: at(0),
        needed_until: None,
        room: None,
        tenant: None,
        audit: None,
    }
}

/// The state is this now, for an hour.
pub fn put(expected: Expect, doc: &str) -> StateWrite {
    let doc = doc.to_owned();
    StateWrite {
        expected,
        change: StateChange::Put {
            doc,
            keep_until: at(3600),
        },
    }
}

/// A line of this replica.
pub fn line(replica: &str, text: &str) -> AuditWrite {
    AuditWrite {
        replica: replica.to_owned(),
        line: text.to_owned(),
    }
}

/// The number under which it was written.
#[track_caller]
pub fn committed(outcome: Result<Outcome, crate::Error>) -> u64 {
    match done(outcome) {
        Outcome::Committed { seq } => seq,
        other => panic!("{other:?}, and should be written"),
    }
}

fn room() -> RoomId {
    name("room")
}

/// What there is of a new event about the room.
async fn seen(store: &dyn ControlStore) -> Loaded {
    let key = control_key(ControlKind::Event);
    done(store.load(&key, Some(&room())).await)
}

fn plan_id() -> PlanId {
    PlanId::from_uuid(Uuid::now_v7())
}

/// Commits under new keys, which must be written.
async fn written(
    store: &Arc<dyn ControlStore>,
    change: impl FnOnce(ControlCommit) -> ControlCommit,
) -> u64 {
    let commit = control_commit(&control_key(ControlKind::Event));
    committed(store.commit(change(commit)).await)
}
