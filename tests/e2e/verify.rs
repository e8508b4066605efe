//! Checks afterwards, with real pages, ports, files and commands: they decide whether a request was done, and
//! what they found is in the result, on the screen and in the record.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chiffon_tests::not_run;
use serde_json::{Value, json};

use crate::fresh;
use crate::fresh::{Fresh, id_of, newest, shared_ansible};

/// A web server of one page: `not_yet` answers of 503, then 200 with `body`. Counts what it answered.
struct Page {
    port: u16,
    answered: Arc<AtomicUsize>,
}

impl Page {
    fn serve(not_yet: usize, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        std::thread::spawn(move || {
            for line in listener.incoming() {
                let Ok(mut line) = line else { return };
                let mut head = [0; 2048];
                // One that connects and says nothing is a look at the port.
                if line.read(&mut head).unwrap_or(0) == 0 {
                    continue;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = match number < not_yet {
                    true => ("503 Not Yet", "wait"),
                    false => ("200 OK", body),
                };
                let length = body.len();
                let _gone = write!(
                    line,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { port, answered }
    }
}

fn sha256(text: &str) -> String {
    chiffon_common::Digest::of_bytes(text.as_bytes()).hex()
}

#[test]
fn checks_wait_until_it_is_up_and_decide_and_what_they_found_is_recorded() {
    let fresh = Fresh::new();
    let page = Page::serve(2, "all is well");
    let port = page.port;
    let file = fresh.home.scratch().join("file");
    std::fs::write(&file, "content").unwrap();
    let verify = format!(
        "verify:\n  - http: {{url: 'http://127.0.0.1:{port}/x', contains: well, within: 60}}\n  - port: {{port: {port}}}\n  - file: {{path: '{file}', sha256: {digest}}}\n  - command: {{argv: [/usr/bin/test, -f, '{file}']}}\n",
        file = file.display(),
        digest = sha256("content"),
    );
    let tasks = "- name: Change something\n  ansible.builtin.command: /bin/true\n";
    fresh.entry("settle", &(fresh::metadata(60, "retry") + &verify), tasks);
    fresh.run(&["catalogue", "check"]).expect_code(0);
    fresh
        .run(&["catalogue", "run", "settle", "--yes=2"])
        .expect_code(0);
    let id = id_of(&newest(&fresh));
    let shown = fresh
        .run(&["request", "show", &id, "--json"])
        .expect_code(0);
    let shown = fresh::json(&shown.stdout);
    let steps = shown["plan"]["steps"].as_array().unwrap();
    let tiers: Vec<&Value> = steps.iter().map(|step| &step["tier"]).collect();
    assert_eq!(
        tiers,
        [2, 0, 0, 0, 2],
        "a command counts as the entry it follows"
    );
    assert!(
        shown["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|task| task["mode"] == "apply")
    );
    let found = |step: usize| {
        let tasks = shown["tasks"].as_array().unwrap();
        let task = tasks
            .iter()
            .find(|task| task["step"] == json!(step))
            .unwrap();
        task["hosts"]["localhost"]["data"].clone()
    };
    assert_eq!(found(1)["tries"], 3, "{}", found(1));
    assert_eq!(
        (&found(1)["status"], &found(1)["bytes"]),
        (&json!(200), &json!(11))
    );
    assert_eq!(page.answered.load(Ordering::SeqCst), 3);
    assert_eq!(found(2)["open"], true);
    assert_eq!(found(3)["sha256"], sha256("content"));
    assert_eq!(found(4)["exit_code"], 0);
    let screen = fresh.run(&["request", "show", &id]).expect_code(0).stdout;
    assert!(
        screen.contains("answered 200 with 11 bytes (3 tries"),
        "{screen}"
    );
    let log = Command::new("git")
        .arg("-C")
        .arg(fresh.home.path().join("ledger"))
        .args(["show", shown["ledger_commit"].as_str().unwrap()])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(
        log.contains("evidence:") && log.contains("tries: 3"),
        "{log}"
    );
    assert!(
        !log.contains("localhost/check_"),
        "a check is no change of a host: {log}"
    );
}

#[test]
fn a_check_that_fails_makes_the_request_fail_in_its_own_words() {
    let fresh = Fresh::new();
    let page = Page::serve(usize::MAX, "");
    let verify = format!(
        "verify: {{http: {{url: 'http://127.0.0.1:{}/', within: 0}}}}\n",
        page.port
    );
    let tasks = "- name: Change something\n  ansible.builtin.command: /bin/true\n";
    fresh.entry("settle", &(fresh::metadata(60, "retry") + &verify), tasks);
    let failed = fresh
        .run(&["catalogue", "run", "settle", "--yes=2"])
        .expect_code(1);
    let said = format!("{}{}", failed.stdout, failed.stderr);
    assert!(
        said.contains("5415") && said.contains("answered 503"),
        "{said}"
    );
    let id = id_of(&newest(&fresh));
    let shown = fresh
        .run(&["request", "show", &id, "--json"])
        .expect_code(0);
    let shown = fresh::json(&shown.stdout);
    let task = shown["tasks"].as_array().unwrap().last().unwrap();
    assert_eq!(
        task["hosts"]["localhost"]["data"]["status"], 503,
        "{task:#}"
    );

    // Nobody asks for a check itself: not by its name, not by a sentence, not through the API.
    for args in [
        vec![
            "run",
            "check_command argv:=[\"/bin/true\"] on localhost",
            "--yes=2",
        ],
        vec![
            "catalogue",
            "run",
            "check_command",
            "argv:=[\"/bin/true\"]",
            "--yes=2",
        ],
    ] {
        let refused = fresh.run(&args);
        assert_ne!(refused.code(), Some(0), "{args:?}");
        assert!(
            refused.stderr.contains("5103"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    // What is wrong in the metadata is named with its line.
    fresh.entry(
        "settle",
        &(fresh::metadata(60, "retry") + "verify:\n  http:\n    url: /index\n"),
        tasks,
    );
    let wrong = fresh.run(&["catalogue", "check"]);
    let said = format!("{}{}", wrong.stdout, wrong.stderr);
    assert!(
        said.contains("settle.chiffon.yml:12") && said.contains("http://"),
        "{said}"
    );
}

/// Runs the module alone, as Ansible would on the host.
fn look(arguments: Value) -> Value {
    let ansible = shared_ansible();
    let module = chiffon_tests::repository_root()
        .join("playbooks/roles/chiffon_check/library/chiffon_check_info.py");
    let mut child = Command::new(python_of(&ansible))
        .arg(module)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "ANSIBLE_MODULE_ARGS": arguments }).to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The interpreter that has Ansible's own library.
fn python_of(ansible: &std::path::Path) -> PathBuf {
    let mut folders = vec![ansible.to_owned()];
    while let Some(folder) = folders.pop() {
        let python = folder.join("bin/python3");
        if python.exists() && folder.join("bin/ansible-playbook").exists() {
            return python;
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .take(20),
        );
    }
    let program = chiffon_agent_infra::AnsibleLocator::new(
        &chiffon_tests::repository_root().join("target/test-ansible"),
    )
    .ensure(&|_| {})
    .unwrap()
    .playbook;
    let real = std::fs::canonicalize(program).unwrap();
    real.with_file_name("python3")
}

#[test]
fn each_kind_of_check_tells_what_it_found_when_it_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let page = Page::serve(0, "hello");
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    std::fs::write(path("file"), "x").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let zero = "0".repeat(64);
    for (arguments, passed, words) in [
        (
            json!({"kind": "http", "url": url(page.port), "contains": "hell"}),
            true,
            "answered 200",
        ),
        (
            json!({"kind": "http", "url": url(page.port), "status": 204}),
            false,
            "answered 200 with 5 bytes, not 204",
        ),
        (
            json!({"kind": "http", "url": url(page.port), "contains": "bye"}),
            false,
            "without the text",
        ),
        (
            json!({"kind": "http", "url": url(closed)}),
            false,
            "refused",
        ),
        (
            json!({"kind": "http", "url": url(silent)}),
            false,
            "does not answer",
        ),
        (json!({"kind": "port", "port": page.port}), true, "is open"),
        (
            json!({"kind": "port", "port": closed, "within": 1}),
            false,
            "is not open",
        ),
        (
            json!({"kind": "port", "port": 1, "host": "no-such-host.invalid"}),
            false,
            "is not open",
        ),
        (
            json!({"kind": "file", "path": path("file"), "sha256": sha256("x").to_uppercase()}),
            true,
            "has the digest",
        ),
        (
            json!({"kind": "file", "path": path("file"), "sha256": zero}),
            false,
            &sha256("x"),
        ),
        (
            json!({"kind": "file", "path": path("gone"), "sha256": zero}),
            false,
            "No such file",
        ),
        (
            json!({"kind": "file", "path": path("fifo"), "sha256": zero}),
            false,
            "no plain file",
        ),
        (
            json!({"kind": "file", "path": path(""), "sha256": zero}),
            false,
            "no plain file",
        ),
        (
            json!({"kind": "command", "argv": ["/bin/echo", "$HOME; id"]}),
            true,
            "ended with 0",
        ),
        (
            json!({"kind": "command", "argv": ["/bin/sh", "-c", "echo why >&2; exit 3"]}),
            false,
            "ended with 3: why",
        ),
        (
            json!({"kind": "command", "argv": ["/no/such/program"], "within": 3600}),
            false,
            "cannot be run",
        ),
        (
            json!({"kind": "command", "argv": ["/bin/sh", "-c", "yes | head -c 3000000"]}),
            true,
            "ended with 0",
        ),
        (
            json!({"kind": "command", "argv": ["/bin/sh", "-c", "sleep 600 & exit 0"]}),
            true,
            "ended with 0",
        ),
    ] {
        let found = look(arguments.clone());
        assert_eq!(found["passed"], passed, "{arguments}: {found:#}");
        let said = found["words"].as_str().unwrap();
        assert!(said.contains(words), "{arguments}: {said}");
        assert_eq!(found["changed"], false);
        assert!(found["found"]["tries"].as_u64().unwrap() >= 1, "{found}");
        assert!(found.to_string().len() < 10_000, "{arguments}: too much");
    }
    let echoed = look(json!({"kind": "command", "argv": ["/bin/echo", "$HOME; id"]}));
    assert_eq!(echoed["found"]["output"], "$HOME; id\n", "a shell had it");
    let several = look(json!({"kind": "port", "port": closed, "within": 1}));
    assert!(several["found"]["tries"].as_u64().unwrap() > 1, "{several}");
}

#[test]
fn a_unit_is_asked_of_systemd_and_missed_where_there_is_none() {
    let asked = json!({"kind": "unit", "name": "systemd-journald.service", "within": 3600});
    if std::path::Path::new("/run/systemd/system").is_dir() {
        let found = look(asked);
        assert_eq!(found["found"]["state"], "active", "{found:#}");
        let found = look(json!({"kind": "unit", "name": "no-such-unit-of-ours.service"}));
        assert_eq!(
            (&found["passed"], &found["found"]["state"]),
            (&json!(false), &json!("inactive"))
        );
        return;
    }
    not_run(
        "the check of an active unit",
        "this machine is not run by systemd",
    );
    let found = look(asked);
    assert_eq!(found["passed"], false);
    assert!(
        found["words"]
            .as_str()
            .unwrap()
            .contains("not run by systemd"),
        "{found:#}"
    );
    let odd = look(json!({"kind": "unit", "name": "--version", "within": 3600}));
    assert!(
        odd["words"].as_str().unwrap().contains("no name of a unit"),
        "{odd:#}"
    );
}
