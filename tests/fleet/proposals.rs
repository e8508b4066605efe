//! What people push to the ledger's `refs/heads/propose/*`: a plain revert becomes a request that waits for a
//! person, everything else a record and a word in `health`. With the real git, as a person uses it.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{
    WRITE,
    world::{Act, PATIENCE, World},
};

/// Runs git in a folder as somebody; what it printed.
fn git(folder: &Path, args: &[&str]) -> String {
    let output = chiffon_tests::git(folder, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Clone {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Clone {
    fn of(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clone");
        let ledger = world.ledger();
        git(
            folder.path(),
            &[
                "clone",
                "-q",
                ledger.to_str().unwrap(),
                path.to_str().unwrap(),
            ],
        );
        Self {
            _folder: folder,
            path,
        }
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    /// Begins again at the ledger's main.
    fn afresh(&self) {
        self.git(&["fetch", "-q", "origin"]);
        self.git(&["checkout", "-q", "--detach", "origin/main"]);
        self.git(&["reset", "-q", "--hard", "origin/main"]);
    }

    fn push(&self, name: &str) -> String {
        self.git(&[
            "push",
            "-q",
            "-f",
            "origin",
            &format!("HEAD:refs/heads/propose/{name}"),
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }
}

impl World {
    fn ledger(&self) -> PathBuf {
        self.home.path().join("ledger")
    }

    /// Waits until the reconciler has moved the reference away.
    async fn put_aside(&self, to: &str) -> String {
        let ledger = self.ledger();
        let found = || {
            let listed = git(&ledger, &["for-each-ref", "--format=%(refname)", to]);
            let left = git(
                &ledger,
                &["for-each-ref", "--format=%(refname)", "refs/heads/propose"],
            );
            (left.is_empty() && !listed.is_empty()).then_some(listed)
        };
        self.wait_for(&format!("a reference under {to}"), || found().is_some())
            .await;
        found().unwrap()
    }

    async fn of_ledger(&self) -> Vec<Value> {
        let (status, list) = self.get("/api/v1/requests?room_id=ledger").await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_revert_asks_for_the_undo_and_a_person_decides() {
    let mut world = World::plain(Act::Complete).await;
    let first = world.done(WRITE).await;
    let id = first["request_id"].as_str().unwrap();
    let commit = first["ledger_commit"].as_str().unwrap();
    let clone = Clone::of(&world);
    // What came after on other hosts is no hindrance.
    world
        .done("write_file path=/tmp/z content=z on tower")
        .await;
    clone.git(&["revert", "--no-edit", commit]);
    let pushed = clone.push("back");

    let done = world.put_aside("refs/propose-done").await;
    let requests = world.of_ledger().await;
    assert_eq!(requests.len(), 1, "{requests:#?}");
    let undo = requests[0]["request_id"].as_str().unwrap();
    assert_eq!(done, format!("refs/propose-done/{undo}"));
    assert_eq!(requests[0]["requester"], "ledger:Ada <ada@example.org>");
    let waiting = world.until(undo, &["awaiting_approval"]).await;
    assert_eq!(waiting["undo_of"], json!(id));
    assert_eq!(world.worker.starts().len(), 2, "it ran unasked");

    // The same again, under another name and after a crash: the same request.
    clone.push("again");
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    world.put_aside("refs/propose-done").await;
    assert_eq!(world.of_ledger().await.len(), 1);
    assert_eq!(git(&world.ledger(), &["rev-parse", &done]), pushed);

    let ended = world.finished(undo).await;
    assert_eq!(ended["state"], "completed", "{ended:#}");
    assert_eq!(world.show(id).await["undone_by"]["request_id"], json!(undo));

    // Once more by another commit: it was taken back already.
    clone.afresh();
    clone.git(&["revert", "--no-edit", commit]);
    let late = clone.push("late");
    world
        .put_aside(&format!("refs/propose-refused/{late}"))
        .await;
    assert_eq!(world.of_ledger().await.len(), 1);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_that_is_pushed_again_after_it_was_rejected_asks_again_and_one_that_was_done_is_refused()
 {
    let world = World::plain(Act::Complete).await;
    let first = world.done(WRITE).await;
    let commit = first["ledger_commit"].as_str().unwrap();
    let clone = Clone::of(&world);
    clone.git(&["revert", "--no-edit", commit]);
    let pushed = clone.push("p1");
    let done = world.put_aside("refs/propose-done").await;
    let of = |done: &str| done.rsplit('/').next().unwrap().to_owned();
    let rejected = of(&done);
    let waiting = world.until(&rejected, &["awaiting_approval"]).await;
    let answer =
        json!({ "request_id": rejected, "digest": waiting["plan"]["digest"], "choice": "reject" });
    let (status, body) = world.post("/approve", answer).await;
    assert_eq!(status, 200, "{body}");
    world.until(&rejected, &["rejected"]).await;

    assert_eq!(clone.push("p2"), pushed);
    let another = async {
        loop {
            let requests = world.of_ledger().await;
            let other = requests
                .iter()
                .find(|one| one["request_id"] != json!(rejected));
            if let Some(other) = other {
                break other["request_id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let another = tokio::time::timeout(PATIENCE, another).await.unwrap();
    world
        .put_aside(&format!("refs/propose-done/{another}"))
        .await;
    let ended = world.finished(&another).await;
    assert_eq!(ended["state"], "completed", "{ended:#}");

    // There is nothing left to take back, and whoever pushes it is told so, with the request that did it.
    assert_eq!(clone.push("p3"), pushed);
    world
        .put_aside(&format!("refs/propose-refused/{pushed}"))
        .await;
    assert_eq!(world.of_ledger().await.len(), 2);
    let (_, audit) = world.get("/api/v1/audit?limit=500").await;
    let mut records = audit["items"].as_array().unwrap().iter();
    let refused = records.find(|one| one["record"]["entry"]["action"] == "ledger.proposal_refused");
    let because = refused.unwrap()["record"]["entry"]["data"]["because"].to_string();
    assert!(because.contains(&another), "{because}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_is_pushed_is_recorded_and_told_and_never_becomes_a_request() {
    let world = World::plain(Act::Complete).await;
    let one = world.done(WRITE).await;
    let other = world
        .done("write_file path=/tmp/y content=y on tower")
        .await;
    let reading = world.ask("ping nas").await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    let reading = world
        .until_it(&reading, "its ledger commit", recorded)
        .await;
    let commit_of = |request: &Value| request["ledger_commit"].as_str().unwrap().to_owned();
    let (one, other, reading) = (commit_of(&one), commit_of(&other), commit_of(&reading));
    let clone = Clone::of(&world);
    let ledger = world.ledger();

    let mut refused = Vec::new();
    for (name, words) in [
        ("no-revert", "removes no record"),
        ("empty", "removes no record"),
        ("more", "it also changes extra.txt"),
        ("otherwise", "otherwise than it was before"),
        ("two-commits", "no commit of the ledger"),
        ("both-at-once", "reverts 2 requests"),
        ("lie", "its message says"),
        ("reading", "only read"),
        ("merge", "a merge"),
        ("foreign", "stands on nothing"),
        ("huge", "removes no record"),
        ("deep", "nested too deeply"),
        ("odd-author", "name of its author holds control characters"),
        ("a-tag", "is a tag, not a commit"),
    ] {
        clone.afresh();
        match name {
            "no-revert" => {
                clone.write("notes.txt", b"hello");
                clone.commit(&format!("This reverts commit {one}."));
            }
            "empty" => clone.commit("nothing"),
            "more" => {
                clone.git(&["revert", "--no-commit", &one]);
                clone.write("extra.txt", b"x");
                clone.commit("revert and more");
            }
            "otherwise" => {
                clone.git(&["revert", "--no-commit", &one]);
                let file = clone.git(&["ls-tree", "-r", "--name-only", &one, "hosts"]);
                let file = file
                    .lines()
                    .find(|line| line.contains("/nas/"))
                    .unwrap()
                    .to_owned();
                clone.write(&file, b"outcome: as I like it\n");
                clone.commit("revert, nearly");
            }
            "two-commits" => {
                clone.git(&["revert", "--no-edit", &one]);
                clone.git(&["revert", "--no-edit", &other]);
            }
            "both-at-once" => {
                clone.git(&["revert", "--no-commit", &other, &one]);
                clone.commit("both");
            }
            "lie" => {
                clone.git(&["revert", "--no-commit", &one]);
                clone.commit(&format!("x\n\nThis reverts commit {other}."));
            }
            "reading" => {
                clone.git(&["revert", "--no-edit", &reading]);
            }
            "merge" => {
                clone.git(&["revert", "--no-edit", &one]);
                let side = clone.git(&["rev-parse", "HEAD"]);
                clone.git(&["checkout", "-q", "origin/main"]);
                clone.git(&["merge", "-q", "--no-ff", "--no-edit", &side]);
            }
            "foreign" => {
                clone.git(&["checkout", "-q", "--orphan", "elsewhere"]);
                clone.commit("my own history");
            }
            "huge" => {
                for n in 0..2_000 {
                    clone.write(&format!("many/{n}"), format!("{n}").as_bytes());
                }
                clone.write("large", &vec![7; 32 << 20]);
                clone.commit("a lot");
            }
            "odd-author" => {
                clone.git(&["revert", "--no-commit", &one]);
                let author = "Eve\tx <eve@example.org>";
                clone.git(&["commit", "-q", "--author", author, "-m", "a right revert"]);
            }
            "deep" => {
                clone.write(&format!("{}x", "d/".repeat(40)), b"x");
                clone.commit("deep");
            }
            _ => {
                clone.git(&["tag", "-f", "-a", "-m", "t", "t", "origin/main"]);
                let tag = clone.git(&["rev-parse", "t"]);
                clone.git(&["push", "-q", "origin", "t:refs/tags/t"]);
                git(&ledger, &["update-ref", "-d", "refs/tags/t"]);
                // Only by hand: git pushes commits to branches.
                let path = ledger.join("refs/heads/propose");
                std::fs::create_dir_all(&path).unwrap();
                std::fs::write(path.join("tag"), format!("{tag}\n")).unwrap();
                refused.push((tag, words));
                continue;
            }
        }
        refused.push((clone.push(name), words));
    }
    world.put_aside("refs/propose-refused").await;
    let (_, audit) = world.get("/api/v1/audit?limit=500").await;
    let records = audit["items"].as_array().unwrap().iter();
    let records: Vec<&Value> = records
        .map(|item| &item["record"]["entry"])
        .filter(|entry| entry["action"] == "ledger.proposal_refused")
        .collect();
    assert_eq!(records.len(), refused.len(), "{records:#?}");
    for (commit, words) in &refused {
        let of_commit = |entry: &&&Value| entry["target"]["id"] == json!(commit);
        let record = records.iter().find(of_commit);
        let record = record.unwrap_or_else(|| panic!("no record of {words}"));
        let because = record["data"]["because"].as_str().unwrap();
        assert!(because.contains(words), "{words}: {because}");
    }
    assert_eq!(world.of_ledger().await, Vec::<Value>::new());

    // Told until somebody has seen it.
    let notices = async || {
        let (_, health) = world.get("/health").await;
        (
            health["status"].clone(),
            health["notices"].as_array().cloned().unwrap_or_default(),
        )
    };
    let (status, told) = notices().await;
    assert_eq!(status, "ok", "a stranger's push makes nobody ill");
    assert_eq!(told.len(), 11, "{told:#?}");
    for (commit, _) in &refused {
        git(
            &ledger,
            &[
                "update-ref",
                "-d",
                &format!("refs/propose-refused/{commit}"),
            ],
        );
    }
    let gone = async {
        while !notices().await.1.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, gone).await.is_ok(),
        "still told"
    );
    world.holds_together().await;
}
