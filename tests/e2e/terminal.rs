//! At a terminal: colours, prompts, the conversation of `chiffon chat`, and the keys that end it.

use std::time::Duration;

use chiffon_tests::{Chiffon, Pty, wait_for, without_codes};

use crate::{
    fresh::{Fresh, LIMIT, metadata, newest},
    shots,
};

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

/// The program at a terminal that knows colours.
fn at_terminal(chiffon: Chiffon, args: &[&str]) -> Option<Pty> {
    let chiffon = chiffon.env("TERM", "xterm-256color").env("NO_COLOR", "");
    Pty::start_or_report("a person at a terminal", &chiffon.command(args))
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
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
}

/// The clock runs at the prompt too. An entry without a check run is at its prompt at once.
#[test]
fn a_question_that_is_not_answered_in_time_is_left_and_its_request_ended() {
    let fresh = Fresh::new();
    let tasks = "- name: Nothing\n  ansible.builtin.debug:\n    msg: x\n";
    fresh.entry("moment", &metadata(60, "ask"), tasks);
    let late = ["run", "moment on localhost", "--timeout", "10"];
    let Some(mut run) = at_terminal(fresh.chiffon(), &late) else {
        return;
    };
    run.wait_for("Type the host name (localhost)", 1, LIMIT);
    let (code, shown) = run.wait(LIMIT);
    assert_eq!(code, Some(8), "{shown}");
    assert_eq!(newest(&fresh)["state"], "cancelled");
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

    // What is typed after Ctrl-C at a question is for the next prompt, every key of it.
    chat.keys("write_file path=/tmp/never-written content=x on localhost\r");
    chat.wait_for("Approve this plan? [y/N]", 2, LIMIT);
    chat.keys(CTRL_C);
    chat.wait_for("goes on without you", 1, LIMIT);
    chat.keys("/help\r");
    chat.wait_for("/cancel ID", 2, LIMIT);

    // Somebody else asks in the same room; it is told while nobody types.
    fresh
        .run(&["run", "ping localhost", "--room", "kitchen"])
        .expect_code(0);
    chat.wait_for("has asked \"ping localhost\"", 1, LIMIT);
    chat.keys("what is the meaning of life\r");
    chat.wait_for("What comes near:", 1, LIMIT);
    chat.wait_for("Your answer (nothing leaves it open):", 1, LIMIT);

    // The answer continues the same request. Ctrl-C stops the following, and comes back to the prompt.
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    chat.keys("ping localhost\r");
    chat.wait_for("waits for an agent", 1, LIMIT);
    chat.keys(CTRL_C);
    chat.wait_for("goes on without you", 2, LIMIT);
    let id = newest(&fresh)["request_id"].as_str().unwrap().to_owned();
    chat.keys(&format!("/cancel {id}\r"));
    chat.wait_for(&format!("Request {id} is cancelled"), 1, LIMIT);
    // Between two prompts the key would be the terminal's own to understand.
    wait_for("the prompt", LIMIT, || (!chat.is_as_usual()).then_some(()));
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
    let mut chat = at_terminal(fresh.chiffon(), &["chat"]).unwrap();
    chat.wait_for("> ", 1, LIMIT);
    assert!(!chat.is_as_usual(), "the line cannot be edited");
    chat.terminate();
    chat.wait_for("interrupted:", 1, LIMIT);
    assert!(
        chat.is_as_usual(),
        "the terminal was left as it is at the prompt"
    );
    assert_eq!(chat.wait(LIMIT).0, Some(130));
    let listed = fresh.run(&["request", "list"]).expect_code(0);
    assert!(!listed.stdout.contains("half a line"), "{}", listed.stdout);
}
