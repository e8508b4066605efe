//! Every trap that a playbook may hold, by what it makes of the fidelity and the tier, and where it is named.

use std::{collections::BTreeSet, fs, path::Path};

use chiffon_common::{Fidelity, Tier};

use super::{
    super::tree::{Tree, TreeFile},
    MAX_FINDINGS, Scan, Scanner,
};

mod bounds;
mod lowered;
mod ways;

const PLAY: &str = "- hosts: all\n  gather_facts: false\n  roles: [r]\n";

fn scanned(files: &[(&str, &str)]) -> Scan {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let tree = Tree::read(folder.path());
    let files = tree.files.keys().cloned().collect();
    Scanner::new(&tree).scan("playbooks/p.yml", &files, &BTreeSet::new())
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
            Two,
            "main.yml:1: the lookup `pipe` acts",
        ),
        (
            "- debug:\n    msg: >-\n      a {{ query( \"ansible.builtin.pipe\" , 'id') }}\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: \"{{ '}}' ~ q('lines', 'id') }}\"}\n",
            Two,
            "the lookup `lines` acts",
        ),
        (
            "- debug: {msg: \"{% set x = lookup('url', 'http://x') %}\"}\n",
            One,
            "the lookup `url` acts",
        ),
        (
            "- debug: {msg: \"{{ lookup('password', '/x') }}\"}\n",
            Two,
            "the lookup `password` acts",
        ),
        (
            "- debug: {msg: \"{{ lookup('pi' ~ 'pe', 'id') }}\"}\n",
            Two,
            "name is found only by the run",
        ),
        (
            "- debug: {msg: \"{{ lookup(p, 'id') }}\"}\n",
            Two,
            "name is found only by the run",
        ),
        (
            "- debug: {msg: x}\n  when: lookup('pipe', 'id') == ''\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  when:\n    - true\n    - lookup('pipe', 'id') == ''\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- assert: {that: \"q('pipe', 'id')\"}\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  vars: {c: \"lookup('pipe', 'id') == ''\"}\n  when: c\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: '{{ item }}'}\n  with_pipe: [id]\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- name: \"{{ lookup('pipe', 'id') }}\"\n  debug: {msg: x}\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: x}\n  environment:\n    \"{{ lookup('pipe', 'id') }}\": y\n",
            Two,
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

/// No acceptance has seen what they read, nobody has asked for what they run, and the plan's hosts say nothing of it.
#[test]
fn what_runs_or_reads_where_ansible_runs_raises_the_tier() {
    let file = "the lookup `file` reads a file where Ansible runs";
    for (text, tier, reason) in [
        (
            "- debug: {msg: \"{{ lookup('file', 'a', 'b/c', wantlist=True) }}\"}\n",
            Zero,
            "",
        ),
        ("- debug: {msg: x}\n  with_file: [a, b]\n", Zero, ""),
        (
            "- debug: {msg: \"{{ lookup('file', '/etc/shadow') }}\"}\n",
            One,
            file,
        ),
        (
            "- debug: {msg: \"{{ lookup('file', 'a', '/etc/shadow') }}\"}\n",
            One,
            file,
        ),
        (
            "- debug: {msg: \"{{ lookup('file', '../../x') }}\"}\n",
            One,
            file,
        ),
        ("- debug: {msg: \"{{ lookup('file', a) }}\"}\n", One, file),
        (
            "- debug: {msg: x}\n  with_file: [a, /etc/shadow]\n",
            One,
            file,
        ),
        ("- debug: {msg: x}\n  with_file: '{{ a }}'\n", One, file),
        (
            "- debug: {msg: \"{{ lookup('ini', 'key', file='/etc/x.ini') }}\"}\n",
            One,
            "the lookup `ini` reads",
        ),
        (
            "- slurp: {src: /x}\n  delegate_to: localhost\n",
            One,
            "`slurp` reads a file of a host",
        ),
        (
            "- command: x\n  changed_when: false\n  delegate_to: localhost\n",
            Two,
            "`command` changes its host",
        ),
        (
            "- setup: {fact_path: /x}\n",
            One,
            "`fact_path` runs programs",
        ),
        (
            "- debug: {msg: \"{{ lookup('pipe', 'id') }}\"}\n",
            Two,
            "the lookup `pipe` acts",
        ),
        (
            "- debug: {msg: \"{{ x | a.b.c }}\"}\n",
            One,
            "not of ansible-core",
        ),
    ] {
        let scan = tasks(text);
        assert_eq!(scan.tier, tier, "{text}\n{:#?}", scan.lowered_by());
        let because = scan.raised_by();
        let said = because.iter().any(|one| one.contains(reason));
        assert!(said || tier == Zero, "{text}\n{because:#?}");
    }
    let plugin = scanned(&[
        ("playbooks/p.yml", PLAY),
        ("roles/r/tasks/main.yml", "- ping:\n"),
        ("playbooks/filter_plugins/x.py", "x"),
    ]);
    assert_eq!(plugin.tier, Two, "{:#?}", plugin.raised_by());
}
