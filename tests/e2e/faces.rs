//! Every command as programs meet it: without a terminal, in every format, through pipes.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    fresh::{Fresh, LIMIT, id_of, json, metadata, newest, up, waiting_change},
    shots,
};

const NOBODY: &str = "0199e2f4-77a1-7c40-8000-000000000001";

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
        (&["request", "show", "\u{1b}[2J"], 3, "\\u{1b}"),
        (&["request", "list", "--cursor", "\u{1b}[2J"], 2, "cursor"),
        (&["fleet", "pause", "\u{1b}[2J"], 3, "an agent id"),
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
