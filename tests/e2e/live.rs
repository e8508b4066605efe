//! What goes on: watching everything through every cut, and a conversation by pipe.

use std::{
    io::Write,
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use chiffon_tests::wait_for;
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, id_of, json, newest, up};

/// The line is cut by the worst that can happen to a fleet, and taken up again without a hole.
#[test]
fn watching_everything_survives_a_fleet_that_is_killed() {
    let fresh = Fresh::new();
    let alone = fresh.run(&["watch"]).expect_code(1);
    assert!(alone.stderr.contains("5806"), "{}", alone.stderr);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    fresh
        .home
        .write_config(&format!("http:\n  listen: {port}\n"));
    let start = || {
        let mut up = fresh.chiffon().spawn(&["up"]);
        up.wait_for_line("listen", LIMIT);
        up
    };
    let mut up = start();
    let mut watching = fresh
        .chiffon()
        .spawn(&["watch", "--after", "0", "-o", "ndjson"]);
    let people = [
        "watch", "--type", "request.", "--type", "reset", "--after", "0",
    ];
    let mut for_people = fresh.chiffon().spawn(&people);
    let first = fresh
        .run(&["run", "ping localhost", "--json"])
        .expect_code(0);
    watching.wait_for_line("request.completed", LIMIT);
    up.kill_9();
    watching.wait_for_line("cut", LIMIT);
    let mut up = start();
    let second = fresh
        .run(&["run", "ping localhost", "--json"])
        .expect_code(0);
    let second = id_of(&json(&second.stdout));
    let has_ended = |text: &str| {
        let mut lines = text
            .lines()
            .filter(|line| line.contains("request.completed"));
        lines.any(|line| line.contains(&second)).then_some(())
    };
    wait_for("the second end", LIMIT, || has_ended(&watching.stdout()));
    wait_for("the same for people", LIMIT, || {
        has_ended(&for_people.stdout())
    });
    let events: Vec<Value> = watching.stdout().lines().map(json).collect();
    let reset = events.iter().any(|event| event["type"] == "reset");
    let number = |event: &Value| -> u64 {
        let id = event["id"].as_str().unwrap();
        id.strip_prefix("evt-").unwrap().parse().unwrap()
    };
    let numbers: Vec<u64> = events.iter().map(number).collect();
    let last = *numbers.last().unwrap();
    assert!(
        reset || numbers == (1..=last).collect::<Vec<u64>>(),
        "{numbers:?}"
    );
    let told = for_people.stdout();
    assert!(told.contains(&id_of(&json(&first.stdout))), "{told}");
    assert!(!told.contains("bead."), "the filter let through: {told}");
    for running in [&mut watching, &mut for_people] {
        running.interrupt();
    }
    watching.wait(LIMIT).expect_code(130);
    for_people.wait(LIMIT).expect_code(130);
    let bad = fresh.run(&["watch", "--type", "Bead"]).expect_code(2);
    assert!(bad.stderr.contains("lower-case"), "{}", bad.stderr);
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
}

/// Nothing happens any more after the reader has gone, and still the program ends.
#[test]
fn watching_ends_with_its_reader_also_in_silence() {
    let fresh = Fresh::new();
    let _up = up(&fresh);
    let mut child = fresh
        .chiffon()
        .command(&["watch", "--type", "never."])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it did not watch at all"
    );
    drop(child.stdout.take());
    let gone = Instant::now();
    let status = wait_for("its end", Duration::from_secs(20), || {
        child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
    println!("it noticed after {:?}", gone.elapsed());
}

#[test]
fn a_conversation_by_pipe_asks_nobody_and_ends_as_its_worst_request() {
    let fresh = Fresh::new();
    let talk = |lines: &[u8], rest: &[&str]| {
        let mut command = fresh.chiffon().command(&[&["chat"], rest].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = talk(b"ping localhost\n\n/history\n", &["--room", "kitchen"]);
    let said = String::from_utf8_lossy(&good.stderr);
    assert_eq!(good.status.code(), Some(0), "{said}");
    assert!(
        said.contains("Room kitchen. Nothing has been asked"),
        "{said}"
    );
    assert!(said.contains("REQUEST"), "/history shows none: {said}");
    assert!(!said.contains("kitchen> "), "a prompt was shown: {said}");
    assert_eq!(newest(&fresh)["room_id"], "kitchen");

    let target = fresh.home.scratch().join("never");
    let lines = format!(
        "what is the meaning of life\nwrite_file path={} content=x on localhost\n/bogus\nping localhost",
        target.display()
    );
    let mixed = talk(lines.as_bytes(), &[]);
    let said = String::from_utf8_lossy(&mixed.stderr);
    // Not permitted is worse than waiting.
    assert_eq!(mixed.status.code(), Some(2), "{said}");
    for wanted in [
        "What comes near:",
        "Approve it: chiffon approve",
        "/help names",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(
        !said.contains("--yes"),
        "there is no such flag here: {said}"
    );
    assert!(!target.exists());
    let asked = newest(&fresh);
    let room = asked["room_id"].as_str().unwrap();
    assert!(room.starts_with("chat:"), "{room}");

    let documents = talk(
        b"ping localhost\n/quit\nping localhost\n",
        &["-o", "ndjson"],
    );
    assert_eq!(documents.status.code(), Some(0));
    let text = String::from_utf8(documents.stdout).unwrap();
    let last = text.lines().map(json).next_back().unwrap();
    assert_eq!(last["state"], "completed", "{text}");
    // Every line says which request it is about, and only the whole one of each holds its tasks.
    assert!(
        text.lines()
            .all(|line| json(line)["request_id"] == last["request_id"])
    );
    let ended = text.lines().filter(|line| json(line)["tasks"].is_array());
    assert_eq!(ended.count(), 1, "/quit was not heard: {text}");
    let waits = talk(format!("{lines}\n").replace("/bogus\n", "").as_bytes(), &[]);
    assert_eq!(waits.status.code(), Some(6));
    let bytes = talk(b"ping localhost\n\xff\xfe\n", &[]);
    assert_eq!(bytes.status.code(), Some(2));
}
