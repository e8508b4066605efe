//! After the last fault: every question is answered, every unknown resolved, until nothing is open any more; then
//! everything is read once more.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{dice::Dice, history::About, load::Load};

/// reliability.md section 5 says 60 s; two cores that are shared with three other cells get more.
pub const PATIENCE: Duration = Duration::from_secs(150);

impl Load {
    /// Drains; what is still open then is said, and is the checker's to judge.
    pub async fn drain(&self, seed: u64, database: &Path) -> Vec<String> {
        let mut dice = Dice::of(seed, 600);
        let until = Instant::now() + PATIENCE;
        loop {
            let open = self.all("/api/v1/requests?open_only=true&limit=500").await;
            let unrecorded = self.unrecorded(database);
            if open.as_ref().is_some_and(Vec::is_empty) && !unrecorded {
                break;
            }
            if Instant::now() > until {
                let told = |one: &Value| {
                    format!("{} {}: {}", one["request_id"], one["state"], one["because"])
                };
                return open.into_iter().flatten().map(|one| told(&one)).collect();
            }
            for request in open.into_iter().flatten() {
                self.settle(request["request_id"].as_str().unwrap(), &mut dice)
                    .await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let all = self
            .all("/api/v1/requests?limit=500")
            .await
            .unwrap_or_default();
        self.calls
            .history
            .final_reads(u64::try_from(all.len()).unwrap());
        Vec::new()
    }

    /// Has the newest requests told again from their recorded events; what came out otherwise.
    pub async fn replay(&self) -> Vec<String> {
        let mut otherwise = Vec::new();
        let newest = self
            .read("/api/v1/requests?limit=40", None)
            .await
            .unwrap_or_default();
        let ids = newest["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["request_id"].as_str().unwrap());
        for id in ids {
            let about = About {
                kind: "replay".to_owned(),
                id: Some(id.to_owned()),
                ..About::default()
            };
            let told = self
                .calls
                .post(about, &format!("/api/v1/requests/{id}/replay"), json!({}))
                .await;
            if told.body["same"] != true {
                otherwise.push(format!(
                    "request {id}: {} {}",
                    told.status, told.body["faults"]
                ));
            }
        }
        otherwise
    }

    async fn settle(&self, id: &str, dice: &mut Dice) {
        let Some(request) = self.read(&format!("/api/v1/requests/{id}"), Some(id)).await else {
            return;
        };
        let approval = if dice.percent(50) {
            "approve"
        } else {
            "reject"
        };
        self.answer_all(&request, Some(approval), dice).await;
        // Nobody has to wait until a person is asked how it ended.
        let tasks = request["tasks"].as_array().into_iter().flatten();
        for task in tasks.filter(|task| task["state"] == "unknown" && task["mode"] == "apply") {
            let task = task["task_id"].as_str().unwrap();
            let choice = self.truth(&request);
            let about = About {
                kind: "resolve".to_owned(),
                id: Some(task.to_owned()),
                what: Some(choice.to_owned()),
                ..About::default()
            };
            let body = json!({ "choice": choice, "comment": "the harness looked" });
            self.calls
                .post(about, &format!("/api/v1/tasks/{task}/resolve"), body)
                .await;
        }
    }

    /// Whether an ended request waits for its ledger commit, by the rows themselves: lists do not tell.
    fn unrecorded(&self, database: &Path) -> bool {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = rusqlite::Connection::open_with_flags(database, flags).unwrap();
        let sql = "SELECT count(*) FROM ledger_entries WHERE entry_no >
            (SELECT coalesce(max(last_entry), 0) FROM ledger_batches WHERE commit_id IS NOT NULL)";
        // A busy moment is one to look again after.
        open.query_row(sql, [], |row| row.get::<_, u64>(0))
            .map_or(true, |rest| rest > 0)
    }

    async fn read(&self, path: &str, id: Option<&str>) -> Option<Value> {
        let about = About {
            kind: "read".to_owned(),
            id: id.map(str::to_owned),
            what: Some(path.to_owned()),
            ..About::default()
        };
        let reply = self.calls.get(about, path).await;
        (reply.status == 200).then_some(reply.body)
    }

    /// All pages of a list.
    async fn all(&self, path: &str) -> Option<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.read(&format!("{path}{cursor}"), None).await?;
            items.extend(page["items"].as_array()?.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(items),
            }
        }
    }
}
