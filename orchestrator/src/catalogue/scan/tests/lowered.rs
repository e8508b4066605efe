//! What is not acting, and yet less than exact.

use super::*;

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
            Two,
            "which tasks it includes",
        ),
        (
            "- import_tasks: ../../../x.yml\n",
            Two,
            "leads out of the folder",
        ),
        (
            "- include_tasks: {file: x.yml, apply: {check_mode: false}}\n",
            Two,
            "not in the catalogue",
        ),
        (
            "- include_tasks: /etc/x.yml\n",
            Two,
            "leads out of the folder",
        ),
        (
            "- include_role: {name: '{{ x }}'}\n",
            Two,
            "which role it means",
        ),
        ("- include_role: {name: nowhere}\n", Two, "cannot be read"),
        (
            "- import_role: {name: r, tasks_from: '{{ x }}'}\n",
            Two,
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
            Two,
            "template cannot be read",
        ),
        (
            "- template: {src: ../x, dest: /y}\n",
            Two,
            "template cannot be read",
        ),
        (
            "- debug: {msg: \"{{ lookup('community.hashi_vault.x', 'y') }}\"}\n",
            Two,
            "nobody can say",
        ),
        (
            "- debug: {msg: \"{% set l = lookup %}{{ l('pipe', 'id') }}\"}\n",
            Two,
            "another name",
        ),
        (
            "- debug: {msg: \"{{ [query][0]('pipe', 'id') }}\"}\n",
            Two,
            "another name",
        ),
        (
            "- debug: {msg: \"{{ x.__class__ }}\"}\n",
            Two,
            "what Jinja is made of",
        ),
        (
            "- debug: {msg: \"{% include '/etc/passwd' %}\"}\n",
            One,
            "`include` leads to",
        ),
        (
            "- debug: {msg: \"{{ lookup('template', '/etc/x') }}\"}\n",
            One,
            "cannot be named",
        ),
        (
            "- debug: {msg: \"{{ x | ansible.utils.ipaddr }}\"}\n",
            One,
            "not of ansible-core",
        ),
        (
            "- ping:\n  vars: {ansible_python_interpreter: /x/evil.sh}\n",
            One,
            "changes what Ansible itself runs",
        ),
        (
            "- ping:\n  vars: {ansible_ssh_common_args: '-o ProxyCommand=x'}\n",
            One,
            "changes what Ansible",
        ),
        (
            "- set_fact: {ansible_become_exe: /x}\n",
            One,
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
            Two,
            "no module, or more than one",
        ),
        ("- name: nothing\n", Two, "names no module"),
        ("- 7\n", Two, "is no task"),
        ("tasks: {}\n", Two, "is no list of tasks"),
        ("- copy: [\n", Two, "cannot be read as YAML"),
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
        (
            "- copy: {dest: /x, src: /y, remote_src: true}\n",
            One,
            "main.yml:1: `copy` with `remote_src` shows that it would",
        ),
        (
            "- copy: {dest: /x, src: /y, remote_src: '{{ z }}'}\n",
            One,
            "`copy` with `remote_src`",
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
