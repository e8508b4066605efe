//! The commands as programs and people meet them without a terminal.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use chiffon_tests::{Running, wait_for};
use serde_json::Value;

use crate::{
    fresh::{Fresh, LIMIT, metadata},
    shots,
};

const NOBODY: &str = "0199e2f4-77a1-7c40-8000-000000000001";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn up(fresh: &Fresh) -> Running {
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    up
}

/// The newest request, in a list.
fn newest(fresh: &Fresh) -> Value {
    let list = fresh.run(&["request", "list", "-n", "1", "--json"]);
    json(&list.expect_code(0).stdout)["items"][0].clone()
}

fn id_of(request: &Value) -> String {
    request["request_id"].as_str().unwrap().to_owned()
}

/// Asks for a change that then waits for an approval which never comes. The same path everywhere, so that its
/// length moves no column of a snapshot.
fn waiting_change(fresh: &Fresh) -> String {
    let change = "write_file path=/tmp/never-written content=hello on localhost";
    fresh.run(&["run", change, "--no-input"]).expect_code(6);
    id_of(&newest(fresh))
}

/// Every command that reads, with how it ends.
fn reading(id: &str) -> Vec<(Vec<&str>, i32)> {
    vec![
        (vec!["request", "list"], 0),
        (vec!["request", "show", id], 0),
        (vec!["plan", "show", id], 0),
        (vec!["decision", "list"], 0),
        (vec!["decision", "list", "--all", "--request", id], 0),
        (vec!["log"], 0),
        (vec!["audit", "verify"], 0),
        (vec!["catalogue", "list"], 0),
        (vec!["catalogue", "show", "ping"], 0),
        (vec!["catalogue", "check"], 0),
        (vec!["inventory", "show"], 0),
        (vec!["inventory", "check"], 0),
        (vec!["fleet"], 0),
        (vec!["status"], 0),
        (vec!["doctor"], 0),
        (vec!["config", "show", "--origin"], 0),
        (vec!["config", "validate"], 0),
        (vec!["explain", "5402"], 0),
        (vec!["version"], 0),
    ]
}

#[test]
fn every_reading_command_speaks_every_format_without_escape_codes() {
    let fresh = Fresh::new();
    let _up = up(&fresh);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let id = waiting_change(&fresh);
    for (command, code) in reading(&id) {
        for format in ["table", "json", "yaml", "ndjson"] {
            let with_format = [&command[..], &["-o", format]].concat();
            let chiffon = fresh.chiffon().env("NO_COLOR", "1").env("TERM", "dumb");
            let out = chiffon.run(&with_format).expect_code(code);
            let text = &out.stdout;
            assert!(!text.contains('\u{1b}'), "{with_format:?}: {text:?}");
            assert!(!out.stderr.contains('\u{1b}'), "{with_format:?}");
            match format {
                "json" => drop(json(text)),
                "ndjson" => text.lines().for_each(|line| drop(json(line))),
                "yaml" => {
                    let document = serde_yaml_ng::from_str::<Value>(text);
                    assert!(document.is_ok(), "{with_format:?}: {document:?}: {text}");
                }
                _ => assert!(!text.trim().is_empty(), "{with_format:?} says nothing"),
            }
        }
        let alias = fresh.run(&[&command[..], &["--json"]].concat()).stdout;
        json(&alias);
    }
    for stream in [vec!["watch"], vec!["audit", "export"], vec!["chat"]] {
        for format in ["json", "yaml"] {
            let refused = fresh.run(&[&stream[..], &["-o", format]].concat());
            let refused = refused.expect_code(2);
            assert!(refused.stderr.contains("ndjson"), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fresh = Fresh::new();
    let _up = up(&fresh);
    let id = waiting_change(&fresh);
    let mut commands: Vec<Vec<&str>> = reading(&id).into_iter().map(|one| one.0).collect();
    commands.push(vec!["audit", "export"]);
    commands.push(vec!["watch", "--after", "0"]);
    commands.push(vec!["watch", "--after", "0", "-o", "ndjson"]);
    for command in commands {
        // Gone after a line, and gone before anything was said.
        for lines in [1, 0] {
            let mut child = fresh.chiffon().command(&command).spawn().unwrap();
            let mut read = BufReader::new(child.stdout.take().unwrap());
            for _ in 0..lines {
                read.read_line(&mut String::new()).unwrap();
            }
            drop(read);
            let out = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr);
            assert_eq!(out.status.code(), Some(0), "{command:?}: {said}");
            assert!(!said.contains("panicked"), "{command:?}: {said}");
        }
    }
}

/// With a standard input that is no terminal and never ends, nothing may wait for it.
#[test]
fn nothing_asks_where_nobody_can_answer_and_the_missing_flag_is_named() {
    let fresh =
        Fresh::with_hosts("    box:\n      ansible_host: 127.0.0.1\n      ansible_port: 1\n");
    let _up = up(&fresh);
    let id = waiting_change(&fresh);
    let change = ["run", "write_file path=/tmp/x content=x on localhost"];
    let entry = ["catalogue", "run", "write_file", "path=/tmp/x", "content=x"];
    let on = ["--on", "localhost"];
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (change.to_vec(), 6, "--yes"),
        ([&entry[..], &on[..]].concat(), 6, "--yes"),
        (vec!["approve", &id], 2, "--digest"),
        (vec!["watch", &id], 6, "--digest"),
        (vec!["request", "retry", NOBODY], 3, "request list"),
        (vec!["inventory", "trust", "box"], 1, ""),
        (vec!["approve", NOBODY], 3, "request list"),
        (vec!["reject", NOBODY], 3, "request list"),
        (vec!["ask", "ping localhost"], 0, ""),
        (vec!["status"], 0, ""),
    ];
    for (command, code, flag) in cases {
        for no_input in [&["--no-input"][..], &[]] {
            let command = [&command[..], no_input].concat();
            let mut process = fresh.chiffon().command(&command);
            let mut child = process.stdin(Stdio::piped()).spawn().unwrap();
            let held_open = child.stdin.take();
            let out = child.wait_with_output().unwrap();
            drop(held_open);
            let said = String::from_utf8_lossy(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{command:?}: {said}");
            assert!(said.contains(flag), "{command:?}: {said}");
        }
    }
}

#[test]
fn the_main_outputs_through_a_pipe() {
    let fresh = Fresh::new();
    let _up = up(&fresh);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let id = waiting_change(&fresh);
    let shown = |name: &str, command: &[&str], code: i32| {
        let out = fresh.run(command).expect_code(code);
        shots::hold(name, &format!("{}--- stderr\n{}", out.stdout, out.stderr));
    };
    shown("pipe_plan", &["plan", "show", &id], 0);
    shown("pipe_request", &["request", "show", &id], 0);
    shown("pipe_requests", &["request", "list"], 0);
    shown("pipe_decisions", &["decision", "list"], 0);
    shown("pipe_ask", &["ask", "ping localhost"], 0);
    shown("pipe_inventory", &["inventory", "check"], 0);
    shown("pipe_not_found", &["request", "show", NOBODY], 3);
    shown("pipe_usage", &["request", "list", "--colour"], 2);
    shown("pipe_approve", &["approve", &id], 2);
    let run = [
        "catalogue",
        "run",
        "ping",
        "colour=blue",
        "--on",
        "localhost",
    ];
    shown("pipe_parameter", &run, 2);
    let error = fresh.run(&[&run[..], &["--json"]].concat()).expect_code(2);
    let error = &json(&error.stderr)["error"];
    assert_eq!(error["errors"][0]["pointer"], "/parameters/colour");
    assert_eq!(error["exit_code"], 2);
}

#[test]
fn ask_comes_back_at_once_and_what_is_kept_goes_on_later() {
    let fresh = Fresh::new();
    let kept = fresh.run(&["ask", "ping localhost", "--room", "kitchen", "--json"]);
    let kept = kept.expect_code(0);
    assert!(kept.stderr.contains("is kept"), "{}", kept.stderr);
    let id = id_of(&json(&kept.stdout));
    assert_eq!(json(&kept.stdout)["state"], "received");
    let asked = newest(&fresh);
    assert_eq!(
        (&asked["room_id"], &asked["ended"]),
        (&"kitchen".into(), &false.into())
    );
    fresh.run(&["watch", &id]).expect_code(0);

    let mut up = up(&fresh);
    let mut from_input = fresh
        .chiffon()
        .command(&["ask", "-", "--idempotency-key", "k1"]);
    let mut child = from_input.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"ping localhost\n")
        .unwrap();
    let first = child.wait_with_output().unwrap();
    let first = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.contains("Watch it: chiffon watch"), "{first}");
    let again = fresh.run(&["ask", "ping localhost", "--idempotency-key", "k1", "--json"]);
    let again = again.expect_code(0);
    assert!(!again.stderr.contains("kept"), "{}", again.stderr);
    let id = id_of(&json(&again.stdout));
    assert!(first.contains(&id), "another request: {first}");
    let other = fresh.run(&["ask", "ping nowhere", "--idempotency-key", "k1"]);
    assert!(other.expect_code(2).stderr.contains("chiffon explain"));
    wait_for("its end", LIMIT, || {
        let shown = fresh.run(&["request", "show", &id, "--json"]).stdout;
        (json(&shown)["state"] == "completed").then_some(())
    });
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
    fresh.run(&["ask", "", "--room", "a b"]).expect_code(2);
}

#[test]
fn an_entry_is_started_with_parameters_from_the_line_and_from_a_file() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("from-file");
    let file = fresh.home.scratch().join("parameters.yml");
    let text = format!("path: {}\ncontent: of the file\n", target.display());
    fs::write(&file, text).unwrap();
    let run = |rest: &[&str]| {
        let base = [
            "catalogue",
            "run",
            "write_file",
            "--on",
            "localhost",
            "--parameters",
        ];
        fresh.run(&[&base[..], &[file.to_str().unwrap()], rest].concat())
    };
    // A dry run is closed, whatever is agreed to beforehand, and changes nothing.
    let planned = run(&["--dry-run", "--yes"]).expect_code(0);
    assert!(
        planned.stdout.contains("+of the file"),
        "{}",
        planned.stdout
    );
    assert!(
        planned.stderr.contains("nothing was changed"),
        "{}",
        planned.stderr
    );
    let closed = newest(&fresh);
    assert_eq!(closed["state"], "rejected");
    let shown = fresh
        .run(&["request", "show", &id_of(&closed)])
        .expect_code(0);
    assert!(shown.stdout.contains("a dry run"), "{}", shown.stdout);
    assert!(!target.exists(), "the dry run changed something");

    let done = run(&["content=of the line", "--yes", "--project", "lab"]).expect_code(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "of the line");
    assert!(done.stdout.contains("ledger"), "{}", done.stdout);
    let request = newest(&fresh);
    assert_eq!(request["project_id"], "lab");

    // The same again is another request, with its own plan: there is nothing left to do.
    let again = fresh
        .run(&["request", "retry", &id_of(&request), "--yes"])
        .expect_code(0);
    assert!(again.stdout.contains("completed"), "{}", again.stdout);
    assert_eq!(newest(&fresh)["retry_of"], request["request_id"]);
    let open = waiting_change(&fresh);
    let refused = fresh.run(&["request", "retry", &open]).expect_code(5);
    assert!(
        refused.stderr.contains("has not ended"),
        "{}",
        refused.stderr
    );

    let bad = run(&["mode=rwx", "owner:=[1]", "colour=blue"]).expect_code(2);
    for wanted in [
        "/parameters/owner",
        "/parameters/colour",
        "catalogue show write_file",
    ] {
        assert!(bad.stderr.contains(wanted), "{wanted}: {}", bad.stderr);
    }
    for (arguments, code, said) in [
        (&["catalogue", "run", "pingg"][..], 3, "did you mean ping?"),
        (
            &["catalogue", "run", "ping", "--on", "nowhere"],
            2,
            "nowhere",
        ),
        (&["catalogue", "run", "ping", "colour"], 2, "NAME=TEXT"),
        (
            &["catalogue", "run", "ping", "--parameters", "/none.yml"],
            2,
            "/none.yml",
        ),
        (&["catalogue", "run", "\u{1b}[2J"], 3, "\\u{1b}[2J"),
    ] {
        let refused = fresh.run(arguments).expect_code(code);
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        assert!(!refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
    }
}

#[test]
fn a_dry_run_of_a_sentence_plans_only_and_what_only_reads_runs() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("never");
    let change = format!("write \"x\" to {} on this machine", target.display());
    let planned = fresh
        .run(&["run", &change, "--dry-run", "--json"])
        .expect_code(0);
    let planned = json(&planned.stdout);
    assert_eq!(planned["state"], "rejected");
    assert!(planned["plan"]["digest"].is_string(), "{planned:#}");
    assert!(!target.exists());
    let read = fresh
        .run(&["run", "ping localhost", "--dry-run"])
        .expect_code(0);
    assert!(read.stdout.contains("localhost answers"), "{}", read.stdout);
}

#[test]
fn an_export_holds_every_record_and_writes_over_nothing() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let file = fresh.home.scratch().join("audit.ndjson");
    let export = ["audit", "export", "--out", file.to_str().unwrap()];
    let told = fresh.run(&export).expect_code(0);
    let verified = fresh.run(&["audit", "verify", "--json"]).expect_code(0);
    let count = json(&verified.stdout)["records"].as_u64().unwrap();
    let records: Vec<Value> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(json)
        .collect();
    let numbers: Vec<u64> = records
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
    let wanted = format!("{count} records, the last is number {count}.");
    assert!(told.stderr.contains(&wanted), "{}", told.stderr);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    fresh.run(&export).expect_code(5);
    assert_eq!(fs::read(&file).unwrap(), before);

    let after = (count - 3).to_string();
    let tail = fresh
        .run(&["audit", "export", "--after", &after])
        .expect_code(0);
    assert_eq!(tail.stdout.lines().count(), 3);
    let none = fresh
        .run(&["audit", "export", "--after", "999999"])
        .expect_code(0);
    assert!(
        none.stdout.is_empty() && none.stderr.contains("No records"),
        "{none:?}"
    );
    let nowhere = fresh.home.scratch().join("none/x");
    let nowhere = ["audit", "export", "--out", nowhere.to_str().unwrap()];
    fresh.run(&nowhere).expect_code(1);
}

#[test]
fn a_paused_agent_gets_no_work_until_it_is_resumed() {
    let fresh = Fresh::new();
    let mut up = up(&fresh);
    let status = || {
        let fleet = json(&fresh.run(&["fleet", "--json"]).expect_code(0).stdout);
        let agents = fleet["items"].as_array().unwrap().clone();
        let infra = agents
            .iter()
            .find(|one| one["agent_id"] == "infrastructure");
        infra.unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(), "active");
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    // Said twice is said once.
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    assert_eq!(status(), "inactive");
    let mut run = fresh.chiffon().spawn(&["run", "ping localhost"]);
    run.wait_for_line("waits for an agent", LIMIT);
    assert!(run.is_running());
    let resumed = fresh
        .run(&["fleet", "resume", "infrastructure"])
        .expect_code(0);
    assert!(resumed.stdout.contains("gets work"), "{}", resumed.stdout);
    run.wait(LIMIT).expect_code(0);
    fresh.run(&["fleet", "pause", "nobody"]).expect_code(3);
    let table = fresh.run(&["fleet"]).expect_code(0).stdout;
    for wanted in [
        "infrastructure",
        "desktop.",
        "CPU",
        "MEMORY",
        "DISKS",
        "GiB",
    ] {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
    let ended = fresh.run(&["fleet"]).expect_code(0);
    assert!(ended.stderr.contains("No fleet runs"), "{}", ended.stderr);
}

#[test]
fn an_inventory_that_does_not_fit_is_named_with_every_fault() {
    let good = Fresh::new();
    let fine = good.run(&["inventory", "check"]).expect_code(0);
    assert!(fine.stdout.contains("Nothing is wrong"), "{}", fine.stdout);
    let fresh = Fresh::with_hosts(
        "    nas:\n      ansible_host: nas.lan\n    web:\n      ansible_host: \"{{ somewhere }}\"\n",
    );
    let checked = fresh.run(&["inventory", "check"]).expect_code(1);
    for wanted in ["chiffon inventory trust nas", "web", "2 faults."] {
        assert!(
            checked.stdout.contains(wanted),
            "{wanted}: {}",
            checked.stdout
        );
    }
    let told = fresh.run(&["inventory", "check", "--json"]).expect_code(1);
    let told = json(&told.stdout);
    assert_eq!((&told["valid"], &told["hosts"]), (&false.into(), &3.into()));
    assert_eq!(told["faults"][0]["host"], "nas");
    fresh
        .home
        .write_inventory("hosts.yml", "all:\n  hosts: [\n");
    let broken = fresh
        .run(&["inventory", "check", "-o", "ndjson"])
        .expect_code(1);
    let broken = json(broken.stdout.lines().next().unwrap());
    assert!(
        broken["host"].is_null() && broken["code"].is_number(),
        "{broken}"
    );
}

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
    let last = text.lines().map(json).last().unwrap();
    assert_eq!(last["state"], "completed", "{text}");
    let ended = text
        .lines()
        .filter(|line| json(line)["request_id"].is_string());
    assert_eq!(ended.count(), 1, "/quit was not heard: {text}");
    let waits = talk(format!("{lines}\n").replace("/bogus\n", "").as_bytes(), &[]);
    assert_eq!(waits.status.code(), Some(6));
    let bytes = talk(b"ping localhost\n\xff\xfe\n", &[]);
    assert_eq!(bytes.status.code(), Some(2));
}

#[test]
fn escape_codes_from_outside_are_shown_and_never_obeyed() {
    let fresh = Fresh::with_hosts(
        "    evil:\n      ansible_connection: local\n      chiffon_aliases: [\"a\\e[2Jb\"]\n",
    );
    let tasks = "- name: \"Say \\e[2Jit\"\n  ansible.builtin.debug:\n    msg: \"\\e[31mred\\e]0;title\\a\"\n- name: Answer\n  ansible.builtin.set_stats:\n    data:\n      chiffon_answer: \"\\e[2Jgone\"\n    per_host: true\n    aggregate: false\n";
    fresh.entry("shout", &metadata(60, "ask"), tasks);
    let _up = up(&fresh);
    let mut watching = fresh.chiffon().spawn(&["watch", "--after", "0"]);
    let shouted = fresh
        .run(&["run", "shout on evil", "--yes=2"])
        .expect_code(0);
    assert!(
        shouted.stdout.contains("\\u{1b}[2Jgone"),
        "{}",
        shouted.stdout
    );
    let id = id_of(&newest(&fresh));
    watching.wait_for_line("request.completed", LIMIT);
    assert!(!watching.stdout().contains('\u{1b}'), "watch obeys");
    assert!(
        watching.stdout().contains("\\u{1b}["),
        "{}",
        watching.stdout()
    );
    for (command, code, said) in [
        (&["request", "show", &id][..], 0, "\\u{1b}[2Jgone"),
        (&["inventory", "show"], 0, "a\\u{1b}[2Jb"),
        (&["watch", &id], 0, "\\u{1b}[2J"),
        (&["run", "x", "--project", "\u{1b}[2J"], 2, "--project"),
        (&["ask", "\u{1b}[2J"], 2, "5008"),
        (&["request", "show", "\u{1b}[2J"], 2, "\\u{1b}"),
        (&["request", "list", "--cursor", "\u{1b}[2J"], 2, "cursor"),
        (&["fleet", "pause", "\u{1b}[2J"], 3, "AgentId"),
        (&["catalogue", "show", "\u{1b}[2J"], 3, "[2J"),
        (&["inventory", "trust", "\u{1b}[2J"], 2, "\\u{1b}"),
        (&["plan", "show", &id], 0, "shout"),
    ] {
        let out = fresh.run(command).expect_code(code);
        let all = format!("{}{}", out.stdout, out.stderr);
        assert!(all.contains(said), "{command:?}: {all}");
        assert!(!all.contains('\u{1b}'), "{command:?}: {all:?}");
    }
    shots::hold("pipe_shouted", &shouted.stdout);
}

/// A command that needs several answers is slower then, and not refused.
#[test]
fn a_limit_of_the_server_is_waited_out() {
    let fresh = Fresh::new();
    fresh
        .home
        .write_config("http:\n  requests_per_second: 1\n  burst: 1\n");
    let _up = up(&fresh);
    let begun = Instant::now();
    let status = fresh.run(&["status"]).expect_code(0);
    assert!(
        status.stdout.contains("No open requests"),
        "{}",
        status.stdout
    );
    println!("status took {:?}", begun.elapsed());
    assert!(
        begun.elapsed() > Duration::from_secs(1),
        "there was no limit"
    );
}
