//! One orchestrator, one infrastructure agent and one desktop agent: a change from the question to the ledger, and an agent
//! that dies in the middle of one.

use std::fs;

use chiffon_tests::{Chiffon, git, wait_for};

use crate::yard::{
    LONG, Yard, chiffon, desktop, ends, infra, json_of, newest, orchestrator, wait_for_agents,
    wait_until,
};

#[test]
fn a_change_goes_through_all_of_them_and_an_agent_that_dies_tells_of_it() {
    let Some(yard) = Yard::start_or_report("one of each") else {
        return;
    };
    let home = yard.orchestrator();
    let infra_home = yard.agent("infrastructure", &[&home]);
    let desktop_home = yard.agent("desktop.here", &[&home]);
    // In the wrong order: agents wait for their orchestrator, which makes their queues.
    let mut agent = infra(&infra_home);
    let side = desktop(&desktop_home);
    let boss = orchestrator(&home);
    wait_for_agents(&home, 2);

    // From the question to the ledger.
    let target = home.scratch().join("motd");
    let sentence = format!(
        "write_file path={} content=hello on localhost",
        target.display()
    );
    chiffon(&home)
        .run(&["run", &sentence, "--yes=2", "--confirm", "localhost"])
        .expect_code(0);
    assert_eq!(
        fs::read_to_string(&target).expect("it was written"),
        "hello"
    );
    let shown = json_of(&home, &["request", "show", &newest(&home), "--json"]);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let log = git(
        &home.path().join("ledger"),
        &["log", "-1", "--format=%B", "main"],
    )
    .stdout;
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("Approver:"), "{log}");
    chiffon(&home).run(&["audit", "verify"]).expect_code(0);
    for (program, home) in [
        (Chiffon::orchestrator(&home), &home),
        (Chiffon::agent_infra(&infra_home), &infra_home),
        (Chiffon::agent_desktop(&desktop_home), &desktop_home),
    ] {
        let well = program.run(&["healthcheck"]).expect_code(0).stdout;
        assert!(
            well.starts_with("ok (pid "),
            "{well} in {}",
            home.path().display()
        );
    }

    // Killed in the middle of a change.
    fs::write(yard.gate(), "").expect("a file");
    let mut asked = chiffon(&home).spawn(&[
        "run",
        "stay on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LONG, || (yard.starts() == 1).then_some(()));
    agent.kill_9();
    let dead = Chiffon::agent_infra(&infra_home);
    wait_for("its death to be noticed", LONG, || {
        (dead.run(&["healthcheck"]).code() == Some(1)).then_some(())
    });
    let agent = infra(&infra_home);
    let id = newest(&home);
    let shown = wait_until(&home, &id, "the word on the interruption", |shown| {
        let decisions = shown["decisions"].as_array().into_iter().flatten();
        decisions
            .into_iter()
            .any(|one| one["kind"] == "interrupted" && one["state"] == "pending")
    });
    assert_eq!(shown["ended"], false, "{shown:#}");
    assert_eq!(yard.starts(), 1, "it ran twice unasked");
    asked.kill_9();
    fs::remove_file(yard.gate()).expect("it is there");
    chiffon(&home).run(&["answer", &id, "retry"]).expect_code(0);
    let shown = wait_until(&home, &id, "its end", |shown| shown["ended"] == true);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    assert_eq!(yard.starts(), 2);
    chiffon(&home).run(&["audit", "verify"]).expect_code(0);

    // In good order, and nothing in the logs is a body of a message.
    let logs = [ends(agent), ends(side), ends(boss)].concat();
    assert!(logs.lines().all(|line| line.starts_with('{')), "{logs}");
    assert!(!logs.contains("lapin"), "{logs}");
    let traced = logs
        .lines()
        .filter(|line| line.contains("\"trace.id\":") && line.contains("\"task.id\":"));
    assert!(traced.count() >= 3, "{logs}");
}
