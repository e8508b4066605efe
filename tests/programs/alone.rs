//! What a program does while what it needs is not there, or not as it must be.

use std::time::Duration;

use chiffon_tests::{Chiffon, wait_for};

use crate::yard::{LONG, Yard, chiffon, ends, infra, key_of, private, wait_for_agents};

/// Lines of a log that say this.
fn lines(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn what_is_not_there_yet_is_waited_for_and_a_wrong_password_is_told_once() {
    let Some(mut yard) = Yard::start_or_report("what is not there yet") else {
        return;
    };
    let home = yard.orchestrator();
    let agent_home = yard.agent("infrastructure", &[&home]);
    yard.rabbit.kill();
    yard.postgres.kill();

    let mut agent = infra(&agent_home);
    let mut boss = Chiffon::orchestrator(&home).spawn(&["run"]);
    boss.wait_for_line("It is tried again until it is there", LONG);
    boss.wait_for_line("no connection to the broker", LONG);
    agent.wait_for_line("no connection to the broker", LONG);
    let ill = Chiffon::agent_infra(&agent_home).run(&["healthcheck"]);
    assert!(ill.expect_code(1).stdout.contains("the broker"));
    let check = Chiffon::orchestrator(&home);
    let told = wait_for("both to be told", LONG, || {
        let told = check.run(&["healthcheck"]).expect_code(1).stdout;
        told.contains("store.url").then_some(told)
    });
    assert!(told.contains("the broker"), "{told}");

    // With the database it works, and takes what it is asked for while there is no broker.
    yard.postgres.start();
    boss.wait_for_line("the orchestrator listens", LONG);
    let asked = chiffon(&home).spawn(&["run", "ping localhost"]);
    yard.rabbit.start();
    wait_for_agents(&home, 1);
    asked.wait(LONG).expect_code(0);
    assert!(boss.is_running() && agent.is_running());
    let logs = [ends(agent), ends(boss)];
    for log in &logs {
        assert!(lines(log, "no connection to the broker") <= 2, "{log}");
    }
    assert_eq!(
        lines(&logs[1], "It is tried again until it is there"),
        1,
        "{}",
        logs[1]
    );

    // A wrong password.
    let url = yard
        .rabbit
        .url_at(yard.rabbit.port(), "infrastructure", "fleet", "wrong");
    agent_home.write_config(&format!("bus:\n  url: {url}\n"));
    let mut agent = infra(&agent_home);
    let line = agent.wait_for_line("refuses the user", LONG);
    assert!(
        line.contains("infrastructure") && !line.contains("wrong"),
        "{line}"
    );
    std::thread::sleep(Duration::from_secs(1));
    let log = ends(agent);
    assert_eq!(lines(&log, "no connection to the broker"), 1, "{log}");

    // The right one, in a file of its own.
    let url = url.replace(":wrong@", "@");
    let password = agent_home.write("password", &format!("{}\n", yard.rabbit.password()));
    let config = format!(
        "bus:\n  url: {url}\n  password_file: {}\n",
        password.display()
    );
    agent_home.write_config(&config);
    let refused = Chiffon::agent_infra(&agent_home)
        .run(&["run"])
        .expect_code(2);
    assert!(
        refused.stderr.contains("open to others"),
        "{}",
        refused.stderr
    );
    private(&password);
    let agent = infra(&agent_home);
    wait_for("the broker to let it in", LONG, || {
        let well = Chiffon::agent_infra(&agent_home).run(&["healthcheck"]);
        (well.code() == Some(0)).then_some(())
    });
    ends(agent);
}

#[test]
fn what_is_not_permitted_is_told_and_nothing_is_begun() {
    let home = chiffon_tests::Home::new();
    let run = |program: Chiffon, config: &str, says: &str| {
        home.write_config(config);
        let said = program.run(&["run"]).expect_code(2);
        assert!(said.stderr.contains(says), "{}", said.stderr);
    };
    let infra = || Chiffon::agent_infra(&home);
    let boss = || Chiffon::orchestrator(&home);
    run(boss(), "", "bus.url is not set");
    run(infra(), "", "orchestrators.pub");
    home.write("keys/orchestrators.pub", &key_of(&home));
    run(infra(), "", "bus.url is not set");
    run(infra(), "bus:\n  url: http://x\n", "bus.url in");
    run(
        infra(),
        "bus:\n  url: amqp://guest@x\n",
        "no name of such an agent",
    );
    run(
        infra(),
        "bus:\n  ca_file: /x\n",
        "bus.ca_file is set, and bus.url is not",
    );
    run(
        infra(),
        "bus:\n  ulr: amqp://guest@x\n",
        "Did you mean bus.url?",
    );
    let desktop = Chiffon::agent_desktop(&home);
    run(desktop, "bus:\n  url: amqp://desktop@x\n", "desktop.NAME");
    let secret = infra().run(&["run", "--set", "bus.url=amqp://infrastructure:x@y"]);
    assert!(secret.expect_code(2).stderr.contains("may hold a secret"));
    // The command line starts no fleet of its own beside that of several programs.
    home.write_config("bus:\n  url: amqp://orchestrator@127.0.0.1:1\n");
    let refused = chiffon(&home).run(&["status"]);
    assert!(
        refused.stderr.contains("chiffon-orchestrator"),
        "{}",
        refused.stderr
    );
    assert!(
        infra()
            .run(&["healthcheck"])
            .expect_code(1)
            .stdout
            .contains("does not run")
    );
    let version = boss().run(&["--version"]).expect_code(0).stdout;
    assert!(version.starts_with("chiffon-orchestrator "), "{version}");
    let keys = infra();
    home.write_config("bus:\n  url: amqp://infrastructure@127.0.0.1:1\n");
    assert_eq!(keys.run(&["keys"]).expect_code(0).stdout.lines().count(), 1);
}
