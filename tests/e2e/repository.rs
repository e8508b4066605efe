//! A repository of somebody's own: added as it is with the real program, accepted, run by a real Ansible, updated.

use std::fs;

use serde_json::Value;

use crate::fresh::{Fresh, json};

/// A repository beside the data folder, in the shape of many: playbooks at the top, a role without a declaration, an
/// inventory and a vaulted file.
fn repository(fresh: &Fresh) -> String {
    let at = fresh.home.path().join("homelab");
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
            "[web]\nweb1 ansible_host=192.0.2.1\n",
        ),
        (
            "inventory/dynamic.py",
            "#!/bin/sh\ntouch /tmp/chiffon-never\n",
        ),
        (
            "group_vars/nobody/vault.yml",
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        ),
    ];
    for (path, text) in files {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
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
    assert_eq!(parameters[1]["required"], true);
    assert_eq!(added["broken"][0]["file"], "broken.yml");
    assert_eq!(texts(&added["inventories"]), ["inventory/hosts.ini"]);
    assert_eq!(texts(&added["inventory_code"]), ["inventory/dynamic.py"]);
    assert_eq!(texts(&added["vaulted"]), ["group_vars/nobody/vault.yml"]);
    let left = added["left"].to_string();
    assert!(left.contains("strategy is not obeyed"), "{left}");
    fresh.run(&["catalogue", "add", &from]).expect_code(5);

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
        .path()
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
