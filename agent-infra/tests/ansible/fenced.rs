//! Code comes from the bundle that was approved, whatever a variable says: plays, tasks, roles, variables, templates and
//! scripts from elsewhere are refused when they are loaded. Files that are only data may lie anywhere.

use std::{fs, os::unix::fs::PermissionsExt};

use chiffon_common::ResultStatus;

use crate::room::{LOCALHOST, Room};

/// A folder with a piece of code of each kind, each of which leaves `ran` beside it.
fn outside(room: &Room) -> String {
    let folder = room.path("outside");
    let ran = room.path("ran");
    let touch = format!(
        "- ansible.builtin.copy: {{dest: {}, content: x}}\n",
        ran.display()
    );
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let pipe = format!(
        "x: \"{{{{ lookup('pipe', 'touch {}') }}}}\"\n",
        ran.display()
    );
    write("tasks.yml", &touch);
    write("role/tasks/main.yml", &touch);
    write("vars.yml", &pipe);
    write("folder/vars.yml", &pipe);
    write(
        "template.j2",
        &format!("{{{{ lookup('pipe', 'touch {}') }}}}", ran.display()),
    );
    write(
        "script.sh",
        &format!("#!/bin/sh\ntouch {}\n", ran.display()),
    );
    fs::set_permissions(folder.join("script.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    let play = format!("- hosts: all\n  gather_facts: false\n  tasks:\n    {touch}");
    write("play.yml", &play);
    folder.to_str().unwrap().to_owned()
}

async fn refuses(name: &str, playbook: &str) {
    let mut room = Room::with_files(
        &[
            ("playbooks/trial.yml", playbook),
            ("inventory/hosts.yml", LOCALHOST),
        ],
        &["localhost"],
    );
    let folder = outside(&room);
    room.parameter("there", folder);
    room.parameter("target", room.path("target").to_str().unwrap());
    let ended = room.run().await;
    assert_eq!(
        ended.status,
        ResultStatus::Failed,
        "{name}: {}",
        ended.output
    );
    let problem = ended.error.unwrap();
    let said = format!("{} {}", problem.detail, ended.output);
    assert!(
        said.contains("lies outside of what was approved"),
        "{name}: {said}"
    );
    assert!(!room.path("ran").exists(), "{name} ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_loaded_as_code_from_outside_of_the_bundle() {
    let play = |rest: &str| format!("- hosts: all\n  gather_facts: false\n{rest}");
    for (name, playbook) in [
        (
            "playbook",
            "- import_playbook: \"{{ there }}/play.yml\"\n".to_owned(),
        ),
        ("roles", play("  roles: [\"{{ there }}/role\"]\n")),
        (
            "vars_files",
            play(
                "  vars_files: [\"{{ there }}/vars.yml\"]\n  tasks: [{debug: {msg: \"{{ x }}\"}}]\n",
            ),
        ),
        (
            "import_tasks",
            play("  tasks: [{import_tasks: \"{{ there }}/tasks.yml\"}]\n"),
        ),
        (
            "include_tasks",
            play("  tasks: [{ansible.builtin.include_tasks: \"{{ there }}/tasks.yml\"}]\n"),
        ),
        (
            "include_role",
            play("  tasks: [{include_role: {name: \"{{ there }}/role\"}}]\n"),
        ),
        (
            "include_vars",
            play(
                "  tasks: [{ansible.builtin.include_vars: \"{{ there }}/vars.yml\"}, {debug: {msg: \"{{ x }}\"}}]\n",
            ),
        ),
        (
            "folder of variables",
            play(
                "  tasks: [{include_vars: {dir: \"{{ there }}/folder\"}}, {debug: {msg: \"{{ x }}\"}}]\n",
            ),
        ),
        (
            "template",
            play(
                "  tasks: [{ansible.builtin.template: {src: \"{{ there }}/template.j2\", dest: \"{{ target }}\"}}]\n",
            ),
        ),
        (
            "lookup",
            play(
                "  tasks: [{debug: {msg: \"{{ lookup('template', there + '/template.j2') }}\"}}]\n",
            ),
        ),
        (
            "script",
            play("  tasks: [{ansible.builtin.script: \"{{ there }}/script.sh\"}]\n"),
        ),
    ] {
        refuses(name, &playbook).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_data_may_lie_anywhere() {
    let mut room = Room::new(
        "    - ansible.builtin.include_tasks: more.yml\n    - ansible.builtin.copy: {src: \"{{ there }}/script.sh\", dest: \"{{ target }}\", mode: \"0600\"}\n",
    );
    room.add(
        "playbooks/more.yml",
        "- ansible.builtin.debug: {msg: within}\n",
    );
    let folder = outside(&room);
    room.parameter("there", folder);
    room.parameter("target", room.path("target").to_str().unwrap());
    let ended = room.run().await;
    assert_eq!(
        ended.status,
        ResultStatus::Completed,
        "{:?} {}",
        ended.error,
        ended.output
    );
    assert!(room.path("target").exists() && ended.output.contains("within"));
}
