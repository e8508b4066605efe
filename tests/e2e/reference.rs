//! What the program tells about itself, without a fleet: error pages, configuration, completions, manual pages.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use chiffon_tests::{Chiffon, Home, not_run};
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, metadata};

#[test]
fn an_error_code_is_explained_an_unknown_one_has_neighbours_and_a_word_is_none() {
    let home = Home::new();
    let chiffon = Chiffon::new(&home);
    let page = chiffon.run(&["explain", "5408"]).expect_code(0).stdout;
    assert!(page.starts_with("# 5408: the host's key"), "{page}");
    assert!(page.contains("## What to do"), "{page}");
    let told = chiffon.run(&["explain", "5408", "--json"]).expect_code(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["code"], 5408);
    assert_eq!(told["http_status"], 403);
    assert_eq!(told["retry"], "after_change");
    assert!(told["page"].as_str().unwrap().starts_with("# 5408"));

    let unknown = chiffon.run(&["explain", "5429"]).expect_code(3);
    assert!(unknown.stderr.contains("5419"), "{}", unknown.stderr);
    let far = chiffon.run(&["explain", "404"]).expect_code(3);
    assert!(far.stderr.contains("5001"), "{}", far.stderr);
    let word = chiffon.run(&["explain", "5408."]).expect_code(2);
    assert!(word.stderr.contains("number"), "{}", word.stderr);

    let all = chiffon.run(&["explain", "-o", "ndjson"]).expect_code(0);
    let count = chiffon_common::ErrorCode::ALL.len();
    assert_eq!(all.stdout.lines().count(), count);
    assert!(!home.path().exists(), "it made a data folder");
}

#[test]
fn the_configuration_is_shown_with_its_origins_and_nothing_is_made() {
    let home = Home::new();
    let chiffon = Chiffon::new(&home);
    let plain = chiffon.run(&["config", "show"]).expect_code(0).stdout;
    assert!(plain.contains("http.listen"), "{plain}");
    assert!(!plain.contains("ORIGIN"), "{plain}");
    let good = chiffon.run(&["config", "validate"]).expect_code(0);
    assert!(good.stdout.contains("there is no"), "{}", good.stdout);
    assert!(!home.path().exists(), "it made a data folder");

    let file = home.write_config("log:\n  level: info\n");
    let chiffon = chiffon.env("CHIFFON_HTTP__LISTEN", "127.0.0.1:9000");
    let shown = chiffon.run(&["config", "show", "--origin"]).expect_code(0);
    let line = |key: &str| {
        let mut lines = shown.stdout.lines();
        lines.find(|line| line.starts_with(key)).unwrap().to_owned()
    };
    assert!(line("http.listen").ends_with("CHIFFON_HTTP__LISTEN"));
    assert!(line("log.level").ends_with(file.to_str().unwrap()));
    assert!(line("log.format").ends_with("default"));
    let told = chiffon.run(&["config", "show", "--json"]).expect_code(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let listen = &told[0];
    assert_eq!(listen["key"], "http.listen");
    assert_eq!(listen["value"], "127.0.0.1:9000");
    assert_eq!(listen["default"], "127.0.0.1:8420");
    assert_eq!(listen["origin"], "CHIFFON_HTTP__LISTEN");
    let made = fs::read_dir(home.path()).unwrap().count();
    assert_eq!(made, 1, "only the file of this test");
}

#[test]
fn all_faults_of_a_configuration_are_named_at_once() {
    let home = Home::new();
    let file = home.scratch().join("trial.yaml");
    fs::write(&file, "http:\n  lisen: 127.0.0.1:1\nlog:\n  level: loud\n").unwrap();
    let chiffon = Chiffon::new(&home).env("CHIFFON_LOG__FORMAT", "xml");
    let validate = ["config", "validate", file.to_str().unwrap()];
    let bad = chiffon.run(&validate).expect_code(2).stdout;
    for wanted in [
        "Did you mean http.listen?",
        "\"loud\"",
        "CHIFFON_LOG__FORMAT",
        "3 faults",
    ] {
        assert!(bad.contains(wanted), "{wanted}: {bad}");
    }
    let told = chiffon.run(&[&validate[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&told.expect_code(2).stdout).unwrap();
    assert_eq!(told["valid"], false);
    assert_eq!(told["faults"].as_array().unwrap().len(), 3);

    fs::write(&file, "log:\n  level: info\n").unwrap();
    Chiffon::new(&home).run(&validate).expect_code(0);
    let missing = home.scratch().join("none.yaml");
    let missing = ["config", "validate", missing.to_str().unwrap()];
    let missing = chiffon.run(&missing).expect_code(3);
    assert!(missing.stderr.contains("none.yaml"), "{}", missing.stderr);
}

#[test]
fn manual_pages_are_written_where_they_can_be() {
    let home = Home::new();
    let chiffon = Chiffon::new(&home);
    let page = chiffon.run(&["man"]).expect_code(0).stdout;
    assert!(page.contains("\n.TH chiffon 1"), "{page}");
    let dir = home.scratch().join("man");
    let write = ["man", "--dir", dir.to_str().unwrap()];
    let first = chiffon.run(&write).expect_code(0).stdout;
    // A folder that is there already is as good.
    assert_eq!(chiffon.run(&write).expect_code(0).stdout, first);
    let files = fs::read_dir(&dir).unwrap().count();
    assert!(first.starts_with(&format!("{files} manual")), "{first}");
    assert!(files > 20, "{files}");
    let leaf = fs::read_to_string(dir.join("chiffon-request-list.1")).unwrap();
    for wanted in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"] {
        assert!(leaf.contains(wanted), "{wanted}: {leaf}");
    }
    let taken = dir.join("chiffon.1");
    let refused = chiffon.run(&["man", "--dir", taken.to_str().unwrap()]);
    let refused = refused.expect_code(1).stderr;
    assert!(refused.contains("cannot be written"), "{refused}");
    assert!(!home.path().exists(), "it made a data folder");
    render(&dir);
}

/// No page may give the formatter a reason to complain.
fn render(dir: &Path) {
    for file in fs::read_dir(dir).unwrap() {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-Tutf8"]);
        match groff.arg(file.unwrap().path()).output() {
            Ok(out) => assert!(out.stderr.is_empty() && !out.stdout.is_empty(), "{out:?}"),
            Err(_) => return not_run("how manual pages look", "groff is not installed"),
        }
    }
}

/// Runs the script of a shell, then its completion function for these words, of which the last is being typed; one
/// offer a line.
const ASKING: [(&str, &str, &str); 3] = [
    (
        "bash",
        "--norc",
        r#"eval "$("$PROGRAM" completions bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_chiffon chiffon "${!#}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        "-f",
        r#"compdef() { }
        _describe() { print -rl -- "${(@P)@[-1]}" }
        eval "$("$PROGRAM" completions zsh)"
        words=("$@"); CURRENT=$#
        _clap_dynamic_completer_chiffon"#,
    ),
    (
        "fish",
        "--no-config",
        r#"$PROGRAM completions fish | source; complete -C "$argv""#,
    ),
];

/// What a shell offers, without the words of help; nothing where the shell is not there.
fn offered(shell: &str, home: &Path, words: &[&str]) -> Option<Vec<String>> {
    let (_, bare, script) = ASKING.into_iter().find(|one| one.0 == shell)?;
    let mut command = Command::new(shell);
    command.args([bare, "-c", script]);
    if shell != "fish" {
        // What comes first after the script is the name of it.
        command.arg("trial");
    }
    let program = Chiffon::new(&Home::new()).command(&[]);
    command
        .args(words)
        .env("PROGRAM", program.get_program())
        .env("CHIFFON_HOME", home);
    let out = command.output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.is_empty(), "{shell} {words:?}: {said}");
    let text = String::from_utf8_lossy(&out.stdout);
    let lines = text.lines().filter(|line| !line.is_empty());
    let value = |line: &str| line.split(['\t', ':']).next().unwrap_or(line).to_owned();
    Some(lines.map(value).collect())
}

#[test]
fn every_shell_has_a_script_and_those_that_are_here_complete_with_it() {
    let home = Home::new();
    let chiffon = Chiffon::new(&home);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = chiffon.run(&["completions", shell]).expect_code(0).stdout;
        assert!(script.contains("COMPLETE"), "{shell}: {script}");
    }
    chiffon.run(&["completions", "tcsh"]).expect_code(2);
    for (shell, _, _) in ASKING {
        let offered = |words: &[&str]| offered(shell, &home.path(), words);
        let Some(commands) = offered(&["chiffon", "req"]) else {
            not_run(&format!("completion in {shell}"), "it is not installed");
            continue;
        };
        assert_eq!(commands, ["request"], "{shell}");
        let formats = offered(&["chiffon", "status", "-o", "j"]).unwrap();
        assert_eq!(formats, ["json"], "{shell}");
        let codes = offered(&["chiffon", "explain", "540"]).unwrap();
        assert!(codes.contains(&"5408".to_owned()), "{shell}: {codes:?}");
        // Without a fleet there are no ids, and no complaint either.
        let ids = offered(&["chiffon", "watch", "0"]).unwrap();
        assert_eq!(ids, [] as [&str; 0], "{shell}");
    }
    assert!(!home.path().exists(), "it made a data folder");
    let other = chiffon
        .env("COMPLETE", "1")
        .run(&["version"])
        .expect_code(0);
    assert!(other.stdout.starts_with("chiffon "), "{}", other.stdout);
}

#[test]
fn ids_of_a_running_fleet_are_completed_where_they_fit() {
    let fresh =
        Fresh::with_hosts("    nas:\n      ansible_host: 127.0.0.1\n      ansible_port: 1\n");
    let tasks = "- name: Nothing\n  ansible.builtin.debug:\n    msg: x\n";
    fresh.entry("moment", &metadata(60, "ask"), tasks);
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let waits = ["run", "moment on localhost", "--no-input"];
    fresh.run(&waits).expect_code(6);
    let listed = fresh.run(&["request", "list", "--json"]).expect_code(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let id = |n: usize| listed["items"][n]["request_id"].as_str().unwrap();
    let (waiting, ended) = (id(0), id(1));

    let offered = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        offered("bash", &fresh.home.path(), &words).unwrap()
    };
    assert_eq!(offered("chiffon request show 0"), [waiting, ended]);
    for command in ["approve", "reject", "watch", "request cancel"] {
        assert_eq!(offered(&format!("chiffon {command} 0")), [waiting]);
    }
    let entries = offered("chiffon catalogue show p");
    assert!(entries.contains(&"ping".to_owned()), "{entries:?}");
    assert!(entries.iter().all(|one| one.starts_with('p')));
    // This machine has no key to be pinned.
    assert_eq!(offered("chiffon inventory trust l"), [] as [&str; 0]);
    assert_eq!(offered("chiffon inventory trust n"), ["nas"]);

    up.kill_9();
    assert!(fresh.home.path().join("up.json").exists());
    assert_eq!(offered("chiffon request show 0"), [] as [&str; 0]);
}

#[test]
fn a_fleet_that_does_not_answer_is_not_waited_for() {
    let home = Home::new();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = serde_json::json!({
        "pid": std::process::id(), "address": deaf.local_addr().unwrap(), "kind": "up",
        "version": "0", "since": "2026-01-01T00:00:00Z",
    });
    home.write("up.json", &running.to_string());
    let token = home.write("token", &format!("chf_{}\n", "0".repeat(64)));
    fs::set_permissions(token, fs::Permissions::from_mode(0o600)).unwrap();
    let lock = fs::File::create(home.path().join("chiffon.lock")).unwrap();
    lock.lock().unwrap();
    let mut command = Chiffon::new(&home).command(&["--", "chiffon", "watch", "0"]);
    command.env("COMPLETE", "bash");
    command.env("_CLAP_COMPLETE_INDEX", "2");
    let begun = Instant::now();
    let out = command.output().unwrap();
    let took = begun.elapsed();
    assert!(out.status.success(), "{out:?}");
    assert!(out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
    // Far from the minute that commands wait, though the machine may be busy.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(took > Duration::from_millis(300), "it was not asked at all");
    drop(deaf);
}
