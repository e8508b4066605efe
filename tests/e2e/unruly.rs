//! Playbooks that misbehave: a gigabyte of output, daemons, deaf to signals, killers of what runs them; bytes that are
//! no text; and inventories that name one host twice. Each ends honestly, and nothing of it is left behind.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use chiffon_tests::processes_with_env;

use crate::fresh::{Fresh, id_of, json, metadata, newest, up};

const CONSENT: [&str; 3] = ["--yes=2", "--confirm", "localhost"];

fn run(fresh: &Fresh, entry: &str) -> chiffon_tests::Output {
    let sentence = format!("{entry} on localhost");
    fresh.run(&[&["run", &sentence][..], &CONSENT].concat())
}

/// Writes to what Ansible prints to, so that all of it comes through the pipe that the agent reads.
const TO_PIPE: &str = r#"
import os
pid, playbook = os.getpid(), None
while pid > 1:
    if b"ansible-playbook" in open(f"/proc/{pid}/cmdline", "rb").read():
        playbook = pid
    pid = int(open(f"/proc/{pid}/status").read().split("PPid:")[1].split()[0])
out = os.open(f"/proc/{playbook}/fd/1", os.O_WRONLY)
def say(text):
    while text:
        text = text[os.write(out, text):]
"#;

/// A gigabyte: long lines, then more short ones than anybody is told in their time.
const FLOOD: &str = r#"
for _ in range(999):
    say(b"x" * 999_999 + b"\n")
say(b"y\n" * 500_000)
say(b"the last words\n")
"#;

/// An entry that says this, in Python, to what Ansible prints to.
fn says(fresh: &Fresh, entry: &str, script: &str) {
    let file = fresh.home.scratch().join(format!("{entry}.py"));
    fs::write(&file, format!("{TO_PIPE}{script}\n")).unwrap();
    let tasks = format!(
        "- name: Say it\n  ansible.builtin.command: python3 {}\n  changed_when: true\n",
        file.display()
    );
    fresh.entry(entry, &metadata(600, "ask"), &tasks);
}

/// Peak of a process's own memory, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

#[test]
fn a_gigabyte_of_output_is_cut_with_its_count_and_takes_no_memory() {
    let fresh = Fresh::new();
    says(&fresh, "flood", FLOOD);
    let running = up(&fresh);
    let before = peak_mib(running.pid());
    let done = run(&fresh, "flood").expect_code(0);
    let after = peak_mib(running.pid());
    println!("peak {before} MiB before, {after} MiB after");
    // Of a debug build; what came is ten times as much.
    assert!(
        after < before + 100,
        "{before} MiB before, {after} MiB after"
    );
    let said = done.stdout + &done.stderr;
    assert!(said.len() < 32 * 1024 * 1024, "the flood came through");
    assert!(
        said.contains("lines left out"),
        "nothing says what is missing"
    );
    assert!(
        said.contains("xxxx ..."),
        "a long line is not said to be cut"
    );
    fresh.run(&["audit", "verify"]).expect_code(0);
}

/// A task may return anything; what nobody would be shown of it is not even read.
const CALLBACK: &str = r#"
import importlib.util, sys, types
def stub(name, **known):
    module = types.ModuleType(name)
    module.__dict__.update(known)
    sys.modules[name] = module
stub("ansible", constants=types.SimpleNamespace(_ACTION_META=(), _ACTION_DEBUG=("debug",)))
stub("ansible.parsing")
stub("ansible.parsing.dataloader", DataLoader=object)
stub("ansible.plugins")
stub("ansible.plugins.callback", CallbackBase=object)
spec = importlib.util.spec_from_file_location("chiffon", sys.argv[1])
chiffon = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chiffon)
class Many(list):
    seen = 0
    def __iter__(self):
        for n in range(10**9):
            Many.seen += 1
            if Many.seen > 1_000_000:
                sys.exit("it reads everything")
            yield f"line {n} of the output"
for value in ({"stdout_lines": Many(), "rc": 0}, [{"item": Many()}], Many(["line"])):
    Many.seen = 0
    told = chiffon.shown(value)
    assert len(told) == chiffon.TEXT, len(told)
    assert "line 1000 of the output" in told and Many.seen < 20_000, Many.seen
assert chiffon.shown({"a": [1, None, True, 1.5, b"x", ("y",)]}) == """{
  "a": [
    1,
    null,
    true,
    1.5,
    "x",
    [
      "y"
    ]
  ]
}"""
assert chiffon.shown("x" * 10**6) == "x" * chiffon.TEXT
assert chiffon.end_of("x" * 10**6 + "end") == "x" * (chiffon.TEXT - 3) + "end"
assert chiffon.shown(["a", "b"]) == "a\nb" and chiffon.shown(None) == "" and chiffon.shown(5) == "5"
"#;

#[test]
fn of_what_a_task_returns_no_more_is_read_than_is_told() {
    let callback = chiffon_tests::repository_root().join("agent-infra/src/callback/chiffon.py");
    let done = std::process::Command::new("python3")
        .args(["-c", CALLBACK])
        .arg(callback)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

/// What is left of the runs of the newest request, by the marks of its tasks.
fn left(fresh: &Fresh) -> Vec<chiffon_tests::Process> {
    let shown = fresh.run(&["request", "show", &id_of(&newest(fresh)), "--json"]);
    let shown = json(&shown.expect_code(0).stdout);
    let tasks = shown["tasks"].as_array().unwrap().iter();
    tasks
        .flat_map(|task| {
            let id = task["task_id"].as_str().unwrap();
            processes_with_env("CHIFFON_RUN", &format!("{id}-1"))
        })
        .collect()
}

/// The shell finds all processes of Ansible above it, and the supervisor, and does something to them.
fn above(doing: &str) -> String {
    format!(
        r#"- name: Do something to what runs it
  ansible.builtin.shell: |
    setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' > /dev/null 2>&1 &
    pid=$$; above=; supervisor=
    while [ "$pid" -gt 1 ]; do
      pid=$(awk '/^PPid:/ {{print $2}}' /proc/$pid/status)
      line=$(tr '\0' ' ' < /proc/$pid/cmdline)
      case "$line" in *__supervise*) supervisor=$pid; break ;; esac
      case "$line" in *ansible-playbook*) above="$above $pid" ;; esac
    done
    {doing}
    sleep 600
  changed_when: true
"#
    )
}

#[test]
fn playbooks_that_kill_what_runs_them_end_with_a_reason_and_leave_nothing() {
    let fresh = Fresh::new();
    for (entry, doing, codes, words) in [
        // That all of it has ended is known; how far it came is not, so a person is asked.
        ("kill_ansible", "kill -KILL $above", [6, 6], "cut off"),
        (
            "kill_supervisor",
            "kill -KILL $supervisor",
            [6, 6],
            "cut off",
        ),
        ("stop_ansible", "kill -STOP $above", [1, 8], "5411"),
    ] {
        let timeout = if entry == "stop_ansible" { 8 } else { 120 };
        fresh.entry(entry, &metadata(timeout, "ask"), &above(doing));
        let ended = run(&fresh, entry);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let code = ended.code().unwrap();
        assert!(codes.contains(&code), "{entry} ended with {code}: {said}");
        assert!(said.contains(words), "{entry}: {said}");
        assert_eq!(left(&fresh), [], "{entry} left something behind");
        if code == 6 {
            fresh
                .run(&["request", "cancel", &id_of(&newest(&fresh))])
                .expect_code(0);
        }
    }
    fresh.run(&["audit", "verify"]).expect_code(0);
}

#[test]
fn a_daemon_ends_with_its_run_and_a_deaf_playbook_with_its_time_out() {
    let fresh = Fresh::new();
    let pid = fresh.home.scratch().join("pid");
    let daemon = format!(
        "- name: Fork a daemon and come back\n  ansible.builtin.shell: |\n    (setsid sh -c 'trap \"\" TERM HUP; echo $$ > {0}; while :; do sleep 1; done' > /dev/null 2>&1 &)\n    while [ ! -s {0} ]; do sleep 0.1; done\n  changed_when: true\n",
        pid.display()
    );
    fresh.entry("daemon", &metadata(120, "ask"), &daemon);
    run(&fresh, "daemon").expect_code(0);
    let daemon = fs::read_to_string(&pid).unwrap();
    let is_there = fs::exists(format!("/proc/{}", daemon.trim())).unwrap();
    assert!(!is_there, "the daemon outlived its run");
    assert_eq!(left(&fresh), []);
    let deaf = "- name: Hear nothing\n  ansible.builtin.shell: |\n    trap '' TERM HUP INT QUIT\n    while :; do sleep 1; done\n  changed_when: true\n";
    fresh.entry("deaf", &metadata(4, "ask"), deaf);
    let ended = run(&fresh, "deaf");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        matches!(ended.code(), Some(1 | 8)) && said.contains("5411"),
        "{said}"
    );
    assert_eq!(left(&fresh), []);
}

#[test]
fn output_that_is_no_text_is_shown_as_far_as_it_is_and_recorded() {
    let fresh = Fresh::new();
    let script = r#"say(b"before \xff\xfe\x00\x1b[31m after\n")"#;
    says(&fresh, "bytes", script);
    let done = run(&fresh, "bytes").expect_code(0);
    let said = done.stdout + &done.stderr;
    assert!(
        said.contains("before \u{fffd}\u{fffd}") && said.contains(" after"),
        "{said}"
    );
    assert!(
        !said.contains("\u{1b}[31m"),
        "a terminal would obey: {said}"
    );
    // A command that did its work has not failed because of what it printed.
    let tasks = "- name: Give bytes back\n  ansible.builtin.command: printf 'before \\377\\376'\n  changed_when: true\n";
    fresh.entry("back", &metadata(60, "ask"), tasks);
    let back = run(&fresh, "back").expect_code(0);
    let said = back.stdout + &back.stderr;
    assert!(said.contains("1 changed, 0 failed"), "{said}");
    assert_eq!(newest(&fresh)["state"], "completed");
    fresh.run(&["log"]).expect_code(0);
    fresh.run(&["audit", "verify"]).expect_code(0);
}

#[test]
fn words_and_files_that_are_no_text_are_refused_with_their_place() {
    let fresh = Fresh::new();
    let mut command = fresh.chiffon().command(&["run"]);
    let odd = OsStr::from_bytes(b"ping \xff\xfe");
    let spoken = command.arg(odd).output().unwrap();
    assert_eq!(spoken.status.code(), Some(2), "{spoken:?}");
    let said = String::from_utf8_lossy(&spoken.stderr).into_owned();
    assert!(said.contains("UTF-8"), "{said}");
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let file = fresh.home.path().join("inventory/hosts.yml");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], b"# \xff\xfe\n"].concat()).unwrap();
    let refused = fresh.run(&["run", "ping localhost"]).expect_code(1);
    let said = refused.stdout + &refused.stderr;
    let is_named = said.contains("5109") && said.contains("hosts.yml, line ");
    assert!(is_named && said.contains("UTF-8"), "{said}");
    let doctor = fresh.run(&["doctor"]).expect_code(1);
    assert!(doctor.stdout.contains("hosts.yml"), "{}", doctor.stdout);
    fs::write(&file, &whole).unwrap();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
}

#[test]
fn two_hosts_of_one_name_are_an_error_with_its_line_and_nothing_runs() {
    for second in ["nas", "NAS"] {
        let fresh = Fresh::new();
        let hosts = format!(
            "all:\n  hosts:\n    nas:\n      ansible_host: 192.0.2.1\n    {second}:\n      ansible_host: 192.0.2.2\n"
        );
        fresh.home.write_inventory("hosts.yml", &hosts);
        for args in [
            vec!["inventory", "show"],
            vec!["inventory", "check"],
            vec!["run", "ping nas", "--no-input"],
        ] {
            let refused = fresh.run(&args).expect_code(1);
            let said = refused.stdout + &refused.stderr;
            let is_named = said.contains("5109") && said.contains("hosts.yml, line 5");
            assert!(
                is_named && said.contains(second),
                "{second}, {args:?}: {said}"
            );
        }
    }
}
