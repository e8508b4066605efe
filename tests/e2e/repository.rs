//! A repository of somebody's own: added as it is with the real program, accepted, run by a real Ansible, updated.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::fresh::{Fresh, json};

/// A repository beside the data folder, in the shape of many: playbooks at the top, a role without a declaration, an
/// inventory and a vaulted file.
pub(crate) fn repository(fresh: &Fresh) -> String {
    let at = fresh.home.scratch().join("homelab");
    let program = format!(
        "#!/bin/sh\ntouch {}\necho '{{\"_meta\": {{\"hostvars\": {{}}}}, \"dyn\": {{\"hosts\": [\"dyn1\"]}}}}'\n",
        fresh.home.scratch().join("ran").display()
    );
    let files = [
        (
            "motd.yml",
            "- name: Write a notice\n  hosts: all\n  gather_facts: false\n  roles: [motd]\n",
        ),
        (
            "motd.chiffon.yml",
            "tier: 1\nexamples: ['Put the notice up at {motd_path}']\n",
        ),
        ("broken.yml", "- hosts: all\n  roles: [absent]\n"),
        (
            "my_roles/motd/tasks/main.yml",
            "- name: Write it\n  ansible.builtin.copy:\n    dest: '{{ motd_path }}'\n    content: '{{ motd_text }}'\n    \
             mode: '0600'\n",
        ),
        ("my_roles/motd/defaults/main.yml", "motd_text: hello\n"),
        (
            "ansible.cfg",
            "[defaults]\nroles_path = ./my_roles\nstrategy = free\n",
        ),
        (
            "inventory/hosts.ini",
            "localhost ansible_connection=local\n[web]\nweb1 ansible_host=192.0.2.1\n[all:vars]\ndomain=example.org\n",
        ),
        ("group_vars/web.yml", "ansible_user: pi\nmotd: hi\n"),
        ("inventory/dynamic.py", program.as_str()),
        (
            "group_vars/nobody/vault.yml",
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        ),
    ];
    for (path, text) in files {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    at.display().to_string()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// What a person with the file can do to the records of what was accepted.
fn edit_acceptances(fresh: &Fresh, from: &str, to: &str) {
    let database = rusqlite::Connection::open(fresh.home.path().join("chiffon.db")).unwrap();
    let guard = "SELECT sql FROM sqlite_schema WHERE name = 'audit_log_no_update'";
    let guard: String = database.query_row(guard, [], |row| row.get(0)).unwrap();
    let drop = "DROP TRIGGER audit_log_no_update";
    database.execute(drop, []).unwrap();
    let edit = "UPDATE audit_log SET entry = replace(entry, ?1, ?2) WHERE instr(entry, '\"catalogue.accepted\"') > 0";
    assert_eq!(database.execute(edit, [from, to]).unwrap(), 1);
    database.execute(&guard, []).unwrap();
    database.close().unwrap();
}

#[test]
fn a_repository_is_added_accepted_run_and_updated() {
    let fresh = Fresh::new();
    let from = repository(&fresh);
    let added = fresh
        .run(&["catalogue", "add", &from, "--json"])
        .expect_code(0);
    let added = json(&added.stdout);
    assert_eq!(added["entries"][0]["id"], "homelab_motd");
    assert_eq!(added["entries"][0]["tier"], 2);
    assert_eq!(added["entries"][0]["preview"], "blind");
    let parameters = &added["entries"][0]["parameters"];
    assert_eq!(parameters[0]["name"], "motd_text");
    assert_eq!(parameters[1]["name"], "motd_path");
    assert_eq!(
        parameters[1]["required"], false,
        "what is vaulted may define it"
    );
    assert_eq!(added["broken"][0]["file"], "broken.yml");
    assert_eq!(texts(&added["inventories"]), ["inventory/hosts.ini"]);
    assert_eq!(texts(&added["inventory_code"]), ["inventory/dynamic.py"]);
    assert_eq!(texts(&added["vaulted"]), ["group_vars/nobody/vault.yml"]);
    assert_eq!(
        texts(&added["hosts"][0]["hosts"]),
        ["localhost", "web1"],
        "{added}"
    );
    let left = added["left"].to_string();
    assert!(left.contains("strategy is not obeyed"), "{left}");
    fresh.run(&["catalogue", "add", &from]).expect_code(5);
    // What only looks promises nothing that cannot be had.
    fresh
        .run(&["catalogue", "add", &from, "--dry-run"])
        .expect_code(5);

    fresh
        .run(&["catalogue", "accept", "homelab_motd", "--no-input"])
        .expect_code(2);
    fresh
        .run(&["catalogue", "accept", "homelab", "--yes"])
        .expect_code(0);
    let shown = fresh
        .run(&["catalogue", "show", "homelab_motd", "--json"])
        .expect_code(0);
    let shown = json(&shown.stdout);
    assert_eq!(
        (&shown["tier"], &shown["accepted"]),
        (&1.into(), &true.into())
    );

    let target = fresh.home.path().join("notice");
    let path = format!("motd_path={}", target.display());
    let run = [
        "catalogue",
        "run",
        "homelab_motd",
        &path,
        "--on",
        "localhost",
        "--yes",
    ];
    fresh.run(&run).expect_code(0);
    assert_eq!(
        fs::read_to_string(&target).unwrap(),
        "hello",
        "a role that ansible.cfg leads to"
    );

    let role = fresh
        .home
        .scratch()
        .join("homelab/my_roles/motd/defaults/main.yml");
    fs::write(role, "motd_text: bye\n").unwrap();
    let waits = fresh
        .run(&["catalogue", "update", "homelab", "--no-input"])
        .expect_code(6);
    assert!(
        waits.stderr.contains("my_roles/motd/defaults/main.yml"),
        "{}",
        waits.stderr
    );
    let updated = fresh
        .run(&["catalogue", "update", "homelab", "--yes", "--json"])
        .expect_code(0);
    let updated = json(&updated.stdout);
    assert_eq!(updated["changes"][0]["change"], "changed");
    let listed = fresh
        .run(&["catalogue", "show", "homelab_motd", "--json"])
        .expect_code(0);
    let listed = json(&listed.stdout);
    assert_eq!(
        (&listed["tier"], &listed["accepted"]),
        (&2.into(), &false.into())
    );
    fresh.run(&["audit", "verify"]).expect_code(0);
    // An acceptance that somebody writes into the record of another one is none.
    let [before, now] = [&shown, &listed].map(|entry| entry["digest"].as_str().unwrap().to_owned());
    assert_ne!(before, now);
    edit_acceptances(&fresh, &before, &now);
    let edited = fresh
        .run(&["catalogue", "show", "homelab_motd", "--json"])
        .expect_code(0);
    let edited = json(&edited.stdout);
    assert_eq!(
        (&edited["tier"], &edited["accepted"]),
        (&2.into(), &false.into())
    );
    edit_acceptances(&fresh, &now, &before);
    fresh.run(&["audit", "verify"]).expect_code(0);

    fresh
        .run(&["catalogue", "remove", "homelab"])
        .expect_code(0);
    fresh
        .run(&["catalogue", "show", "homelab_motd"])
        .expect_code(3);
    fresh
        .run(&["catalogue", "update", "homelab"])
        .expect_code(3);
}

#[test]
fn hosts_of_a_repository_are_listed_and_taken_over_by_a_persons_word() {
    let fresh = Fresh::new();
    let from = repository(&fresh);
    fresh.run(&["catalogue", "add", &from]).expect_code(0);
    let hosts = ["catalogue", "hosts", "homelab", "--json"];
    let listed = json(&fresh.run(&hosts).expect_code(0).stdout);
    let named: Vec<&str> = listed["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|host| host["name"].as_str())
        .collect();
    assert_eq!(named, ["localhost", "web1"], "{listed}");
    assert_eq!(listed["hosts"][0]["is_there"], true);
    assert_eq!(listed["hosts"][1]["address"], "192.0.2.1");
    let left = listed["left"].to_string();
    assert!(left.contains("inventory/dynamic.py is code"), "{left}");
    assert!(
        left.contains("group_vars/nobody/vault.yml is vaulted"),
        "{left}"
    );
    let ran = fresh.home.scratch().join("ran");
    let code = ["catalogue", "hosts", "homelab", "--run-code"];
    fresh
        .run(&[&code[..], &["--no-input"]].concat())
        .expect_code(2);
    assert!(
        !ran.exists(),
        "code of a repository ran before a person said so"
    );
    fresh
        .run(&[&code[..], &["--take", "--no-input"]].concat())
        .expect_code(2);

    // Twice: what was taken before does not stand in its own way.
    for _ in 0..2 {
        let taken = fresh
            .run(&["catalogue", "hosts", "homelab", "--take", "--yes", "--json"])
            .expect_code(0);
        assert_eq!(json(&taken.stdout)["taken"], true);
    }
    let shown = fresh.run(&["inventory", "show", "--json"]).expect_code(0);
    let shown = json(&shown.stdout);
    let names: Vec<&str> = shown["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|host| host["name"].as_str())
        .collect();
    assert_eq!(names, ["localhost", "web1"]);
    let taken = fresh.home.path().join("inventory/taken/homelab.yml");
    let text = fs::read_to_string(&taken).unwrap();
    assert!(text.contains("\"domain\": \"example.org\""), "{text}");
    assert!(
        text.contains("ansible_user") && !text.contains("motd"),
        "how it is reached, and not what travels with the playbooks: {text}"
    );

    // Written beside it later: named, with both places.
    let hosts_yml = fresh.home.path().join("inventory/hosts.yml");
    let mine = fs::read_to_string(&hosts_yml).unwrap();
    fs::write(&hosts_yml, format!("{mine}    web1: {{}}\n")).unwrap();
    let clash = fresh.run(&["inventory", "check"]).expect_code(1);
    assert!(
        clash.stdout.contains("taken/homelab.yml"),
        "{}",
        clash.stdout
    );
    fs::write(&hosts_yml, mine).unwrap();

    let with_code = fresh
        .run(&[&code[..], &["--yes", "--json"]].concat())
        .expect_code(0);
    assert!(
        with_code.stdout.contains("dyn1") && ran.exists(),
        "{}",
        with_code.stdout
    );
    fresh
        .run(&["catalogue", "remove", "homelab"])
        .expect_code(0);
    assert!(!taken.exists());
    fresh.run(&["catalogue", "hosts", "homelab"]).expect_code(3);
}

/// The name in the help can be followed as it stands; one that says what another entry does is named at once.
#[test]
fn a_new_name_that_comes_too_near_is_said_at_once() {
    let fresh = Fresh::new();
    let new = |name: &str| {
        json(
            &fresh
                .run(&["catalogue", "new", name, "--json"])
                .expect_code(0)
                .stdout,
        )
    };
    let far = new("dim_lamp");
    assert!(far["near"].is_null(), "{far:#}");
    let near = new("restart_wifi");
    assert!(
        near["near"].to_string().contains("service_restart"),
        "{near:#}"
    );
    let told = fresh
        .run(&["catalogue", "new", "restart_wlan"])
        .expect_code(0);
    assert!(told.stdout.contains("too near"), "{}", told.stdout);
}

#[test]
fn a_new_entry_loads_and_runs_as_it_was_written() {
    let fresh = Fresh::new();
    fresh.run(&["catalogue", "new", "say_it"]).expect_code(0);
    fresh.run(&["catalogue", "new", "say_it"]).expect_code(5);
    fresh.run(&["catalogue", "new", "Say-It"]).expect_code(2);
    fresh.run(&["catalogue", "check"]).expect_code(0);
    let run = [
        "catalogue",
        "run",
        "say_it",
        "name=x",
        "--on",
        "localhost",
        "--yes=2",
    ];
    fresh.run(&run).expect_code(0);
}

/// Whoever asks for what is not there is told the nearest name, or why nothing of a repository is.
#[test]
fn what_cannot_be_shown_is_told_with_the_way_out() {
    let fresh = Fresh::bare();
    let repository = fresh.home.scratch().join("lab");
    std::fs::create_dir_all(&repository).unwrap();
    let play = "- name: One\n  hosts: all\n  tasks: []\n";
    std::fs::write(repository.join("one.yml"), play).unwrap();
    std::fs::write(repository.join("new\nline.yml"), play).unwrap();
    let added = fresh
        .run(&["catalogue", "add", repository.to_str().unwrap()])
        .expect_code(0);
    assert!(added.stdout.contains("new\\nline.yml"), "{}", added.stdout);
    let near = fresh.run(&["catalogue", "show", "restart"]).expect_code(3);
    assert!(near.stderr.contains("service_restart"), "{}", near.stderr);
    fresh.run(&["catalogue", "show", "lab_one"]).expect_code(0);
    let copy = fresh.home.path().join("catalogue/added/lab/tree/one.yml");
    std::fs::write(&copy, format!("{play}# edited\n")).unwrap();
    let lost = fresh.run(&["catalogue", "show", "lab_one"]).expect_code(3);
    for wanted in [
        "was changed since it was added",
        "chiffon catalogue update lab",
    ] {
        assert!(lost.stderr.contains(wanted), "{}", lost.stderr);
    }
}
