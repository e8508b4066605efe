//! What is asked back, with the real program: at the prompt, through a pipe, and by the commands that answer.

use std::time::Duration;

use chiffon_common::Digest;
use chiffon_tests::{Pty, wait_for, without_codes};

use crate::fresh::{Fresh, LIMIT, id_of, json, newest, up};

fn unfinished(fresh: &Fresh) -> (std::path::PathBuf, String) {
    let target = fresh.home.scratch().join("motd");
    let sentence = format!("write_file path={} on localhost", target.display());
    (target, sentence)
}

#[test]
fn at_the_prompt_the_same_request_goes_on_and_all_of_its_plan_is_shown_on_demand() {
    let fresh = Fresh::new();
    let (target, sentence) = unfinished(&fresh);
    let chiffon = fresh.chiffon().env("TERM", "xterm");
    let command = chiffon.command(&["run", &sentence]);
    let Some(mut run) = Pty::start_or_report("a person at a terminal", &command) else {
        return;
    };
    run.wait_for("Your answer (nothing leaves it open):", 1, LIMIT);
    run.keys("nonsense=1\n");
    run.wait_for("declares no parameter", 1, LIMIT);
    run.wait_for("Your answer (nothing leaves it open):", 2, LIMIT);
    run.keys("content=hello\n");
    run.wait_for("Approve this plan? [y/N]", 1, LIMIT);
    assert!(!target.exists(), "it was written before it was approved");
    run.keys("a\n");
    run.wait_for("Approve this plan? [y/N]", 2, LIMIT);
    run.keys("d\n");
    run.wait_for("Approve this plan? [y/N]", 3, LIMIT);
    run.keys("y\n");
    let (code, shown) = run.wait(LIMIT);
    let shown = without_codes(&shown);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
    for wanted in [
        "asked back",
        "content=hello",
        "+hello",
        "write_file of the shipped",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let list = json(
        &fresh
            .run(&["request", "list", "--json"])
            .expect_code(0)
            .stdout,
    );
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list:#}");

    // Nothing typed leaves it open.
    let command = chiffon.command(&["run", &sentence]);
    let mut run = Pty::start_or_report("a person at a terminal", &command).unwrap();
    run.wait_for("Your answer (nothing leaves it open):", 1, LIMIT);
    run.keys("\n");
    let (code, shown) = run.wait(LIMIT);
    assert_eq!(code, Some(6), "{shown}");
    assert_eq!(newest(&fresh)["state"], "needs_input");
}

#[test]
fn without_a_prompt_the_command_that_answers_is_named_and_continues_the_request() {
    let fresh = Fresh::new();
    let (target, sentence) = unfinished(&fresh);
    let asks = fresh.run(&["run", &sentence]).expect_code(6);
    let id = id_of(&newest(&fresh));
    let command = format!("chiffon answer {id} content=...");
    assert!(asks.stderr.contains(&command), "{}", asks.stderr);
    let waiting = fresh.run(&["status"]).expect_code(0);
    assert!(
        waiting.stdout.contains("chiffon answer"),
        "{}",
        waiting.stdout
    );

    for (answer, code, words) in [
        ("", 2, "empty"),
        ("nonsense=1", 2, "declares no parameter"),
        ("content=\u{1b}[2J", 2, "control character"),
    ] {
        let refused = fresh.run(&["answer", &id, answer]).expect_code(code);
        assert!(
            refused.stderr.contains(words),
            "{answer:?}: {}",
            refused.stderr
        );
        assert!(!refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
    }
    let mute = fresh.run(&["answer", &id, "--no-input"]).expect_code(2);
    assert!(mute.stderr.contains("ANSWER"), "{}", mute.stderr);
    fresh.run(&["approve", &id, "--no-input"]).expect_code(6);

    let plan = fresh.run(&["answer", &id, "content=hello"]).expect_code(6);
    assert!(plan.stderr.contains("chiffon approve"), "{}", plan.stderr);
    let conflict = fresh.run(&["answer", &id, "content=hello"]).expect_code(5);
    assert!(
        conflict.stderr.contains("chiffon approve"),
        "{}",
        conflict.stderr
    );
    let shown = fresh.run(&["plan", "show", &id]).expect_code(0).stdout;
    assert!(
        shown.contains("answered") && shown.contains("content=hello"),
        "{shown}"
    );
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let plan = json(
        &fresh
            .run(&["plan", "show", &id, "--json"])
            .expect_code(0)
            .stdout,
    );
    let bytes = fresh
        .run(&["plan", "show", &id, "--bytes"])
        .expect_code(0)
        .stdout;
    let digest = Digest::of_bytes(bytes.as_bytes()).to_string();
    assert_eq!(plan["digest"], digest, "{bytes}");

    fresh
        .run(&["approve", &id, "--digest", &digest])
        .expect_code(0);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
}

#[test]
fn decisions_are_watched_shown_and_answered_by_their_ids() {
    let fresh = Fresh::new();
    let (target, sentence) = unfinished(&fresh);
    let mut up = up(&fresh);
    let first = fresh.run(&["run", &sentence]).expect_code(6);
    assert!(first.stderr.contains("chiffon answer"), "{}", first.stderr);
    let list = json(
        &fresh
            .run(&["decision", "list", "--json"])
            .expect_code(0)
            .stdout,
    );
    let decision = list["items"][0]["decision_id"].as_str().unwrap().to_owned();

    // The one that waits is told at once, then what becomes of it, then a new one.
    let mut watch = fresh
        .chiffon()
        .spawn(&["decision", "watch", "-o", "ndjson"]);
    watch.wait_for_line(&decision, LIMIT);
    let short = &decision[..13];
    for (args, code, words) in [
        (
            &["decision", "answer", short, "content=hello"][..],
            2,
            "one of",
        ),
        (&["decision", "answer", &decision, "--text", ""], 2, "empty"),
        (
            &["decision", "answer", "0199", "approve"],
            2,
            "no decision id",
        ),
        (
            &["decision", "answer", "ffffffff", "approve"],
            3,
            "No decision begins",
        ),
        (
            &[
                "decision",
                "answer",
                "0199e2f4-77a1-7c40-8000-000000000001",
                "x",
            ],
            3,
            "no decision",
        ),
        (
            &["decision", "show", "0199e2f4-77a1-7c40-8000-000000000001"],
            3,
            "no decision",
        ),
        (&["decision", "answer", &decision], 2, "CHOICE"),
        (&["decision", "watch", "--json"], 2, "ndjson"),
    ] {
        let refused = fresh.run(args).expect_code(code);
        assert!(
            refused.stderr.contains(words),
            "{args:?}: {}",
            refused.stderr
        );
    }
    let answer = [
        "decision",
        "answer",
        &decision,
        "--text",
        "content=hello",
        "--comment",
        "yes",
    ];
    fresh.run(&answer).expect_code(0);
    watch.wait_for_line("\"text\":\"content=hello\"", LIMIT);
    let again = fresh.run(&answer).expect_code(5);
    assert!(again.stderr.contains("answered before"), "{}", again.stderr);
    let shown = fresh
        .run(&["decision", "show", &decision])
        .expect_code(0)
        .stdout;
    for wanted in ["resolved", "\"content=hello\" by local:", "comment    yes"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }

    // The approval comes as a new one, with the same gate as `approve`.
    let line = watch.wait_for_line("\"kind\":\"approval\"", LIMIT);
    let approval = json(&line);
    let id = approval["decision_id"].as_str().unwrap();
    let digest = approval["digest"].as_str().unwrap();
    let refused = fresh.run(&["decision", "answer", id, "approve", "--no-input"]);
    assert!(refused.expect_code(2).stderr.contains("--digest"));
    let wrong = Digest::of_bytes(b"another plan").to_string();
    let refused = fresh.run(&["decision", "answer", id, "approve", "--digest", &wrong]);
    refused.expect_code(5);
    fresh
        .run(&["decision", "answer", id, "approve", "--digest", digest])
        .expect_code(0);
    watch.wait_for_line("\"choice\":\"approve\"", LIMIT);
    wait_for("the file", LIMIT, || target.exists().then_some(()));
    watch.interrupt();
    watch.wait(Duration::from_secs(30)).expect_code(130);
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
}

#[test]
fn who_says_forget_it_is_asked_no_more() {
    let fresh = Fresh::new();
    let (target, sentence) = unfinished(&fresh);
    fresh.run(&["run", &sentence]).expect_code(6);
    let id = id_of(&newest(&fresh));
    fresh.run(&["answer", &id, "forget it"]);
    assert_eq!(newest(&fresh)["state"], "cancelled");
    assert!(!target.exists());
}
