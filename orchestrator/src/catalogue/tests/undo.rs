//! What takes a run back: the values that its entry passes on.

use super::*;

#[test]
fn an_undo_leaves_out_what_the_run_was_not_given() {
    let catalogue = shipped();
    let entry = catalogue.get("cron_job").unwrap();
    let undo = |run: Value| {
        let Undo::Entry { parameters, .. } = entry.undo_of_run(&parameters(run), "run-1") else {
            panic!("cron_job has an undo");
        };
        json!(parameters)
    };
    assert_eq!(
        undo(json!({"schedule": "@daily", "command": "{name}"})),
        json!({"command": "{name}", "run_id": "run-1"})
    );
    assert_eq!(
        undo(json!({"schedule": "@daily", "command": "x", "name": "y"})),
        json!({"command": "x", "name": "y", "run_id": "run-1"})
    );
}
