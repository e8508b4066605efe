//! Every trap that a playbook may hold, by what it makes of the fidelity and the tier, and where it is named.

use std::{fs, path::Path};

use chiffon_common::{Fidelity, Tier};

use super::{super::tree::Tree, Scan, Scanner};

const PLAY: &str = "- hosts: all\n  gather_facts: false\n  roles: [r]\n";

fn scanned(files: &[(&str, &str)]) -> Scan {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let tree = Tree::read(folder.path());
    let files = tree.files.keys().cloned().collect();
    Scanner::new(&tree).scan("playbooks/p.yml", &files)
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// The scan of a role with these tasks.
fn tasks(text: &str) -> Scan {
    scanned(&[("playbooks/p.yml", PLAY), ("roles/r/tasks/main.yml", text)])
}

#[track_caller]
fn check(text: &str, fidelity: Fidelity, tier: Tier, reason: &str) {
    said(&tasks(text), text, fidelity, tier, reason);
}

#[track_caller]
fn said(scan: &Scan, text: &str, fidelity: Fidelity, tier: Tier, reason: &str) {
    let because = scan.lowered_by();
    assert_eq!(
        (scan.fidelity, scan.tier),
        (fidelity, tier),
        "{text}\n{because:#?}"
    );
    match fidelity {
        Fidelity::Exact => assert!(because.is_empty(), "{text}\n{because:#?}"),
        _ => assert!(because[0].contains(reason), "{text}\n{because:#?}"),
    }
}

use Fidelity::{Acts, Blind, Exact, Simulated};
use Tier::{One, Two, Zero};

#[test]
fn what_shows_everything_is_exact() {
    for (text, tier) in [
        ("- ansible.builtin.copy: {dest: /x, content: y}\n", One),
        ("- template: {dest: /x, src: y.j2}\n", One),
        ("- file: path=/x state=absent\n", One),
        (
            "- lineinfile: {path: /x, line: y}\n  when: a is defined\n  notify: z\n  register: q\n",
            One,
        ),
        ("- action: copy dest=/x content=y\n", One),
        (
            "- stat: {path: /x}\n  check_mode: false\n  register: a\n- debug: {var: a}\n",
            Zero,
        ),
        (
            "- slurp: {src: /x}\n- assert: {that: [a == 1]}\n- set_fact: {a: 1}\n  check_mode: no\n",
            Zero,
        ),
        (
            "- debug: msg=\"{{ lookup('env', 'HOME') }} {{ lookup('ansible.builtin.file', 'x') }}\"\n",
            Zero,
        ),
        (
            "- debug: {msg: \"{{ query('fileglob', '*') | length }}\"}\n  with_items: [1]\n",
            Zero,
        ),
        (
            "- debug: {msg: !unsafe \"{{ lookup('pipe', 'id') }}\"}\n",
            Zero,
        ),
        (
            "- debug: {msg: \"{# lookup('pipe', 'id') #}lookup is a word, and q and query\"}\n",
            Zero,
        ),
        (
            "- debug: {msg: \"{{ item.query }} {{ f(query=1) }}\"}\n",
            Zero,
        ),
        ("- command: reboot\n  check_mode: true\n", One),
        ("- meta: flush_handlers\n- meta: reset_connection\n", Zero),
        (
            "- block:\n  - copy: {dest: /x, content: y}\n  rescue:\n  - fail: {msg: no}\n  always:\n  - debug: {msg: y}\n",
            One,
        ),
        (
            "- block:\n  - copy: {dest: '{{ b }}/before', src: /x, remote_src: true}\n    changed_when: false\n  - file: {path: '{{ i }}', state: directory}\n    loop: [/var/lib/chiffon/backup, '{{ b }}']\n    loop_control: {loop_var: i}\n  when: not ansible_check_mode\n  vars: {b: '/var/lib/chiffon/backup/{{ chiffon_run_id }}'}\n",
            One,
        ),
        ("- uri: {url: http://x}\n  check_mode: false\n", Zero),
        ("[]\n", Zero),
    ] {
        check(text, Exact, tier, "");
    }
}

#[test]
fn what_acts_in_a_check_run_is_never_previewed() {
    for (text, tier, reason) in [
        (
            "- name: x\n  copy: {dest: /x, content: y}\n  check_mode: false\n",
            One,
            "roles/r/tasks/main.yml:2: `copy` runs in a check run too",
        ),
        (
            "- shell: x\n  check_mode: no\n",
            One,
            "main.yml:1: `shell` runs",
        ),
        ("- shell: x\n  check_mode: 'no'\n", One, "`shell` runs"),
        (
            "- raw: x\n  check_mode: '{{ a }}'\n  changed_when: false\n",
            Zero,
            "`raw` runs",
        ),
        ("- script: x.sh\n  always_run: true\n", One, "`script` runs"),
        (
            "- block:\n  - block:\n    - file: {path: /x, state: touch}\n  check_mode: false\n",
            One,
            "main.yml:3: `file` runs",
        ),
        (
            "- block:\n  - fail:\n  rescue:\n  - command: x\n    check_mode: false\n",
            One,
            "`command` runs",
        ),
        (
            "- fetch: {src: /x, dest: /y}\n  check_mode: false\n",
            Two,
            "`fetch` runs",
        ),
        (
            "- uri: {url: http://x, method: POST}\n  check_mode: false\n",
            One,
            "`uri` runs",
        ),
        (
            "- debug: {msg: \"{{ lookup('pipe', 'id') }}\"}\n",
            Zero,
            "main.yml:1: the lookup `pipe` acts",
        ),
        (
            "- debug:\n    msg: >-\n      a {{ query( \"ansible.builtin.pipe\" , 'id') }}\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: \"{{ '}}' ~ q('lines', 'id') }}\"}\n",
            Zero,
            "the lookup `lines` acts",
        ),
        (
            "- debug: {msg: \"{% set x = lookup('url', 'http://x') %}\"}\n",
            Zero,
            "the lookup `url` acts",
        ),
        (
            "- debug: {msg: \"{{ lookup('password', '/x') }}\"}\n",
            Zero,
            "the lookup `password` acts",
        ),
        (
            "- debug: {msg: \"{{ lookup('pi' ~ 'pe', 'id') }}\"}\n",
            Zero,
            "name is found only by the run",
        ),
        (
            "- debug: {msg: \"{{ lookup(p, 'id') }}\"}\n",
            Zero,
            "name is found only by the run",
        ),
        (
            "- debug: {msg: x}\n  when: lookup('pipe', 'id') == ''\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  when:\n    - true\n    - lookup('pipe', 'id') == ''\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- assert: {that: \"q('pipe', 'id')\"}\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  vars: {c: \"lookup('pipe', 'id') == ''\"}\n  when: c\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: '{{ item }}'}\n  with_pipe: [id]\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- name: \"{{ lookup('pipe', 'id') }}\"\n  debug: {msg: x}\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  environment:\n    \"{{ lookup('pipe', 'id') }}\": y\n",
            Zero,
            "the lookup `pipe` acts",
        ),
        (
            "- assemble: {src: /x, dest: /y, validate: 'sh %s'}\n",
            One,
            "`assemble` runs its `validate`",
        ),
    ] {
        check(text, Acts, tier, reason);
    }
}

#[test]
fn what_is_skipped_or_cannot_be_followed_is_blind() {
    for (text, tier, reason) in [
        (
            "- command: x\n",
            One,
            "main.yml:1: `command` does nothing in check mode",
        ),
        (
            "- command: x\n  changed_when: false\n",
            Zero,
            "`command` does nothing",
        ),
        (
            "- ansible.builtin.shell: x\n",
            One,
            "`ansible.builtin.shell` does nothing",
        ),
        ("- script: x.sh\n", One, "`script` does nothing"),
        ("- raw: x creates=y\n", One, "`raw` does nothing"),
        (
            "- expect: {command: x, responses: {}, creates: /y}\n",
            One,
            "`expect` does nothing",
        ),
        (
            "- fetch: {src: /x, dest: /y}\n",
            Two,
            "`fetch` does nothing",
        ),
        ("- tempfile:\n", One, "`tempfile` does nothing"),
        (
            "- uri: {url: http://x, method: PUT}\n",
            One,
            "`uri` does nothing",
        ),
        (
            "- apt: {name: x}\n  async: 60\n  poll: 0\n",
            One,
            "`async` cannot be used",
        ),
        (
            "- include_tasks: '{{ x }}.yml'\n",
            Zero,
            "which tasks it includes",
        ),
        (
            "- import_tasks: ../../../x.yml\n",
            Zero,
            "not in the catalogue",
        ),
        (
            "- include_tasks: {file: x.yml, apply: {check_mode: false}}\n",
            Zero,
            "not in the catalogue",
        ),
        (
            "- include_tasks: /etc/x.yml\n",
            Zero,
            "not in the catalogue",
        ),
        (
            "- include_role: {name: '{{ x }}'}\n",
            Zero,
            "which role it means",
        ),
        ("- include_role: {name: nowhere}\n", Zero, "cannot be read"),
        (
            "- import_role: {name: r, tasks_from: '{{ x }}'}\n",
            Zero,
            "which role it means",
        ),
        (
            "- include_vars: '{{ ansible_os_family }}.yml'\n",
            Zero,
            "which variables",
        ),
        (
            "- include_vars: {dir: '{{ x }}'}\n",
            Zero,
            "which variables",
        ),
        (
            "- docker_container: {name: x}\n",
            One,
            "what `docker_container` does",
        ),
        (
            "- community.general.ufw: {rule: allow}\n",
            One,
            "what `community.general.ufw` does",
        ),
        (
            "- copy: {dest: /x, content: y}\n  collections: [a.b]\n",
            One,
            "what `copy` does",
        ),
        (
            "- copy: {dest: /x, content: y}\n  when: not ansible_check_mode\n",
            One,
            "is left out of a check run",
        ),
        (
            "- template: {src: '{{ x }}', dest: /y, variable_start_string: '[['}\n",
            One,
            "template cannot be read",
        ),
        (
            "- template: {src: ../x, dest: /y}\n",
            One,
            "template cannot be read",
        ),
        (
            "- debug: {msg: \"{{ lookup('community.hashi_vault.x', 'y') }}\"}\n",
            Zero,
            "nobody can say",
        ),
        (
            "- debug: {msg: \"{% set l = lookup %}{{ l('pipe', 'id') }}\"}\n",
            Zero,
            "another name",
        ),
        (
            "- debug: {msg: \"{{ [query][0]('pipe', 'id') }}\"}\n",
            Zero,
            "another name",
        ),
        (
            "- debug: {msg: \"{{ x.__class__ }}\"}\n",
            Zero,
            "what Jinja is made of",
        ),
        (
            "- debug: {msg: \"{% include '/etc/passwd' %}\"}\n",
            Zero,
            "`include` leads to",
        ),
        (
            "- debug: {msg: \"{{ lookup('template', '/etc/x') }}\"}\n",
            Zero,
            "cannot be named",
        ),
        (
            "- debug: {msg: \"{{ x | ansible.utils.ipaddr }}\"}\n",
            Zero,
            "not of ansible-core",
        ),
        (
            "- ping:\n  vars: {ansible_python_interpreter: /x/evil.sh}\n",
            Zero,
            "changes what Ansible itself runs",
        ),
        (
            "- ping:\n  vars: {ansible_ssh_common_args: '-o ProxyCommand=x'}\n",
            Zero,
            "changes what Ansible",
        ),
        (
            "- set_fact: {ansible_become_exe: /x}\n",
            Zero,
            "changes what Ansible",
        ),
        (
            "- ping:\n  connection: community.docker.docker\n",
            Zero,
            "this `connection`",
        ),
        ("- ping:\n  become_exe: /x\n", Zero, "`become_exe` changes"),
        (
            "- ping:\n  copy: {dest: /x}\n",
            Zero,
            "no module, or more than one",
        ),
        ("- name: nothing\n", Zero, "names no module"),
        ("- 7\n", Zero, "is no task"),
        ("tasks: {}\n", Zero, "is no list of tasks"),
        ("- copy: [\n", Zero, "cannot be read as YAML"),
    ] {
        check(text, Blind, tier, reason);
    }
}

#[test]
fn what_predicts_is_simulated() {
    for (text, tier, reason) in [
        ("- apt: {name: x}\n", One, "`apt` in check mode predicts"),
        (
            "- service: {name: x, state: restarted}\n",
            One,
            "`service` in check mode",
        ),
        (
            "- command: x\n  args: {creates: /y}\n",
            One,
            "whether it would run",
        ),
        ("- shell: x removes=/y\n", One, "whether it would run"),
        ("- script: x.sh creates=/y\n", One, "whether it would run"),
        (
            "- copy: {dest: /x, content: y}\n  changed_when: false\n",
            One,
            "`changed_when`",
        ),
        (
            "- copy: {dest: /x, content: y}\n  no_log: true\n",
            One,
            "shows no difference",
        ),
        (
            "- copy: {dest: /x, content: y}\n  diff: false\n",
            One,
            "shows no difference",
        ),
        (
            "- stat: {path: /x}\n  delegate_to: localhost\n",
            Zero,
            "`delegate_to` leads",
        ),
        (
            "- copy: {dest: /x, content: y}\n  delegate_to: '{{ other }}'\n",
            Two,
            "`delegate_to` leads",
        ),
        (
            "- local_action: copy dest=/x content=y\n",
            Two,
            "`local_action` acts",
        ),
        (
            "- local_action: {module: copy, dest: /x, content: y}\n",
            Two,
            "`local_action` acts",
        ),
        (
            "- copy: {dest: /x, content: y}\n  connection: local\n",
            Two,
            "`connection: local` acts",
        ),
        (
            "- copy: {dest: /x, content: y}\n  run_once: true\n",
            One,
            "`run_once`",
        ),
        ("- add_host: {name: x}\n", Two, "`add_host` brings"),
        (
            "- meta: end_host\n- copy: {dest: /x, content: y}\n",
            One,
            "`meta: end_host`",
        ),
        (
            "- uri: {url: http://x}\n  register: a\n",
            Zero,
            "`uri` gives no result",
        ),
        (
            "- wait_for: {port: 80}\n",
            Zero,
            "`wait_for` gives no result",
        ),
        (
            "- set_fact: {a: 1}\n  when: ansible_check_mode\n",
            Zero,
            "something else in a check run",
        ),
        (
            "- block:\n  - fail:\n  rescue:\n  - copy: {dest: /x, content: y}\n",
            One,
            "what `rescue` does",
        ),
        (
            "- debug: {msg: \"{{ [1, 2] | random }} {{ now() }}\"}\n",
            Zero,
            "something else in every run",
        ),
        (
            "- debug: {msg: \"{{ lookup('random_choice', [1, 2]) }}\"}\n",
            Zero,
            "something else in every run",
        ),
        (
            "- debug: {msg: \"{{ ansible_date_time.iso8601 }}\"}\n",
            Zero,
            "something else in every run",
        ),
    ] {
        check(text, Simulated, tier, reason);
    }
    check(
        "- copy: {dest: /x, content: y}\n  delegate_to: \"{{ inventory_hostname }}\"\n",
        Exact,
        One,
        "",
    );
}

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
                .or_insert_with(|| super::super::tree::TreeFile {
                    executable: false,
                    content: content.as_bytes().into(),
                });
        }
        let all = tree.files.keys().cloned().collect();
        let scan = Scanner::new(&tree).scan("playbooks/p.yml", &all);
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
            One,
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
            One,
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
        Zero,
        "which playbook",
    );
    said(
        &with("- import_playbook: nowhere.yml\n", &[]),
        "import",
        Blind,
        Zero,
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

#[test]
fn circles_depth_and_floods_are_bounded() {
    let circle = scanned(&[
        (
            "playbooks/p.yml",
            "- import_playbook: p.yml\n- hosts: all\n  roles: [r]\n",
        ),
        ("roles/r/meta/main.yml", "dependencies: [r]\n"),
        (
            "roles/r/tasks/main.yml",
            "- include_tasks: main.yml\n- include_role: {name: r}\n- copy: {dest: /x, content: y}\n",
        ),
    ]);
    assert_eq!(
        (circle.fidelity, circle.tier),
        (Exact, One),
        "{:?}",
        circle.lowered_by()
    );
    // Each of these includes the next twice, with other words each time.
    let texts: Vec<(String, String)> = (0..60)
        .map(|n| {
            let next = n + 1;
            (format!("roles/r/tasks/t{n}.yml"), format!("- include_tasks: t{next}.yml\n- include_tasks: t{next}.yml\n  no_log: true\n- include_tasks: t{next}.yml\n  check_mode: true\n"))
        })
        .collect();
    let mut files = vec![
        ("playbooks/p.yml", PLAY),
        ("roles/r/tasks/main.yml", "- include_tasks: t0.yml\n"),
    ];
    files.extend(
        texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str())),
    );
    let deep = scanned(&files);
    assert_eq!(deep.fidelity, Blind);
    let flood = tasks(&"- shell: x\n".repeat(30_000));
    assert_eq!((flood.fidelity, flood.tier), (Blind, One));
    assert!(flood.lowered_by().len() <= super::MAX_FINDINGS && !flood.raised_by().is_empty());
}

/// Whatever stands in the files: an answer, the same every time, and no panic.
#[test]
fn random_playbooks_are_answered_the_same_every_time() {
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("seed {seed}");
    let mut state = seed | 1;
    let mut dice = |sides: usize| {
        // xorshift64*, good enough to mix words.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    };
    let words = [
        "- ",
        "  ",
        "\n",
        ": ",
        "copy",
        "shell",
        "block",
        "rescue",
        "include_tasks",
        "main.yml",
        "when",
        "vars",
        "{{ ",
        " }}",
        "{% ",
        "%}",
        "lookup(",
        "'pipe'",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        "check_mode",
        "no",
        "dest",
        "/x",
        "loop",
        "with_",
        "with_pipe",
        "action",
        "local_action",
        "module",
        "\\",
        "ü",
        "\u{202e}",
        "!unsafe ",
        "&a ",
        "*a",
        "#",
        "|",
        ">-\n",
        "args",
        "apply",
        "name",
        "tasks_from",
        "..",
        "/",
        "{#",
        "hosts",
        "all",
        "roles",
        "r",
        "0",
        "-1",
        "~",
        "async",
        "meta",
        "q(",
        "__",
        "import_role",
    ];
    for round in 0..800 {
        let mut text = |length: usize| {
            (0..length)
                .map(|_| words[dice(words.len())])
                .collect::<String>()
        };
        let (tasks, play, template) = (text(40), text(25), text(30));
        let play = if round % 3 == 0 {
            play
        } else {
            PLAY.to_owned()
        };
        let mut tree = Tree::default();
        for (path, content) in [
            ("playbooks/p.yml", &play),
            ("roles/r/tasks/main.yml", &tasks),
            ("roles/r/templates/t", &template),
            ("roles/r/defaults/main.yml", &template),
        ] {
            tree.files.insert(
                path.to_owned(),
                super::super::tree::TreeFile {
                    executable: false,
                    content: content.as_bytes().into(),
                },
            );
        }
        let files = tree.files.keys().cloned().collect();
        let once = Scanner::new(&tree).scan("playbooks/p.yml", &files);
        let again = Scanner::new(&tree).scan("playbooks/p.yml", &files);
        assert_eq!(once, again, "{play}\n{tasks}\n{template}");
    }
}
