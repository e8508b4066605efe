//! Differences: without secrets, within bounds, and without what is no text.

use std::fs;

use chiffon_agent::Ended;
use chiffon_common::{Mode, ResultStatus};

use crate::room::Room;

/// A module that says of itself whatever difference it is told to.
const FLOOD: &str = r#"#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"kind": {"type": "str"}}, supports_check_mode=True)
differences = {
    "prepared": [{"prepared": "+ein Kübel voll\n" * (100 * 1024 * 1024 // 17)}],
    "texts": [{"before": "a\n" * 30000000, "after": "b\n" * 20000000}],
    "many_lines": [{"before": "a\n" * 15000, "after": "b\n" * 15000}],
    "many": [{"before": "", "after": "line %d\n" % n * 500} for n in range(300)],
    "control": [{"before": "a\x00b\n", "after": "\x01\x02\x03\x04" * 10}],
    "odd": [7, None, {"before": {"a": 1}, "after": {"a": 2}}, {"before": 5, "after": [1]}, {"prepared": "x\x00y"}],
}
module.exit_json(changed=True, diff=differences[module.params["kind"]])
"#;

async fn said(kind: &str) -> String {
    let mut room = Room::new(&format!(
        "    - name: Flood it\n      flood: {{kind: {kind}}}\n    - name: Write it\n      copy: {{dest: \"{{{{ target }}}}\", content: \"small\\n\"}}\n"
    ));
    room.add("playbooks/library/flood.py", FLOOD);
    let target = room.path("target");
    room.parameter("target", target.to_str().unwrap());
    diff(&room.run().await)
}

fn diff(ended: &Ended) -> String {
    assert_eq!(ended.status, ResultStatus::Completed, "{}", ended.output);
    let diff = ended.diff.clone().unwrap();
    assert!(diff.len() < 140 * 1024, "{} bytes", diff.len());
    diff
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_of_a_hundred_megabytes_stays_small_and_says_what_is_missing() {
    let prepared = said("prepared").await;
    assert!(
        prepared.contains("(of this difference, 10") && prepared.contains(" MiB are left out)"),
        "{}",
        &prepared[prepared.len().saturating_sub(300)..]
    );
    assert!(
        prepared.contains("+ein Kübel voll\n") && prepared.contains("+small\n"),
        "the small one is lost"
    );
    let texts = said("texts").await;
    assert!(
        texts.contains(
            "Not compared, because it is too large: before 60000000 bytes, after 40000000 bytes\n(of this \
             difference, 95.4 MiB are left out)\n"
        ),
        "{texts}"
    );
    // What the agent itself ever held: with a copy of what was said this would be several hundred MiB.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .and_then(|line| line.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak < 300 * 1024, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_text_is_told_by_its_size() {
    assert!(
        said("control").await.contains(
            "# localhost: Flood it\nBinary files differ: before 4 bytes, after 40 bytes\n"
        )
    );
    let lines = said("many_lines").await;
    assert!(
        lines.contains("before 30000 bytes, after 30000 bytes"),
        "{lines}"
    );
    let many = said("many").await;
    assert!(many.contains(" more differences are left out, "), "{many}");
    let odd = said("odd").await;
    assert!(odd.contains("# localhost: Flood it\n7\n"), "{odd}");
    assert!(
        odd.contains("-    \"a\": 1\n+    \"a\": 2\n")
            && odd.contains("Binary difference: 3 bytes"),
        "{odd}"
    );
    assert!(odd.contains("+small\n"), "{odd}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_binary_or_not_utf8_leave_no_garbage() {
    let mut room = Room::new(
        r#"    - name: Binary
      ansible.builtin.copy: {src: "{{ new }}", dest: "{{ old }}"}
    - name: Larger
      ansible.builtin.copy: {src: "{{ large }}", dest: "{{ small }}"}
    - name: Latin
      ansible.builtin.copy: {src: "{{ latin }}", dest: "{{ text }}"}
"#,
    );
    let bytes: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
    for (name, content) in [
        ("new", &bytes[..]),
        ("old", &bytes[..2000]),
        ("large", &[b'x'; 200_000]),
        ("small", b"abc\n"),
        ("latin", b"gr\xfc\xdfe aus dem S\xfcden\n"),
        ("text", b"gruesse\n"),
    ] {
        let path = room.path(name);
        fs::write(&path, content).unwrap();
        room.parameter(name, path.to_str().unwrap());
    }
    for mode in [Mode::Check, Mode::Apply] {
        room.work.mode = mode;
        let diff = diff(&room.run().await);
        assert!(
            diff.contains("# localhost: Binary\nBinary files differ: before "),
            "{diff}"
        );
        assert!(
            diff.contains("larger than 104448 bytes: before 4 bytes, after more than that"),
            "{diff}"
        );
        assert!(diff.contains("-gruesse\n"), "{diff}");
        assert!(
            diff.chars()
                .all(|c| c == '\n' || c == '\t' || !c.is_control()),
            "{diff:?}"
        );
        if mode == Mode::Apply {
            assert!(diff.contains("after 3000 bytes"), "{diff}");
        }
        fs::remove_dir_all(&room.work.folder).unwrap();
    }
}

/// A secret parameter and one of the inventory, as they are and as programs write them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_difference_shows_a_secret_in_any_form() {
    let mut room = Room::with_inventory(
        r#"    - name: Write it
      ansible.builtin.copy:
        dest: "{{ target }}"
        content: |
          plain {{ code }} {{ ansible_become_password }}
          base64 {{ code | b64encode }} {{ ('x' ~ ansible_become_password) | b64encode }}
          url {{ code | urlencode }} {{ ansible_become_password | urlencode }}
          json {{ code | to_json }}
"#,
        "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n      ansible_become_password: pass word & more\n",
        &["localhost"],
    );
    room.work.mode = Mode::Check;
    let target = room.path("target");
    room.parameter("target", target.to_str().unwrap());
    room.parameter("code", "swörd/fish \"7\"");
    room.work.secret_parameters = vec!["code".to_owned()];
    let ended = room.run().await;
    let diff = diff(&ended);
    let lines: Vec<&str> = diff
        .lines()
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"))
        .collect();
    assert_eq!(lines.len(), 4, "{diff}");
    for line in &lines {
        assert!(line.contains("[redacted]"), "{diff}");
    }
    let everything = format!("{diff}{}", ended.output);
    for piece in [
        "rd/fish", "fish", "pass", "word", "c3fDtnJk", "cGFzcy", "%C3%B6",
    ] {
        assert!(!everything.contains(piece), "{piece} in {everything}");
    }
    assert!(!target.exists());
}
