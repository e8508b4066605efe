//! The preview with a real Ansible: nothing acts before it is approved, whatever trap a playbook holds; what a
//! check run shows, and what it cannot, stands in the plan.

use std::{fs, path::Path, process::Command};

use chiffon_agent_infra::AnsibleLocator;
use chiffon_tests::repository_root;
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, id_of, json, metadata, newest, shared_ansible, up};

/// Declares the best of itself, as an honest author might who does not know.
fn exact() -> String {
    metadata(60, "ask").replace("preview: blind", "preview: exact")
}

/// A trap: tasks that touch `MARK` in a plain check run, more files of the role, and what the scan makes of it.
struct Trap {
    id: &'static str,
    tasks: &'static str,
    files: &'static [(&'static str, &'static str)],
    fidelity: &'static str,
    because: &'static str,
}

const TRAPS: &[Trap] = &[
    Trap {
        id: "t_check_mode",
        tasks: "- block:\n  - ansible.builtin.command: touch MARK\n  check_mode: false\n",
        files: &[],
        fidelity: "acts",
        because: "roles/t_check_mode/tasks/main.yml:2: `ansible.builtin.command` runs in a check run too",
    },
    Trap {
        id: "t_rescue",
        tasks: "- block:\n  - fail:\n  rescue:\n  - raw: touch MARK\n    check_mode: '{{ not ansible_check_mode }}'\n",
        files: &[],
        fidelity: "acts",
        because: "`raw` runs in a check run too",
    },
    Trap {
        id: "t_pipe",
        tasks: "- debug: {msg: \"{{ lookup('pipe', 'touch MARK') }}\"}\n",
        files: &[],
        fidelity: "acts",
        because: "the lookup `pipe` acts",
    },
    Trap {
        id: "t_condition",
        tasks: "- debug: {msg: x}\n  when: query('ansible.builtin.lines', 'touch MARK') == []\n",
        files: &[],
        fidelity: "acts",
        because: "the lookup `lines` acts",
    },
    Trap {
        id: "t_with",
        tasks: "- debug: {msg: x}\n  with_pipe: [touch MARK]\n",
        files: &[],
        fidelity: "acts",
        because: "the lookup `pipe` acts",
    },
    Trap {
        id: "t_defaults",
        tasks: "- debug: {msg: '{{ innocent }}'}\n",
        files: &[(
            "defaults/main.yml",
            "innocent: \"{{ lookup('pipe', 'touch MARK') }}\"\n",
        )],
        fidelity: "acts",
        because: "roles/t_defaults/defaults/main.yml:1: the lookup `pipe` acts",
    },
    Trap {
        id: "t_template",
        tasks: "- template: {src: page.j2, dest: /tmp/never-written}\n",
        files: &[("templates/page.j2", "{{ lookup('pipe', 'touch MARK') }}\n")],
        fidelity: "acts",
        because: "roles/t_template/templates/page.j2:1",
    },
    Trap {
        id: "t_handler",
        tasks: "- debug: {msg: x}\n  changed_when: true\n  notify: Do it\n",
        files: &[(
            "handlers/main.yml",
            "- name: Do it\n  shell: touch MARK\n  check_mode: false\n",
        )],
        fidelity: "acts",
        because: "roles/t_handler/handlers/main.yml:2",
    },
    Trap {
        id: "t_dependency",
        tasks: "- debug: {msg: x}\n",
        files: &[("meta/main.yml", "dependencies: [{role: t_check_mode}]\n")],
        fidelity: "acts",
        because: "roles/t_check_mode/tasks/main.yml:2",
    },
    Trap {
        id: "t_specifications",
        tasks: "- debug: {msg: x}\n",
        files: &[(
            "meta/argument_specs.yml",
            "argument_specs: {main: {options: {a: {default: \"{{ lookup('pipe', 'touch MARK') }}\"}}}}\n",
        )],
        fidelity: "acts",
        because: "roles/t_specifications/meta/argument_specs.yml:1: the lookup `pipe` acts",
    },
    Trap {
        id: "t_include",
        tasks: "- include_tasks: '{{ which }}.yml'\n  vars: {which: more}\n",
        files: &[(
            "tasks/more.yml",
            "- command: touch MARK\n  check_mode: false\n",
        )],
        fidelity: "blind",
        because: "which tasks it includes cannot be read before it runs",
    },
    Trap {
        id: "t_alias",
        tasks: "- debug: {msg: \"{% set l = lookup %}{{ l('pipe', 'touch MARK') }}\"}\n",
        files: &[],
        fidelity: "blind",
        because: "may be a lookup under another name",
    },
    Trap {
        id: "t_module",
        tasks: "- innocent:\n",
        files: &[(
            "library/innocent",
            "#!/bin/sh\n# WANT_JSON\ntouch MARK\necho '{\"changed\": true}'\n",
        )],
        fidelity: "blind",
        because: "`innocent` does nothing in check mode",
    },
    Trap {
        id: "t_validate",
        tasks: "- assemble: {src: '{{ role_path }}/files', dest: /tmp/never-assembled, remote_src: true, validate: touch MARK %s}\n",
        files: &[("files/part", "x\n")],
        fidelity: "acts",
        because: "`assemble` runs its `validate`",
    },
    Trap {
        id: "t_delegate",
        tasks: "- command: touch MARK\n  delegate_to: localhost\n  run_once: true\n  check_mode: false\n",
        files: &[],
        fidelity: "acts",
        because: "`command` runs in a check run too",
    },
    Trap {
        id: "t_async",
        tasks: "- shell: touch MARK\n  async: 30\n  poll: 0\n  check_mode: false\n",
        files: &[],
        fidelity: "acts",
        because: "`shell` runs in a check run too",
    },
];

fn mark(fresh: &Fresh, id: &str) -> std::path::PathBuf {
    fresh.home.scratch().join(format!("mark-{id}"))
}

fn lay(fresh: &Fresh, trap: &Trap) {
    let mark = mark(fresh, trap.id);
    let filled = |text: &str| text.replace("MARK", mark.to_str().unwrap());
    fresh.entry(trap.id, &exact(), &filled(trap.tasks));
    for (path, text) in trap.files {
        let path = fresh.own_catalogue().join("roles").join(trap.id).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, filled(text)).unwrap();
    }
}

/// A plain `ansible-playbook --check` of a playbook of the test's own.
fn plain_check(fresh: &Fresh, playbook: &Path) -> String {
    let home = repository_root().join("target/test-ansible");
    let ansible = AnsibleLocator::new(&home).find().unwrap();
    let inventory = fresh.home.scratch().join("plain.yml");
    fs::write(
        &inventory,
        format!(
            "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n      ansible_python_interpreter: {}\n",
            ansible.playbook.with_file_name("python").display()
        ),
    )
    .unwrap();
    let output = Command::new(&ansible.playbook)
        .args(["--check", "-i"])
        .arg(&inventory)
        .arg(playbook)
        .env("ANSIBLE_ROLES_PATH", fresh.own_catalogue().join("roles"))
        .env("HOME", fresh.home.scratch())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn no_trap_springs_before_it_is_approved() {
    let fresh = Fresh::new();
    for trap in TRAPS {
        lay(&fresh, trap);
    }
    let mut up = up(&fresh);
    for trap in TRAPS {
        let asked = format!("{} on localhost", trap.id);
        let waiting = fresh.run(&["run", &asked, "--no-input"]);
        assert_eq!(waiting.code(), Some(6), "{}: {}", trap.id, waiting.stderr);
        let id = id_of(&newest(&fresh));
        let shown = json(&fresh.run(&["request", "show", &id, "--json"]).stdout);
        assert_eq!(shown["state"], "awaiting_approval", "{shown:#}");
        let step = &shown["plan"]["steps"][0];
        assert_eq!(step["fidelity"], trap.fidelity, "{}: {step:#}", trap.id);
        let because = step["fidelity_because"].as_str().unwrap();
        assert!(because.contains(trap.because), "{}: {because}", trap.id);
        let tasks = shown["tasks"].as_array();
        assert!(tasks.is_none_or(Vec::is_empty), "{shown:#}");
    }
    let sprung = |trap: &&Trap| mark(&fresh, trap.id).exists();
    let sprung_early: Vec<&str> = TRAPS.iter().filter(sprung).map(|trap| trap.id).collect();
    assert_eq!(sprung_early, Vec::<&str>::new(), "before anybody approved");
    let said = fresh.run(&["run", "t_pipe on localhost", "--no-input"]);
    let words: Vec<&str> = said.stderr.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("tasks with `check_mode: false` and lookups do run"),
        "{}",
        said.stderr
    );
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));

    // That the traps are traps: a check run of each, by hand, springs it.
    let all = fresh.own_catalogue().join("playbooks/all.yml");
    let plays: Vec<String> = TRAPS
        .iter()
        .map(|trap| {
            format!(
                "- hosts: all\n  gather_facts: false\n  ignore_errors: true\n  roles: [{}]\n",
                trap.id
            )
        })
        .collect();
    fs::write(&all, plays.concat()).unwrap();
    let output = plain_check(&fresh, &all);
    let harmless: Vec<&str> = TRAPS
        .iter()
        .filter(|trap| !mark(&fresh, trap.id).exists())
        .map(|trap| trap.id)
        // Here Ansible refuses it, which is why the scan calls it more than it is; and what rescues a failure is
        // not reached where this trial ignores every failure.
        .filter(|id| !["t_async", "t_dependency", "t_rescue"].contains(id))
        .collect();
    assert_eq!(harmless, Vec::<&str>::new(), "{output}");
}

/// A playbook of a user's own that the scan confirms is previewed; a check run that fails lowers it, with the
/// reason, and asks all the same.
#[test]
fn an_entry_of_ones_own_is_previewed_and_a_failed_check_run_lowers_it() {
    let fresh = Fresh::new();
    let page = fresh.home.scratch().join("page");
    let tasks = format!(
        "- ansible.builtin.lineinfile: {{path: \"{}\", line: new}}\n",
        page.display()
    );
    fresh.entry("own_page", &exact(), &tasks);
    let mut up = up(&fresh);
    let ask = || {
        let asked = fresh.run(&["run", "own_page on localhost", "--no-input"]);
        let id = id_of(&newest(&fresh));
        let shown = json(&fresh.run(&["request", "show", &id, "--json"]).stdout);
        (asked, shown)
    };
    let (asked, shown) = ask();
    assert_eq!(asked.code(), Some(6), "{}", asked.stderr);
    let step = &shown["plan"]["steps"][0];
    assert_eq!(step["fidelity"], "blind", "{step:#}");
    let because = step["fidelity_because"].as_str().unwrap();
    assert!(because.contains("the check run failed: "), "{because}");

    fs::write(&page, "old\n").unwrap();
    let (asked, shown) = ask();
    assert_eq!(asked.code(), Some(6), "{}", asked.stderr);
    let step = &shown["plan"]["steps"][0];
    assert_eq!(step["fidelity"], "exact", "{step:#}");
    assert!(asked.stderr.contains("+new"), "{}", asked.stderr);
    assert_eq!(fs::read_to_string(&page).unwrap(), "old\n");

    fs::write(&page, "old\nnew\n").unwrap();
    let (asked, shown) = ask();
    assert_eq!(asked.code(), Some(0), "{}", asked.stderr);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}

/// A template in a variable of the inventory runs with whatever entry; one that only reads is asked about as well.
#[test]
fn a_variable_of_the_inventory_that_acts_runs_nowhere_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let fresh = Fresh::with_hosts(&format!(
        "      ansible_shell_executable: \"{{{{ lookup('pipe', 'touch {}; echo /bin/sh') }}}}\"\n",
        touched.display()
    ));
    let asked = fresh.run(&["run", "ping localhost", "--no-input"]);
    assert_eq!(asked.code(), Some(6), "{}", asked.stderr);
    assert!(!touched.exists());
    let id = id_of(&newest(&fresh));
    let shown = json(&fresh.run(&["request", "show", &id, "--json"]).stdout);
    let plan = &shown["plan"];
    let step = &plan["steps"][0];
    assert_eq!(plan["tier"], 1, "{plan:#}");
    assert_eq!(step["fidelity"], "acts", "{plan:#}");
    let because = step["fidelity_because"].as_str().unwrap();
    let expected = "inventory/hosts.yml:5: `ansible_shell_executable`: the lookup `pipe` acts";
    assert!(because.starts_with(expected), "{because}");
    assert_eq!(
        plan["tier_because"],
        "a variable of the inventory acts where Ansible runs"
    );
}

/// A playbook that rewrites itself changes nothing for the next run: every run unpacks what was approved, into a
/// folder of its own.
#[test]
fn a_playbook_that_changes_itself_changes_only_its_own_copy() {
    let fresh = Fresh::new();
    let log = fresh.home.scratch().join("log");
    let tasks = format!(
        "- ansible.builtin.lineinfile: {{path: \"{0}\", line: first, create: true}}\n- ansible.builtin.copy:\n    dest: \"{{{{ role_path }}}}/tasks/main.yml\"\n    content: |\n      - ansible.builtin.lineinfile: {{path: \"{0}\", line: second, create: true}}\n  delegate_to: localhost\n",
        log.display()
    );
    fresh.entry("own_change", &exact(), &tasks);
    let source = fresh
        .own_catalogue()
        .join("roles/own_change/tasks/main.yml");
    let before = fs::read_to_string(&source).unwrap();
    for _ in 0..2 {
        fresh
            .run(&[
                "run",
                "own_change on localhost",
                "--yes=2",
                "--confirm",
                "localhost",
            ])
            .expect_code(0);
        assert_eq!(fs::read_to_string(&log).unwrap(), "first\n");
        assert_eq!(fs::read_to_string(&source).unwrap(), before);
    }
    let view = json(
        &fresh
            .run(&["catalogue", "show", "own_change", "--json"])
            .stdout,
    );
    assert_eq!(view["preview"], "simulated", "{view:#}");
    assert!(
        view["preview_because"][0]
            .as_str()
            .unwrap()
            .contains("`delegate_to` leads"),
        "{view:#}"
    );
}

/// The tables that the scan judges by, against the Ansible that the tests use.
#[test]
fn the_tables_of_the_scan_are_those_of_ansible() {
    shared_ansible();
    let home = repository_root().join("target/test-ansible");
    let ansible = AnsibleLocator::new(&home).find().unwrap();
    let doc = |args: &[&str]| -> Value {
        let output = Command::new(ansible.playbook.with_file_name("ansible-doc"))
            .args(args)
            .env("HOME", std::env::temp_dir())
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_COLLECTIONS_PATH", "/nonexistent")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let names = |kind: &str| -> Vec<String> {
        let listed = doc(&["-t", kind, "-l", "-j"]);
        let names = listed.as_object().unwrap().keys();
        let own = names.filter_map(|name| name.strip_prefix("ansible.builtin."));
        own.map(str::to_owned).collect()
    };
    let table = |name: &str| -> Vec<Vec<String>> {
        let path = repository_root()
            .join("orchestrator/src/catalogue/scan")
            .join(name);
        let text = fs::read_to_string(path).unwrap();
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        rows.map(|row| row.split('\t').map(str::to_owned).collect())
            .collect()
    };

    let modules = names("module");
    let full: Vec<String> = modules
        .iter()
        .map(|name| format!("ansible.builtin.{name}"))
        .collect();
    let mut args = vec!["-t", "module", "-j"];
    args.extend(full.iter().map(String::as_str));
    let docs = doc(&args);
    let said: Vec<(String, String)> = modules
        .iter()
        .map(|name| {
            let doc = &docs[format!("ansible.builtin.{name}")]["doc"];
            let support = &doc["attributes"]["check_mode"]["support"];
            let support = support
                .as_str()
                .filter(|word| *word != "N/A")
                .unwrap_or("-");
            (name.clone(), support.to_owned())
        })
        .collect();
    let ours: Vec<(String, String)> = table("modules.tsv")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(ours, said, "modules.tsv");
    let ours: Vec<String> = table("lookups.tsv")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(ours, names("lookup"), "lookups.tsv");
}

#[test]
fn the_catalogue_says_what_the_scan_found() {
    let fresh = Fresh::new();
    fresh.entry(
        "own_trap",
        &exact(),
        "- name: x\n  shell: id\n  check_mode: false\n",
    );
    let place = "roles/own_trap/tasks/main.yml:2: `shell` runs in a check run too";
    let checked = fresh.run(&["catalogue", "check"]).expect_code(0);
    assert!(
        checked.stdout.contains(&format!("acts: {place}")),
        "{}",
        checked.stdout
    );
    let shown = fresh.run(&["catalogue", "show", "own_trap"]).expect_code(0);
    assert!(shown.stdout.contains(place), "{}", shown.stdout);
}
