//! The suite that a store must pass to be supported: each promise of the contract as a function over
//! an empty store. A backend calls [`store_conformance!`](crate::store_conformance) with a way to make
//! one; what is special to a backend (files, power cuts) is left to its own tests.

mod atomic;
mod audit;
mod control;
mod crowd;
mod freeze;
mod history;
mod keys;
mod leases;
mod ledger;
mod lists;
mod logs;
mod make;
mod outbox;
mod pages;
mod projects;
mod schedules;
mod stream;
mod tenants;
mod timers;
mod told;
mod versions;

use std::{future::Future, pin::Pin, sync::Arc};

pub use control::{CONTROL_CASES, committed, control_commit, control_key, line, put, run_control};
pub use make::{at, commit, entry, message, request_row, task_row};

use crate::Store;

/// A promise being held against a store.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise of this kind of store.
#[derive(Clone, Copy)]
pub struct Case<S: ?Sized + 'static> {
    /// Its name, which is a sentence.
    pub name: &'static str,
    /// Panics where the promise is not kept. The store must be empty.
    pub run: fn(Arc<S>) -> Running,
}

/// The promises of one kind of store: their list, the function that runs one by its name, and the macro that makes a test
/// of each.
macro_rules! cases {
    ($store:ident, $cases:ident, $run:ident, $conformance:ident;
     $($module:ident: $($name:ident),+ $(,)?;)+) => {
        /// All promises, in the order of the modules.
        pub const $cases: &[$crate::conformance::Case<dyn $store>] =
            &[$($($crate::conformance::Case {
                name: stringify!($name),
                run: |store| Box::pin($module::$name(store)),
            }),+),+];

        /// Runs the promise of this name.
        ///
        /// # Panics
        /// Where it is not kept, or has another name.
        pub async fn $run(name: &str, store: std::sync::Arc<dyn $store>) {
            let found = $cases.iter().find(|case| case.name == name);
            let case = found.unwrap_or_else(|| panic!("no promise is called {name}"));
            (case.run)(store).await;
        }

        /// Makes a `#[tokio::test]` of every promise. Takes an expression that yields an `Arc` of the
        /// store, which must be empty; it is evaluated once for each test.
        #[macro_export]
        macro_rules! $conformance {
            ($make:expr) => {$($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::conformance::$run(stringify!($name), $make).await;
                }
            )+)+};
        }
    };
}
use cases;

cases! {
    Store, CASES, run, store_conformance;
    atomic: a_refused_check_leaves_nothing,
        a_refused_write_leaves_nothing,
        a_refused_commit_takes_no_other_with_it,
        a_row_of_another_tenant_is_refused;
    versions: a_row_is_made_once_and_then_changes_from_its_version,
        of_many_writers_of_one_version_one_wins,
        a_terminal_row_keeps_its_state,
        an_unknown_state_is_refused,
        an_event_is_written_once,
        a_later_plan_replaces_an_earlier_one,
        a_plan_that_is_written_again_keeps_its_time,
        hosts_and_agents_are_read_back;
    keys: a_message_is_handled_once,
        a_key_is_forgotten_with_the_answer_that_was_read,
        a_stored_answer_is_read_back,
        an_idempotency_key_gives_the_same_answer_to_the_same_body,
        of_many_claims_of_one_key_one_wins;
    leases: a_lease_has_one_owner_at_a_time,
        an_epoch_rises_when_a_lease_changes_hands,
        a_lease_that_ran_out_may_be_taken,
        a_stale_owner_is_fenced_off,
        free_looks_and_takes_nothing;
    timers: a_timer_is_set_moved_and_cleared,
        a_due_timer_is_taken_once;
    outbox: a_claimed_row_is_claimed_by_nobody_else,
        a_claim_that_ran_out_is_claimed_again,
        a_sent_row_is_never_claimed_again,
        a_released_row_waits_for_its_time,
        rows_come_in_the_order_of_their_commits,
        a_row_past_its_end_is_given_up,
        a_stale_claimer_changes_nothing,
        two_claimers_lose_none_of_ten_thousand_rows;
    logs: lines_are_numbered_within_their_request;
    audit: records_are_chained_in_their_stream,
        a_start_that_no_record_led_to_is_found,
        an_edit_between_two_records_is_found,
        numbers_have_no_holes_under_concurrent_commits,
        a_record_is_given_back_as_it_was_chained,
        an_audit_record_cannot_be_written_twice;
    told: events_of_a_request_are_kept_in_order,
        an_event_is_kept_once;
    ledger: entries_are_numbered_without_holes,
        a_batch_follows_the_last_one,
        a_request_finds_its_ledger_commit;
    lists: a_run_is_read_as_a_whole,
        a_list_misses_and_repeats_nothing,
        a_list_can_be_narrowed,
        what_takes_a_request_back_is_found_by_it,
        tasks_and_requests_are_found_by_state,
        forgetting_spares_what_is_needed;
    pages: a_list_of_tasks_misses_and_repeats_nothing,
        a_list_of_tasks_can_be_narrowed,
        a_list_of_decisions_misses_and_repeats_nothing,
        a_list_of_decisions_can_be_narrowed,
        a_list_of_plans_misses_and_repeats_nothing,
        a_page_is_neither_empty_nor_endless;
    tenants: a_list_shows_rows_of_its_tenant_only,
        a_row_of_another_tenants_request_is_refused,
        a_decision_and_a_plan_lead_to_their_request;
    projects: a_project_is_made_once_and_changes_from_its_version,
        a_list_of_projects_misses_and_repeats_nothing;
    freeze: a_freeze_is_read_back_and_changes_from_its_version,
        whoever_judged_before_a_freeze_is_told_so;
    schedules: a_schedule_is_made_changed_and_removed_from_its_version,
        many_at_once_are_not_more_than_there_may_be,
        a_commit_holds_the_version_of_a_schedule,
        a_schedule_is_due_when_its_time_has_come_and_its_last_run_has_ended,
        schedules_ahead_of_the_clock_are_found,
        a_list_of_schedules_misses_and_repeats_nothing;
    history: an_old_request_is_forgotten_whole,
        what_is_open_or_not_recorded_is_not_forgotten,
        metrics_are_thinned_to_the_first_of_each_step;
    stream: a_record_is_as_many_events_as_moves,
        a_refused_commit_gives_its_event_numbers_back,
        lines_that_came_together_are_one_event,
        lines_stand_before_the_records_of_their_commit,
        event_numbers_have_no_holes_under_concurrent_commits,
        forgotten_lines_leave_their_number,
        lines_of_a_request_of_another_tenant_are_refused,
        a_page_of_the_stream_has_a_bound;
    crowd: readers_and_writers_never_meet_a_lock,
        a_reader_sees_whole_commits_only,
        a_sound_store_finds_no_fault;
}
