//! Two orchestrators on one database and one broker: each takes requests and ends those of the other, one of them writes the
//! ledger and the other has the same, and one that dies leaves nothing undone.

use std::fs;

use chiffon_tests::{Home, git, wait_for};

use crate::yard::{
    LONG, Yard, chiffon, ends, infra, json_of, newest, orchestrator, wait_for_agents, wait_until,
};

/// How many requests each is given.
const EACH: usize = 4;

/// Where `main` of an orchestrator's ledger is.
fn main_of(home: &Home) -> String {
    let said = git(&home.path().join("ledger"), &["rev-parse", "main"]).stdout;
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Who has a job, as the leases say.
fn holder(yard: &Yard, job: &str) -> String {
    let sql = format!("SELECT coalesce(owner, '') FROM leases WHERE name = 'job:{job}'");
    yard.postgres.sql("fleet", &sql)
}

/// Waits until both have the ledger that the database knows.
#[track_caller]
fn same_ledger(yard: &Yard, homes: &[&Home], batches: usize) {
    let sql = "SELECT commit_id FROM ledger_batches ORDER BY batch_no DESC LIMIT 1";
    wait_for("the same ledger everywhere", LONG, || {
        let count = yard.postgres.sql(
            "fleet",
            "SELECT count(*) FROM ledger_batches WHERE commit_id IS NOT NULL",
        );
        let last = yard.postgres.sql("fleet", sql);
        let enough = count.parse::<usize>().is_ok_and(|count| count >= batches);
        (enough && homes.iter().all(|home| main_of(home) == last)).then_some(())
    });
}

#[test]
fn two_orchestrators_share_the_work_and_one_ends_what_the_other_left() {
    let Some(yard) = Yard::start_or_report("two orchestrators") else {
        return;
    };
    let homes = [
        yard.orchestrator_called("north"),
        yard.orchestrator_called("south"),
    ];
    let [north, south] = &homes;
    yard.share_ledger_key(&homes);
    let infra_home = yard.agent("infrastructure", &[north, south]);
    let agent = infra(&infra_home);
    let mut bosses = homes.each_ref().map(|home| Some(orchestrator(home)));
    for home in &homes {
        wait_for_agents(home, 1);
    }

    // Each takes requests; what is asked at one is seen at the other.
    let mut asked = Vec::new();
    for home in &homes {
        for _ in 0..EACH {
            asked.push(chiffon(home).spawn(&["run", "ping localhost"]));
        }
    }
    for one in asked {
        one.wait(LONG).expect_code(0);
    }
    for home in &homes {
        let list = json_of(home, &["request", "list", "-n", "50", "--json"]);
        let items = list["items"].as_array().expect("a list").clone();
        assert_eq!(items.len(), 2 * EACH, "{list:#}");
        assert!(
            items.iter().all(|one| one["state"] == "completed"),
            "{list:#}"
        );
    }
    same_ledger(&yard, &[north, south], 1);

    // The one that writes the ledger dies in the middle of a change that was asked for at it.
    let scribe = holder(&yard, "scribe");
    let dies = usize::from(scribe.contains(":south:"));
    let (here, there) = (&homes[dies], &homes[1 - dies]);
    fs::write(yard.gate(), "").expect("a file");
    let mut waits = chiffon(here).spawn(&[
        "run",
        "stay on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LONG, || (yard.starts() == 1).then_some(()));
    let id = newest(there);
    let follows = chiffon(there).spawn(&["watch", &id]);
    let mut dead = bosses[dies].take().expect("it runs");
    dead.kill_9();
    waits.kill_9();
    fs::remove_file(yard.gate()).expect("it is there");
    follows.wait(LONG).expect_code(0);
    let shown = wait_until(there, &id, "its record", |shown| {
        !shown["ledger_commit"].is_null()
    });
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(yard.starts(), 1, "it ran twice");
    assert_ne!(holder(&yard, "scribe"), scribe, "the job was taken over");

    // It comes back, and has what was written without it.
    bosses[dies] = Some(orchestrator(here));
    same_ledger(&yard, &[north, south], 2);
    for home in &homes {
        chiffon(home).run(&["audit", "verify"]).expect_code(0);
    }
    let [a, b] = bosses.map(|boss| ends(boss.expect("it runs")));
    ends(agent);
    assert_eq!(holder(&yard, "scribe"), "", "it was given back");
    for log in [&a, &b] {
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
    }
}
