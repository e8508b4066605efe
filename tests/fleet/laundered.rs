//! Somebody edits rows of what goes on still, and lets it go on: the records that come after fit the edited rows. The edit
//! is found all the same, and what was forged by it approves and starts nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use chiffon_store::{Commit, Expected, ScheduleRow, Write};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    WRITE,
    schedules::{add, run, standing, wake, writes_yearly},
    world::{Act, TOKEN, World},
};

impl World {
    async fn schedule_row(&self, id: &str) -> ScheduleRow {
        let tenant = "default".parse().unwrap();
        let found = self.store.schedule(&tenant, id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }

    /// Writes a row behind the program's back.
    async fn write_schedule(&self, write: Write) {
        let commit = Commit {
            writes: vec![write],
            ..Commit::default()
        };
        self.store.commit(commit).await.unwrap();
    }

    async fn edit_schedule_row(&self, id: &str, edit: impl Fn(&mut ScheduleRow)) {
        let mut row = self.schedule_row(id).await;
        edit(&mut row);
        let expected = Expected::Version(row.version);
        self.write_schedule(Write::Schedule(expected, row)).await;
    }

    async fn faults(&self) -> Vec<String> {
        let (status, report) = self.post("/api/v1/audit/verify", json!({})).await;
        assert_eq!(status, 200, "{report}");
        let faults = report["faults"].as_array().unwrap();
        let faults = faults.iter().map(|fault| fault.as_str().unwrap());
        faults.map(str::to_owned).collect()
    }
}

/// The record of the next move is made of the edited rows, so all that follows fits them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_an_open_request_is_found_whatever_moves_after_it() {
    let world = World::plain(Act::Complete).await;
    let other = world.ask(WRITE).await;
    world.until(&other, &["awaiting_approval"]).await;
    let mut edited = Vec::new();
    for what in ["text", "requester", "plan", "question", "list"] {
        let id = world.ask(WRITE).await;
        world.until(&id, &["awaiting_approval"]).await;
        match what {
            "text" => {
                let edit = |doc: &mut Value| doc["text"] = json!("Say hello");
                world.edit_request(&id, edit).await;
            }
            "requester" => {
                let edit = |doc: &mut Value| doc["requester"]["id"] = json!("local:eve");
                world.edit_request(&id, edit).await;
            }
            "plan" => {
                let edit = |doc: &mut Value| doc["steps"][0]["parameters"]["content"] = json!("x");
                world.edit_plan(&id, true, edit).await;
            }
            "question" => {
                let mut row = world.rows(&id).await.decisions.remove(0);
                row.doc["subject"] = json!("May this be done?");
                row.doc["deadline"] = json!("2999-01-01T00:00:00Z");
                let write = Write::Decision(Expected::Version(row.version), row);
                world.write_rows(vec![write]).await;
            }
            _ => {
                let mut row = world.rows(&id).await.request;
                row.state = "received".to_owned();
                let write = Write::Request(Expected::Version(row.version), row);
                world.write_rows(vec![write]).await;
            }
        }
        // A person ends it: that is never refused.
        let (status, body) = world.post(&format!("/cancel/{id}"), json!({})).await;
        assert_eq!(status, 200, "{what}: {body}");
        world.until(&id, &["cancelled"]).await;
        edited.push((id, what));
    }
    // Approved, it starts nothing, though the record of the approval fits the edited row.
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    let edit = |doc: &mut Value| doc["text"] = json!("Say hello");
    world.edit_request(&id, edit).await;
    world.approve(&id).await;
    world.is_refused(&id, 5210, "approved").await;
    edited.push((id, "approved"));
    let (status, report) = world.post("/api/v1/audit/verify", json!({})).await;
    assert_eq!(status, 200, "{report}");
    let faults = report["faults"].as_array().unwrap();
    for (id, what) in &edited {
        let words = format!("the rows of request {id} were edited between record");
        let names = |fault: &&Value| fault.as_str().unwrap().contains(&words);
        let found = faults.iter().filter(names).count();
        assert_eq!(found, 1, "{what}: {report:#}");
    }
    assert!(!report.to_string().contains(&other), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_approval_that_was_written_into_the_row_approves_nothing_and_is_found() {
    let world = World::plain(Act::Complete).await;
    let id = add(&world, writes_yearly()).await;
    let (_, plan) = world.get(&format!("/api/v1/schedules/{id}/plan")).await;
    let digest = plan["standing_digest"].clone();
    let until_then = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
    let forged = json!({
        "digest": digest,
        "approver": { "id": "local:anna", "kind": "person" },
        "given_at": Timestamp::now(),
        "until": until_then,
    });
    let forge = |row: &mut ScheduleRow| row.doc["standing"] = forged.clone();
    world.edit_schedule_row(&id, forge).await;
    let told = |request: &Value| {
        let because = request["because"].as_str().unwrap_or_default();
        because.contains("is not used") && because.contains("schedule approve")
    };
    let first = run(&world, &id).await;
    let waits = world.until_it(&first, "why it waits", told).await;
    assert_eq!(waits["state"], "awaiting_approval", "{waits:#}");
    let faults = world.faults().await;
    assert!(faults.len() == 1 && faults[0].contains(&id), "{faults:?}");

    // What a person does to it has a record that fits the forged row, which makes it no better.
    for word in ["pause", "resume"] {
        let path = format!("/api/v1/schedules/{id}/{word}");
        assert_eq!(world.post(&path, json!({})).await.0, 200);
    }
    world.post(&format!("/cancel/{first}"), json!({})).await;
    let second = run(&world, &id).await;
    let waits = world.until_it(&second, "why it waits", told).await;
    assert_eq!(waits["state"], "awaiting_approval", "{waits:#}");
    assert_eq!(world.worker.starts(), []);
    let between = format!("the rows of schedule {id} were edited between record");
    let is_between = |faults: &[String]| faults.len() == 1 && faults[0].contains(&between);
    let faults = world.faults().await;
    assert!(is_between(&faults), "{faults:?}");

    // A person's word makes it good; that it was edited stays on the record.
    let body = json!({ "digest": digest, "until": until_then });
    let (status, shown) = standing(&world, &id, reqwest::Method::PUT, body).await;
    assert_eq!(status, 200, "{shown}");
    world.until(&second, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    let faults = world.faults().await;
    assert!(is_between(&faults), "{faults:?}");
    // And another edit makes it none again.
    let later =
        |row: &mut ScheduleRow| row.doc["standing"]["until"] = json!("2999-01-01T00:00:00Z");
    world.edit_schedule_row(&id, later).await;
    let third = run(&world, &id).await;
    world.until_it(&third, "why it waits", told).await;
    assert_eq!(world.worker.starts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_edit_of_a_schedules_row_is_found_and_the_schedule_is_named() {
    type Edit = fn(&mut ScheduleRow);
    let edits: [(&str, Edit); 7] = [
        ("title", |row| row.doc["title"] = json!("Harmless")),
        ("entry", |row| row.doc["call"]["entry"] = json!("ping")),
        ("parameters", |row| {
            row.doc["call"]["parameters"]["content"] = json!("evil");
        }),
        ("owner", |row| row.doc["owner"]["id"] = json!("local:eve")),
        ("times", |row| row.doc["when"]["cron"] = json!("@hourly")),
        ("project", |row| row.project_id = "other".parse().unwrap()),
        ("pause", |row| {
            (row.state, row.next_at) = ("paused".to_owned(), None);
        }),
    ];
    let world = World::plain(Act::Complete).await;
    let honest = add(&world, writes_yearly()).await;
    wake(&world, &honest).await;
    let removed = add(&world, writes_yearly()).await;
    let gone = world.schedule_row(&removed).await;
    let path = world.url(&format!("/api/v1/schedules/{removed}"));
    let call = world.client.delete(path).bearer_auth(TOKEN);
    let done = call.header("If-Match", "*").send().await.unwrap();
    assert!(done.status().is_success(), "{done:?}");
    world.holds_together().await;

    let mut edited = Vec::new();
    for (what, edit) in edits {
        let id = add(&world, writes_yearly()).await;
        world.edit_schedule_row(&id, edit).await;
        edited.push((what, id));
    }
    let deleted = add(&world, writes_yearly()).await;
    let row = world.schedule_row(&deleted).await;
    let remove = Write::RemoveSchedule {
        schedule_id: row.schedule_id,
        version: row.version,
    };
    world.write_schedule(remove).await;
    edited.push(("deleted", deleted));
    let stranger = "0199e2f4-77a1-7c40-8000-000000000003";
    let slipped_in = ScheduleRow {
        schedule_id: stranger.parse().unwrap(),
        ..gone.clone()
    };
    for (what, row) in [("slipped in", slipped_in), ("put back", gone)] {
        edited.push((what, row.schedule_id.to_string()));
        world
            .write_schedule(Write::Schedule(Expected::Absent, row))
            .await;
    }
    let faults = world.faults().await;
    assert_eq!(faults.len(), edited.len(), "{faults:#?}");
    for (what, id) in &edited {
        let names = faults.iter().filter(|fault| fault.contains(id)).count();
        assert_eq!(names, 1, "{what}: {faults:#?}");
    }
}
