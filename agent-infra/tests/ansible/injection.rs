//! The corpus of payloads through every place of a string: none is run, each arrives as it was.

use chiffon_common::ResultStatus;
use serde_json::{Value, json};

use crate::room::Room;

/// What would leave the file behind if a template in it were filled in.
fn payloads(canary: &str) -> Vec<String> {
    let touch = format!("touch {canary}");
    let calls = [
        format!("lookup('pipe', '{touch}')"),
        format!("lookup(\"pipe\", \"{touch}\")"),
        format!("query('pipe', '{touch}')"),
        format!("q('ansible.builtin.pipe', '{touch}')"),
        format!("lookup('ansible.builtin.pipe', '{touch}')"),
        format!("lookup('lines', '{touch}')"),
        format!("lookup('ansible.builtin.lines', '{touch}') | trim"),
        format!("'{touch}' | map('pipe') | list"),
        format!("lookup('template', '/etc/passwd') ~ lookup('pipe', '{touch}')"),
        format!("lookup('vars', 'x', default=lookup('pipe', '{touch}'))"),
        format!("(lookup('pipe', '{touch}'))"),
        format!("'a' if lookup('pipe', '{touch}') else 'b'"),
        format!("[lookup('pipe', '{touch}')]"),
        format!("{{'k': lookup('pipe', '{touch}')}}"),
        format!("cycler.__init__.__globals__.os.popen('{touch}').read()"),
        format!("self.__init__.__globals__.__builtins__.__import__('os').system('{touch}')"),
        format!("''.__class__.__mro__[1].__subclasses__() and lookup('pipe', '{touch}')"),
        format!("namespace.__init__.__globals__['os'].system('{touch}')"),
    ];
    let mut payloads = Vec::new();
    for call in &calls {
        payloads.push(format!("{{{{ {call} }}}}"));
        payloads.push(format!("{{{{-{call}-}}}}"));
        payloads.push(format!("{{% if {call} %}}x{{% endif %}}"));
    }
    let call = &calls[0];
    payloads.extend([
        format!("{{% set x = {call} %}}"),
        format!("{{% for i in {call} %}}{{% endfor %}}"),
        format!("{{% endraw %}}{{{{ {call} }}}}{{% raw %}}"),
        format!("{{% raw %}}{{% endraw %}}{{{{ {call} }}}}"),
        format!("{{# #}}{{{{ {call} }}}}"),
        format!("#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ {call} ]]"),
        format!("a\n{{{{ {call} }}}}\nb"),
        format!("\"{{{{ {call} }}}}\""),
        format!("'{{{{ {call} }}}}'"),
        format!("' }}}}{{{{ {call} }}}}{{{{ '"),
        format!("!unsafe {{{{ {call} }}}}"),
        format!("\" \nansible_python_interpreter: /tmp/x\nz: \"{{{{ {call} }}}}"),
        format!("--- !vault |\n  {{{{ {call} }}}}"),
        format!("\u{feff}{{{{ {call} }}}}\u{2028}\u{85}\u{7f}\u{1}"),
        format!("{{{{ hostvars['localhost'] and {call} }}}}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch} ;"),
        "  leading and trailing  ".to_owned(),
        "yes".to_owned(),
        "12".to_owned(),
        String::new(),
        "null".to_owned(),
        "0o17".to_owned(),
        "~".to_owned(),
        "*alias".to_owned(),
        "😀 {{ 7 * 7 }}\\n\\x41\t\"\\".to_owned(),
    ]);
    payloads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_payload_runs_and_each_arrives_verbatim() {
    let canary_folder = tempfile::tempdir().unwrap();
    let canary = canary_folder.path().join("PWNED");
    let payloads = payloads(canary.to_str().unwrap());
    assert!(payloads.len() >= 60, "{}", payloads.len());
    // Through a file written by `copy: content`, a message, a name, a condition, a loop and an answer.
    let mut room = Room::new(
        r#"    - name: Write each by itself
      ansible.builtin.copy: {dest: "{{ out }}/top-{{ item }}", content: "{{ lookup('vars', 'p' ~ item) }}"}
      loop: "{{ range(0, count, 8) | list }}"
    - name: Write all top-level ones
      ansible.builtin.copy: {dest: "{{ out }}/top", content: "{{ query('vars', *names) | to_json }}"}
    - name: Write all nested ones
      ansible.builtin.copy: {dest: "{{ out }}/nested", content: "{{ nested.list | map(attribute='deep') | map('first') | map('first') | to_json }}"}
    - name: Write all keys
      ansible.builtin.copy: {dest: "{{ out }}/key", content: "{{ keys | map('list') | map('first') | to_json }}"}
    - name: "Show {{ item }}"
      ansible.builtin.debug: {msg: "{{ item }}", verbosity: 0}
      loop: "{{ nested.list | map(attribute='deep') | flatten }}"
      when: item != 'never' and item is string
    - name: Write the host's
      ansible.builtin.copy: {dest: "{{ out }}/host", content: "{{ label }}"}
    - name: Pass on
      ansible.builtin.set_fact: {again: "{{ p0 }}"}
    - name: Write what was passed on
      ansible.builtin.copy: {dest: "{{ out }}/again", content: "{{ again }}"}
    - name: Answer
      ansible.builtin.set_stats: {per_host: true, data: {chiffon_answer: "{{ p0 }}", chiffon_data: {all: "{{ nested }}"}}}
"#,
    );
    let label = payloads[0].replace('\'', "''");
    let inventory = format!(
        "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n      label: !unsafe '{label}'\n"
    );
    room.add("inventory/hosts.yml", &inventory);
    let out = room.path("out");
    std::fs::create_dir(&out).unwrap();
    room.parameter("out", out.to_str().unwrap());
    room.parameter("count", payloads.len());
    let names = (0..payloads.len()).map(|index| format!("p{index}"));
    room.parameter("names", names.collect::<Vec<String>>());
    for (index, payload) in payloads.iter().enumerate() {
        room.parameter(&format!("p{index}"), payload.as_str());
    }
    let nested = |payload: &String| json!({"deep": [[payload]]});
    room.parameter(
        "nested",
        json!({"list": payloads.iter().map(nested).collect::<Vec<Value>>()}),
    );
    let keyed = |payload: &String| json!({ payload.as_str(): 1 });
    room.parameter("keys", payloads.iter().map(keyed).collect::<Vec<Value>>());
    room.work.timeout = std::time::Duration::from_secs(300);
    let ended = room.run().await;
    assert!(!canary.exists(), "a payload was run");
    assert_eq!(
        ended.status,
        ResultStatus::Completed,
        "{:?}\n{}",
        ended.error,
        ended.output
    );
    for place in ["top", "nested", "key"] {
        let text = room.read(&format!("out/{place}"));
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found, json!(payloads), "{place}");
    }
    for index in (0..payloads.len()).step_by(8) {
        assert_eq!(room.read(&format!("out/top-{index}")), payloads[index]);
    }
    assert_eq!(room.read("out/host"), payloads[0]);
    assert_eq!(room.read("out/again"), payloads[0]);
    assert_eq!(ended.hosts["localhost"].answer.as_ref(), Some(&payloads[0]));
}
