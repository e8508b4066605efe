//! The ways through a playbook, and what stands around its tasks.

use super::*;

#[test]
fn the_way_leads_through_roles_includes_handlers_and_imported_playbooks() {
    let trap = "- shell: x\n  check_mode: false\n";
    let copy = "- copy: {dest: /x, content: y}\n";
    for (files, place) in [
        (
            &[
                ("playbooks/p.yml", "- import_playbook: q.yml\n"),
                (
                    "playbooks/q.yml",
                    "- hosts: all\n  tasks:\n  - shell: x\n    check_mode: false\n",
                ),
            ][..],
            "playbooks/q.yml:3",
        ),
        (
            &[
                (
                    "playbooks/p.yml",
                    "- hosts: all\n  check_mode: false\n  roles: [r]\n",
                ),
                ("roles/r/tasks/main.yml", copy),
            ],
            "roles/r/tasks/main.yml:1",
        ),
        (
            &[
                (
                    "playbooks/p.yml",
                    "- hosts: all\n  roles: [{role: r, check_mode: no}]\n",
                ),
                ("roles/r/tasks/main.yml", copy),
            ],
            "roles/r/tasks/main.yml:1",
        ),
        (
            &[(
                "playbooks/p.yml",
                "- hosts: all\n  tasks: []\n  handlers:\n  - shell: x\n    check_mode: false\n",
            )],
            "playbooks/p.yml:4",
        ),
        (
            &[(
                "playbooks/p.yml",
                "- hosts: all\n  pre_tasks:\n  - shell: x\n    check_mode: false\n",
            )],
            "playbooks/p.yml:3",
        ),
        (
            &[
                (
                    "playbooks/p.yml",
                    "- hosts: all\n  post_tasks:\n  - import_tasks: more/t.yml\n",
                ),
                ("playbooks/more/t.yml", trap),
            ],
            "playbooks/more/t.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                ("roles/r/tasks/main.yml", copy),
                ("roles/r/handlers/main.yml", trap),
            ],
            "roles/r/handlers/main.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                ("roles/r/handlers/main.yaml", "- include_tasks: h.yml\n"),
                ("roles/r/handlers/h.yml", trap),
            ],
            "roles/r/handlers/h.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                ("roles/r/meta/main.yml", "dependencies:\n- role: s\n"),
                ("roles/s/tasks/main.yml", trap),
            ],
            "roles/s/tasks/main.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                (
                    "roles/r/tasks/main.yml",
                    "- include_role: name=s tasks_from=deep.yml\n",
                ),
                ("roles/s/tasks/deep.yml", trap),
            ],
            "roles/s/tasks/deep.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                (
                    "roles/r/tasks/main.yml",
                    "- block:\n  - include_tasks: a.yml\n  check_mode: false\n",
                ),
                ("roles/r/tasks/a.yml", copy),
            ],
            "roles/r/tasks/a.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                (
                    "roles/r/tasks/main.yml",
                    "- include_tasks:\n    file: a.yml\n    apply: {check_mode: false}\n- include_tasks: a.yml\n",
                ),
                ("roles/r/tasks/a.yml", copy),
            ],
            "roles/r/tasks/a.yml:1",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                (
                    "roles/r/templates/a.j2",
                    "# one\n{{ lookup('pipe', 'id') }}\n",
                ),
            ],
            "roles/r/templates/a.j2:2",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                (
                    "roles/r/defaults/main.yml",
                    "a: 1\nb: \"{{ lookup('pipe', 'id') }}\"\n",
                ),
            ],
            "roles/r/defaults/main.yml:2",
        ),
        (
            &[
                ("playbooks/p.yml", PLAY),
                ("roles/r/tasks/main.yml", copy),
                ("group_vars/all", "a: \"{{ lookup('pipe', 'id') }}\"\n"),
            ],
            "group_vars/all:1",
        ),
        (
            &[
                (
                    "playbooks/p.yml",
                    "- hosts: all\n  vars_files: [../elsewhere/v.yml]\n  tasks: []\n",
                ),
                ("elsewhere/v.yml", "a: \"{{ lookup('pipe', 'id') }}\"\n"),
            ],
            "elsewhere/v.yml:1",
        ),
    ] {
        let files: Vec<(&str, &str)> = files.to_vec();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files);
        let mut tree = Tree::read(folder.path());
        // A folder that no catalogue has, beside the ones that are read.
        for (path, content) in &files {
            tree.files
                .entry((*path).to_owned())
                .or_insert_with(|| TreeFile {
                    executable: false,
                    content: content.as_bytes().into(),
                });
        }
        let all = tree.files.keys().cloned().collect();
        let scan = Scanner::new(&tree).scan("playbooks/p.yml", &all, &BTreeSet::new());
        assert_eq!(scan.fidelity, Acts, "{files:#?}\n{:#?}", scan.lowered_by());
        let because = scan.lowered_by();
        assert!(
            because[0].starts_with(&format!("{place}: ")),
            "{because:#?}"
        );
    }
}

#[test]
fn plays_and_code_of_the_catalogues_own_are_judged() {
    let with = |play: &str, more: &[(&str, &str)]| {
        let mut files = vec![
            ("playbooks/p.yml", play),
            ("roles/r/tasks/main.yml", "- copy: {dest: /x, content: y}\n"),
        ];
        files.extend(more);
        scanned(&files)
    };
    let play = |words: &str| format!("- hosts: all\n  {words}\n  roles: [r]\n");
    for (words, fidelity, tier, reason) in [
        ("vars_files: ['{{ x }}.yml']", Blind, One, "which variables"),
        (
            "vars_files: [/etc/x.yml]",
            Blind,
            Two,
            "are not in the catalogue",
        ),
        ("vars_prompt: [{name: x}]", Blind, One, "asks a person"),
        ("strategy: mitogen_linear", Blind, One, "`strategy` changes"),
        ("strategy: free", Exact, One, ""),
        ("connection: local", Simulated, Two, "`connection: local`"),
        ("run_once: true", Simulated, One, "`run_once`"),
        (
            "vars: {ansible_connection: local}",
            Simulated,
            One,
            "`ansible_connection: local`",
        ),
        (
            "tasks: [{include_tasks: '{{ a }}'}]",
            Blind,
            Two,
            "which tasks",
        ),
    ] {
        said(&with(&play(words), &[]), words, fidelity, tier, reason);
    }
    said(
        &with("- hosts: localhost\n  roles: [r]\n", &[]),
        "localhost",
        Simulated,
        Two,
        "where Ansible runs",
    );
    said(
        &with("- hosts: web\n  roles: [r]\n", &[]),
        "web",
        Simulated,
        One,
        "chooses among",
    );
    said(
        &with("- import_playbook: '{{ x }}.yml'\n", &[]),
        "import",
        Blind,
        Two,
        "which playbook",
    );
    said(
        &with("- import_playbook: nowhere.yml\n", &[]),
        "import",
        Blind,
        Two,
        "is not in the catalogue",
    );
    for (path, text) in [
        ("playbooks/filter_plugins/x.py", "x"),
        ("roles/r/action_plugins/copy.py", "x"),
        ("module_utils/basic.py", "x"),
        ("group_vars/all", "$ANSIBLE_VAULT;1.1;AES256\n61\n"),
        (
            "roles/r/templates/x",
            "#jinja2: variable_start_string:'[%'\n[% lookup('pipe', 'id') %]\n",
        ),
    ] {
        let scan = with(PLAY, &[(path, text)]);
        assert_eq!(scan.fidelity, Blind, "{path}: {:?}", scan.lowered_by());
    }
    let module = |support: &str| {
        format!(
            "#!/usr/bin/python\nDOCUMENTATION = r'''\nmodule: copy\nattributes:\n  check_mode:\n    support: {support}\n'''\n"
        )
    };
    for (text, fidelity) in [
        (module("full"), Simulated),
        (module("none"), Blind),
        ("#!/bin/sh\n".to_owned(), Blind),
    ] {
        // One of the catalogue's own stands before one of ansible-core of the same name.
        let scan = with(PLAY, &[("playbooks/library/copy.py", &text)]);
        assert_eq!(scan.fidelity, fidelity, "{text}: {:?}", scan.lowered_by());
    }
}

/// Ansible templates them when it validates the arguments of a role, before its first task.
#[test]
fn specifications_of_arguments_are_read() {
    let specs = "argument_specs:\n  main:\n    options:\n      a:\n        default: \"{{ lookup('pipe', 'id') }}\"\n";
    for path in [
        "roles/r/meta/argument_specs.yml",
        "roles/r/meta/argument_specs.yaml",
        "roles/r/meta/main.yml",
    ] {
        let scan = scanned(&[
            ("playbooks/p.yml", PLAY),
            ("roles/r/tasks/main.yml", "- ping:\n"),
            (path, specs),
        ]);
        let reason = format!("{path}:5: the lookup `pipe` acts");
        said(&scan, path, Acts, Two, &reason);
    }
    let harmless = specs.replace("pipe', 'id'", "env', 'HOME'");
    let scan = scanned(&[
        ("playbooks/p.yml", PLAY),
        ("roles/r/tasks/main.yml", "- ping:\n"),
        ("roles/r/meta/argument_specs.yml", &harmless),
    ]);
    said(&scan, &harmless, Exact, Zero, "");
}

/// An environment can have every module load or call what its author likes.
#[test]
fn an_environment_that_says_what_runs_is_no_report() {
    for (value, fidelity, tier) in [
        ("{LC_ALL: C, RESTIC_REPOSITORY: /mnt/b}", Exact, Zero),
        ("{LD_PRELOAD: /tmp/x.so}", Blind, One),
        ("[{LC_ALL: C}, {PYTHONPATH: /tmp}]", Blind, One),
        ("{PATH: /tmp}", Simulated, One),
        ("\"{{ proxy }}\"", Simulated, One),
    ] {
        let text = format!("- ping:\n  environment: {value}\n");
        check(&text, fidelity, tier, "`environment`");
    }
    let play = "- hosts: all\n  environment: {LD_PRELOAD: /x}\n  tasks: [{ping: {}}]\n";
    let scan = scanned(&[("playbooks/p.yml", play)]);
    assert_eq!((scan.fidelity, scan.tier), (Blind, One));
}

/// That a command only reads is believed of one that stands there.
#[test]
fn nobody_vouches_for_a_program_that_only_the_run_names() {
    for (call, tier) in [
        ("command: id", Zero),
        ("command: systemctl show {{ name }}", Zero),
        ("command: {argv: [systemctl, show, \"{{ name }}\"]}", Zero),
        ("command: \"{{ what }}\"", One),
        ("command: {argv: [\"{{ what }}\", x]}", One),
        ("command: {cmd: \"{{ what }} x\"}", One),
        ("shell: \"{{ what }}\"", One),
        ("raw: \"{{ what }}\"", One),
    ] {
        let scan = tasks(&format!("- {call}\n  changed_when: false\n"));
        assert_eq!(scan.tier, tier, "{call}");
    }
}
