//! Many hosts, and entries that get in each other's way: the same title twice, and one whose examples match everything.

use std::path::Path;

use super::*;
use crate::catalogue::{Root, Trust};

/// The shipped catalogue beside entries of this id, title and examples, which take nothing and change nothing.
fn beside(entries: &[(&str, &str, &[&str])]) -> Planner {
    Planner::new(Arc::new(catalogue_beside(entries, 1, false)))
}

/// The same of this tier, accepted or not. An example with `{name}` makes it a parameter.
pub(super) fn catalogue_beside(
    entries: &[(&str, &str, &[&str])],
    tier: u8,
    accepted: bool,
) -> crate::catalogue::Catalogue {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: String, text: String| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (id, title, examples) in entries {
        let play = format!(
            "- name: {id}\n  hosts: all\n  gather_facts: false\n  roles:\n    - role: {id}\n"
        );
        let examples: String = examples
            .iter()
            .map(|example| format!("  - \"{example}\"\n"))
            .collect();
        let options = match examples.contains("{name}") {
            true => "{name: {type: str, required: true}}",
            false => "{}",
        };
        let metadata = format!(
            "title: {title}\ndescription: A test.\nexamples:\n{examples}tier: {tier}\npreview: exact\nresources:\n  memory_gb: 0.1\n  \
             gpu: false\ntimeout_seconds: 60\non_interrupt: retry\nundo:\n  none: Nothing to take back.\nrequires_become: false\n"
        );
        write(format!("playbooks/{id}.yml"), play);
        write(format!("playbooks/{id}.chiffon.yml"), metadata);
        write(
            format!("roles/{id}/tasks/main.yml"),
            "- name: Nothing\n  ansible.builtin.ping:\n".to_owned(),
        );
        write(
            format!("roles/{id}/meta/argument_specs.yml"),
            format!(
                "argument_specs:\n  main:\n    short_description: A test\n    options: {options}\n"
            ),
        );
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks");
    let root = |name: &str, path: &Path, trust| Root {
        name: name.to_owned(),
        path: path.into(),
        trust,
    };
    let roots = [
        root("shipped", &shipped, Trust::Shipped),
        root("own", folder.path(), Trust::Added),
    ];
    let catalogue = match accepted {
        true => crate::catalogue::Catalogue::load_as_accepted(&roots),
        false => crate::catalogue::Catalogue::load(&roots),
    };
    assert_eq!(catalogue.broken(), []);
    catalogue
}

#[test]
fn one_of_ten_thousand_hosts_is_found_and_none_is_guessed() {
    let mut hosts = "all:\n  hosts:\n    localhost:\n".to_owned();
    for n in 0..10_000 {
        hosts.push_str(&format!("    node{n}:\n"));
    }
    let inventory = inventory(&hosts);
    let planner = planner();
    for (sentence, expected) in [
        (
            "restart nginx on node7341",
            r#"service_restart {"name":"nginx"} @node7341"#,
        ),
        (
            "restart nginx on node12 and node9999",
            r#"service_restart {"name":"nginx"} @node12,node9999"#,
        ),
        // A wrong digit is another host, not a slip.
        ("restart nginx on node10000", "ask 5102"),
        ("restart nginx on nde7341x", "ask 5102"),
        ("restart nginx", "ask 5102"),
    ] {
        assert_eq!(
            outcome(&planner, sentence, &inventory),
            expected,
            "{sentence}"
        );
    }
    let Proposal::Plan(planned) = planner.plan("ping all hosts", &inventory) else {
        panic!("all of them are known");
    };
    assert_eq!(planned.steps[0].hosts.len(), 10_001);
}

#[test]
fn entries_of_the_same_title_are_asked_about() {
    let planner = beside(&[
        (
            "water_plants",
            "Water the plants",
            &["Water the plants", "Give the plants water"],
        ),
        (
            "water_garden",
            "Water the plants",
            &["Water the plants", "Give the plants water"],
        ),
    ]);
    assert_eq!(
        outcome(&planner, "water the plants on nas", &fleet()),
        "ask 5101"
    );
    assert_eq!(
        outcome(&planner, "water_garden on nas", &fleet()),
        "water_garden {} @nas"
    );
}

/// Whoever writes every word into the examples of an entry draws no other entry's sentences to it.
#[test]
fn an_entry_that_matches_everything_captures_no_other_entry() {
    let planner = beside(&[(
        "everything",
        "Restart install remove update backup service package disk host",
        &[
            "Restart install remove update start stop the service package disk host now",
            "Restart",
            "Install",
            "Remove",
            "Start",
            "Stop",
            "Update",
            "Back up",
            "How full are the disks on this machine and is it up and running",
        ],
    )]);
    let plain = super::planner();
    for sentence in [
        "restart nginx on nas",
        "install htop on tower",
        "remove the package telnet from nas",
        "stop jellyfin on tower",
        "update nas",
        "back up /etc on nas",
        "how full are the disks on nas?",
        "is nginx running on tower?",
        "reboot tower",
    ] {
        let found = outcome(&planner, sentence, &fleet());
        let alone = outcome(&plain, sentence, &fleet());
        // A question about which is meant is the most that it can cause.
        assert!(
            found == alone || found.starts_with("ask"),
            "{sentence}: {found}, not {alone}"
        );
    }
}

#[test]
fn names_of_hosts_with_what_cannot_be_seen_are_the_names_or_nothing() {
    let planner = planner();
    for (sentence, expected) in [
        (
            "restart nginx on n\u{200b}as",
            r#"service_restart {"name":"nginx"} @nas"#,
        ),
        ("restart nginx on \u{202e}san", "ask 5102"),
        ("restart nginx on n\u{430}s", "ask 5102"),
    ] {
        let found = outcome(&planner, sentence, &fleet());
        assert!(
            found == expected || found.starts_with("ask"),
            "{sentence:?}: {found}"
        );
    }
}

/// What nobody has accepted takes no sentence that one which was accepted understands whole, and only such a one.
#[test]
fn an_entry_that_nobody_accepted_asks_only_where_an_accepted_one_leaves_no_word_over() {
    let shipped = planner();
    let added = beside(&[(
        "warm_up",
        "Warm up the proxy",
        &["Restart nginx", "Restart nginx for the brewery"],
    )]);
    let entry = added.catalogue().get("warm_up").unwrap();
    assert!(!entry.accepted);
    for (sentence, before, beside_it) in [
        (
            "restart nginx on nas",
            r#"service_restart {"name":"nginx"} @nas"#,
            "ask 5101",
        ),
        // The brewery says nothing to any other entry.
        (
            "restart nginx for the brewery on nas",
            "ask 5101",
            "warm_up {} @nas",
        ),
        // It takes nothing that it does not fit.
        (
            "restart smbd on nas",
            r#"service_restart {"name":"smbd"} @nas"#,
            r#"service_restart {"name":"smbd"} @nas"#,
        ),
    ] {
        assert_eq!(outcome(&shipped, sentence, &fleet()), before, "{sentence}");
        assert_eq!(outcome(&added, sentence, &fleet()), beside_it, "{sentence}");
    }
    let Proposal::Ask(question) = added.plan("restart nginx on nas", &fleet()) else {
        panic!("it plans");
    };
    for id in ["service_restart", "warm_up"] {
        assert!(
            question.problem.detail.contains(id),
            "{}",
            question.problem.detail
        );
    }
}
