//! Edits beside what the digests cover: in what a record says more than it may, in the limits by which events were judged,
//! in the version of a request. Each is named. Plain edits are left to `proof`, clever ones to `guile`.

use super::proof::{Past, faults};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_beside_the_digests_are_named() {
    let past = Past::made().await;
    let [first, second] = &past.requests;
    let in_record = |path: &str| {
        format!(
            "UPDATE audit_log SET entry = json_set(entry, '{path}', 'local:eve')
             WHERE stream = 'request:{first}' AND position = 1"
        )
    };
    let of_first = |set: &str| format!("UPDATE requests SET {set} WHERE request_id = '{first}'");
    let limits = "by which recorded events were judged,";
    let mut missed = Vec::new();
    for (edit, words) in [
        (
            in_record("$.approved_by"),
            "unknown field `approved_by`".to_owned(),
        ),
        (
            in_record("$.target.name"),
            "unknown field `name`".to_owned(),
        ),
        (in_record("$.moves[0].by"), "unknown field `by`".to_owned()),
        (
            "UPDATE run_policies SET doc = json_set(doc, '$.attempts', 9)".to_owned(),
            format!("{limits} were changed"),
        ),
        (
            "DELETE FROM run_policies".to_owned(),
            format!("{limits} are missing"),
        ),
        (
            of_first("version = version - 1"),
            format!("request {first} has"),
        ),
        (
            of_first("version = version + 1"),
            format!("of request {first} is missing"),
        ),
    ] {
        let world = past.edited(&edit).await;
        let found = faults(&world, &[]).await;
        if !found.contains(&words) || found.contains(second.as_str()) {
            missed.push(format!("{edit}\n{words}\nfound: {found}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}
