//! At a terminal: colours, prompts, the conversation of `chiffon chat`, and the keys that end it.

use std::time::Duration;

use chiffon_tests::{Chiffon, Pty, without_codes};
use serde_json::Value;

use crate::{
    fresh::{Fresh, LIMIT},
    shots,
};

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

/// The program at a terminal that knows colours.
fn at_terminal(chiffon: Chiffon, args: &[&str]) -> Option<Pty> {
    let chiffon = chiffon.env("TERM", "xterm-256color").env("NO_COLOR", "");
    Pty::start_or_report("a person at a terminal", &chiffon.command(args))
}

fn newest(fresh: &Fresh) -> Value {
    let list = fresh.run(&["request", "list", "-n", "1", "--json"]);
    let list: Value = serde_json::from_str(&list.expect_code(0).stdout).unwrap();
    list["items"][0].clone()
}

#[test]
fn the_main_outputs_at_a_terminal_are_painted_unless_somebody_said_no() {
    let fresh = Fresh::new();
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let change = "write_file path=/tmp/never-written content=hello on localhost";
    fresh.run(&["run", change, "--no-input"]).expect_code(6);
    let id = newest(&fresh)["request_id"].as_str().unwrap().to_owned();
    let nobody = "0199e2f4-77a1-7c40-8000-000000000001";
    for (name, args, code) in [
        ("terminal_plan", &["plan", "show", &id][..], 0),
        ("terminal_requests", &["request", "list"], 0),
        ("terminal_decisions", &["decision", "list"], 0),
        ("terminal_inventory", &["inventory", "check"], 0),
        ("terminal_entry", &["catalogue", "show", "ping"], 0),
        ("terminal_not_found", &["request", "show", nobody], 3),
    ] {
        let Some(pty) = at_terminal(fresh.chiffon(), args) else {
            return;
        };
        let (ended, shown) = pty.wait(LIMIT);
        assert_eq!(ended, Some(code), "{args:?}: {shown}");
        assert!(
            shown.contains('\u{1b}'),
            "{args:?} has no colours: {shown:?}"
        );
        shots::hold(name, &shown);
        let plain = without_codes(&shown);
        for against in [
            ("NO_COLOR", "1"),
            ("CHIFFON_NO_COLOR", "1"),
            ("TERM", "dumb"),
        ] {
            let chiffon = fresh
                .chiffon()
                .env("TERM", "xterm")
                .env(against.0, against.1);
            let pty = Pty::start_or_report("a plain terminal", &chiffon.command(args)).unwrap();
            let (_, shown) = pty.wait(LIMIT);
            assert!(!shown.contains('\u{1b}'), "{against:?} {args:?}: {shown:?}");
            assert_eq!(shown.replace('\r', ""), plain, "{against:?} {args:?}");
        }
    }
}

#[test]
fn a_plan_is_approved_at_the_prompt_and_the_step_is_seen() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("motd");
    let change = format!(
        "write_file path={} content=hello on localhost",
        target.display()
    );
    let Some(mut run) = at_terminal(fresh.chiffon(), &["run", &change]) else {
        return;
    };
    run.wait_for("Approve this plan? [y/N]", 1, LIMIT);
    assert!(!target.exists(), "it was written before it was approved");
    run.keys("y\n");
    let (code, shown) = run.wait(LIMIT);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
    let text = without_codes(&shown);
    for wanted in ["100 %", "localhost: changed", "completed", "ledger"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }

    let mut run = at_terminal(fresh.chiffon(), &["run", &change.replace("hello", "bye")]).unwrap();
    run.wait_for("Approve this plan? [y/N]", 1, LIMIT);
    run.keys(CTRL_C);
    let (code, shown) = run.wait(LIMIT);
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(newest(&fresh)["state"], "cancelled");
    let late = ["run", &change.replace("hello", "late"), "--timeout", "8"];
    let mut run = at_terminal(fresh.chiffon(), &late).unwrap();
    run.wait_for("Approve this plan? [y/N]", 1, LIMIT);
    let (code, shown) = run.wait(LIMIT);
    assert_eq!(code, Some(8), "{shown}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
}

#[test]
fn a_conversation_takes_lines_asks_for_approval_and_tells_what_others_did() {
    let fresh = Fresh::new();
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let Some(mut chat) = at_terminal(fresh.chiffon(), &["chat", "--room", "kitchen"]) else {
        return;
    };
    chat.wait_for("kitchen> ", 1, LIMIT);
    chat.keys("/help\r");
    chat.wait_for("/cancel ID", 1, LIMIT);
    chat.wait_for("kitchen> ", 2, LIMIT);
    chat.keys("ping localhost\r");
    chat.wait_for("localhost answers.", 1, LIMIT);
    chat.wait_for("ledger", 1, LIMIT);

    let target = fresh.home.scratch().join("motd");
    chat.keys(&format!(
        "write_file path={} content=hello on localhost\r",
        target.display()
    ));
    chat.wait_for("Approve this plan? [y/N]", 1, LIMIT);
    chat.keys("y\n");
    chat.wait_for("ledger", 2, LIMIT);
    assert!(target.exists());

    // Somebody else asks in the same room; between two lines it is told.
    fresh
        .run(&["run", "ping localhost", "--room", "kitchen"])
        .expect_code(0);
    chat.keys("what is the meaning of life\r");
    chat.wait_for("What comes near:", 1, LIMIT);
    chat.wait_for("has asked \"ping localhost\": completed", 1, LIMIT);

    // Ctrl-C stops the following, and comes back to the prompt.
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    chat.keys("ping localhost\r");
    chat.wait_for("waits for an agent", 1, LIMIT);
    chat.keys(CTRL_C);
    chat.wait_for("goes on without you", 1, LIMIT);
    let id = newest(&fresh)["request_id"].as_str().unwrap().to_owned();
    chat.keys(&format!("/cancel {id}\r"));
    chat.wait_for(&format!("Request {id} is cancelled"), 1, LIMIT);
    chat.keys(CTRL_D);
    let (code, shown) = chat.wait(LIMIT);
    assert_eq!(code, Some(0), "{}", without_codes(&shown));
}

#[test]
fn the_keys_that_end_a_conversation() {
    let fresh = Fresh::new();
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    for (keys, code) in [
        (CTRL_C, 130),
        ("half a line\u{3}", 130),
        (CTRL_D, 0),
        ("/quit\r", 0),
    ] {
        let Some(mut chat) = at_terminal(fresh.chiffon(), &["chat"]) else {
            return;
        };
        chat.wait_for("> ", 1, LIMIT);
        chat.keys(keys);
        let (ended, shown) = chat.wait(Duration::from_secs(30));
        assert_eq!(ended, Some(code), "{keys:?}: {}", without_codes(&shown));
    }
    let listed = fresh.run(&["request", "list"]).expect_code(0);
    assert!(!listed.stdout.contains("half a line"), "{}", listed.stdout);
}
