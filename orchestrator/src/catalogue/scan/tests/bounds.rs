//! Circles, floods and nonsense.

use super::*;

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
    assert_eq!((flood.fidelity, flood.tier), (Blind, Two));
    assert!(flood.lowered_by().len() <= MAX_FINDINGS && !flood.raised_by().is_empty());
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
                TreeFile {
                    executable: false,
                    content: content.as_bytes().into(),
                },
            );
        }
        let files = tree.files.keys().cloned().collect();
        let once = Scanner::new(&tree).scan("playbooks/p.yml", &files, &BTreeSet::new());
        let again = Scanner::new(&tree).scan("playbooks/p.yml", &files, &BTreeSet::new());
        assert_eq!(once, again, "{play}\n{tasks}\n{template}");
    }
}
