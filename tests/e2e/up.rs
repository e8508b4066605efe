//! `chiffon up`: one a data folder, used by the other commands, ended in good order.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use chiffon_tests::wait_for;

use crate::fresh::{Fresh, LIMIT, metadata};

#[test]
fn up_is_ready_refuses_a_second_serves_run_and_drains() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let begun = Instant::now();
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    println!("up was ready after {:?}", begun.elapsed());

    let second = fresh.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code(), Some(5), "{}", second.stderr);
    assert!(
        second.stderr.contains("5804") && second.stderr.contains(&up.pid().to_string()),
        "{}",
        second.stderr
    );

    fresh.run(&["run", "ping localhost"]).expect_code(0);
    fresh.run(&["status"]).expect_code(0);
    up.interrupt();
    let ended = up.wait(Duration::from_secs(60));
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert!(
        !fresh.home.path().join("up.json").exists(),
        "the address file stayed"
    );
    fresh.run(&["run", "ping localhost"]).expect_code(0);
}

#[test]
fn a_port_in_use_is_named() {
    let fresh = Fresh::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = fresh.run(&["up", "--listen", &address]);
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("5805") && refused.stderr.contains(&address),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_api_wants_its_token_and_its_own_host_name() {
    let fresh = Fresh::new();
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let about: serde_json::Value =
        serde_json::from_str(&fresh.home.read("up.json").unwrap()).unwrap();
    let address = about["address"].as_str().unwrap().to_owned();
    let token = fresh.home.read("token").unwrap().trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let url = format!("http://{address}/health");
        let status = |request: reqwest::RequestBuilder| async {
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(status(client.get(&url)).await, 401);
        assert_eq!(status(client.get(&url).bearer_auth("chf_wrong")).await, 401);
        assert_eq!(
            status(
                client
                    .get(&url)
                    .bearer_auth(&token)
                    .header("Host", "evil.example")
            )
            .await,
            403
        );
        assert_eq!(status(client.get(&url).bearer_auth(&token)).await, 200);
        let request = client
            .post(format!("http://{address}/request"))
            .bearer_auth(&token);
        let sent = request
            .json(&serde_json::json!({ "text": "ping localhost" }))
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status().as_u16(), 202);
        let accepted: serde_json::Value = sent.json().await.unwrap();
        assert!(accepted["request_id"].is_string(), "{accepted}");
    });
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}

#[test]
fn a_drain_lets_the_run_end_and_its_client_hear_of_it() {
    let fresh = Fresh::new();
    let marker = fresh.home.scratch().join("begun");
    let tasks = format!(
        "- name: Take a moment\n  ansible.builtin.shell: echo begun >> {} && sleep 4\n  changed_when: true\n",
        marker.display()
    );
    fresh.entry("moment", &metadata(60, "ask"), &tasks);
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let client = fresh.chiffon().spawn(&[
        "run",
        "moment on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LIMIT, || marker.exists().then_some(()));
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
    let ended = client.wait(LIMIT);
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    let listed = fresh.run(&["request", "list", "--json"]).expect_code(0);
    assert!(
        listed.stdout.contains("\"completed\"") && !listed.stdout.contains("\"running\""),
        "{}",
        listed.stdout
    );
    let begun = std::fs::read_to_string(&marker).unwrap();
    assert_eq!(begun.lines().count(), 1, "it ran twice");
}

#[test]
fn up_waits_for_a_command_that_ends_by_itself() {
    let fresh = Fresh::new();
    let begun = fresh.home.scratch().join("begun");
    let tasks = format!(
        "- name: Take a moment\n  ansible.builtin.shell: echo begun >> {} && sleep 2\n  changed_when: true\n",
        begun.display()
    );
    fresh.entry("moment", &metadata(60, "ask"), &tasks);
    let running = fresh.chiffon().spawn(&[
        "run",
        "moment on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LIMIT, || begun.exists().then_some(()));
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("Chiffon listens", LIMIT);
    let ended = running.wait(LIMIT);
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}
