//! What is missing, the explicit form, and input that is no sentence.

use super::*;

#[test]
fn what_is_missing_is_named() {
    let planner = planner();
    for (sentence, missing) in [
        ("restart the service on this machine", vec!["name"]),
        ("install it", vec!["name"]),
        ("install a package", vec!["name"]),
        ("write \"hello\"", vec!["path"]),
        ("write something to /tmp/x", vec!["content"]),
    ] {
        match planner.plan(sentence, &alone()) {
            Proposal::Ask(question) | Proposal::Nothing(question) => {
                assert_eq!(
                    question.missing, missing,
                    "{sentence}: {}",
                    question.problem
                );
                assert!(!question.nearest.is_empty(), "{sentence}");
            }
            Proposal::Plan(planned) => panic!("{sentence}: {planned:?}"),
        }
    }
}

/// A value that does not fit is asked for again, so that the bare right one is an answer.
#[test]
fn a_value_that_does_not_fit_is_wanted_again() {
    let said = "write_file path=relative content=hello on localhost";
    match planner().plan(said, &alone()) {
        Proposal::Ask(question) | Proposal::Nothing(question) => {
            assert_eq!(question.missing, ["path"], "{}", question.problem)
        }
        Proposal::Plan(planned) => panic!("{planned:?}"),
    }
}

#[test]
fn the_explicit_form_is_exact() {
    assert_all(
        &fleet(),
        &[
            ("ping on nas", "ping {} @nas"),
            (
                "host_report section=disks on nas,tower",
                r#"host_report {"section":"disks"} @nas,tower"#,
            ),
            (
                "write_file path=/tmp/x content=\"restart cron, don't\" on nas",
                r#"write_file {"content":"restart cron, don't","path":"/tmp/x"} @nas"#,
            ),
            (
                "write_file_undo path=/tmp/x run_id=abc on nas",
                r#"write_file_undo {"path":"/tmp/x","run_id":"abc"} @nas"#,
            ),
            ("package_install name=htop", "ask 5102"),
            ("package_install name=htop on nsa", "ask 5102"),
            ("package_instal name=htop on nas", "ask 5103"),
            ("package_install name=\"a b\" on nas", "ask 5105"),
            ("host_report section=disk on nas", "ask 5105"),
            ("package_install nam=htop on nas", "ask 5106"),
            (
                "package_install name=htop ansible_python_interpreter=/bin/sh on nas",
                "ask 5107",
            ),
            ("package_install on nas", "ask 5104"),
            ("write_file path=\"/tmp/x on nas", "ask 5105"),
        ],
    );
    let planned = planner().plan("ping on nas", &fleet());
    assert!(matches!(planned, Proposal::Plan(planned) if planned.confidence == 100));
}

#[test]
fn an_ask_for_nothing_still_shows_what_there_is() {
    let Proposal::Nothing(question) = planner().plan("what is the meaning of life", &alone())
    else {
        panic!("nobody knows");
    };
    assert_eq!(question.nearest.len(), 3);
    assert!(
        question
            .nearest
            .iter()
            .all(|near| near.entry.as_str() != "write_file_undo")
    );
}

#[test]
fn odd_input_ends_in_a_question_and_quickly() {
    let planner = planner();
    let odd = [
        "word ".repeat(10_000),
        "\u{202e}install\u{200b} \u{0}htop".to_owned(),
        "install ".repeat(119),
        "\"".repeat(5_000),
        "{{".repeat(5_000),
        "'a ".repeat(100),
        "installe \u{fb01}\u{301}\u{301}".to_owned(),
    ];
    for sentence in &odd {
        let found = outcome(&planner, sentence, &fleet());
        assert!(
            found.starts_with("ask"),
            "{}: {found}",
            sentence.chars().take(40).collect::<String>()
        );
    }
    assert_eq!(planner.catalogue().broken(), []);
}

/// What is said not to be done is in no plan, whatever else the sentence says.
#[test]
fn what_is_left_out_is_not_done_all_the_same() {
    assert_all(
        &fleet(),
        &[
            ("restart everything on nas but don't reboot it", ASK),
            ("boot nas again, but do not reboot it", ASK),
            ("installiere htop auf nas, aber installiere htop nicht", ASK),
            (
                "restart cron on nas, but don't restart it on tower",
                r#"service_restart {"name":"cron"} @nas"#,
            ),
            (
                "install htop on nas, do not install iotop",
                r#"package_install {"name":"htop"} @nas"#,
            ),
        ],
    );
}
