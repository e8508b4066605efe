//! Sentences with the answer to the question about their host, what ends a request, and entries that nobody has accepted
//! yet.

use chiffon_arbiter::{Said, Wants};
use chiffon_common::ErrorCode;

use super::{crowds::catalogue_beside, *};

/// What a sentence comes to with this host as the answer; the question, where one is asked.
fn answered(planner: &Planner, sentence: &str, host: &str) -> String {
    let given = Given {
        hosts: vec![host.parse().unwrap()],
        ..Given::default()
    };
    match planner.plan_with(sentence, &given, &fleet()) {
        Proposal::Plan(planned) => said(&planned),
        Proposal::Ask(question) | Proposal::Nothing(question) => {
            format!("ask {}: {}", question.problem.code, question.problem.detail)
        }
    }
}

#[test]
fn a_host_that_was_answered_stands_where_the_unknown_one_stood() {
    let planner = planner();
    for (sentence, host, expected) in [
        ("reboot mars", "nas", "reboot_host {} @nas"),
        (
            "install htop on mars",
            "nas",
            r#"package_install {"name":"htop"} @nas"#,
        ),
        ("update mars", "tower", "package_upgrade {} @tower"),
        ("update", "nas", "package_upgrade {} @nas"),
        // The other one stays meant.
        (
            "restart nginx on mars and nas",
            "tower",
            r#"service_restart {"name":"nginx"} @nas,tower"#,
        ),
        (
            "service_restart name=nginx on mars",
            "tower",
            r#"service_restart {"name":"nginx"} @tower"#,
        ),
    ] {
        assert_eq!(answered(&planner, sentence, host), expected, "{sentence}");
    }
    let two = answered(&planner, "restart nginx on mars and pluto", "nas");
    assert!(two.starts_with("ask"), "{two}");
}

/// Whatever is asked about the sentence with a known host is asked once the host is answered.
#[test]
fn an_answered_host_leaves_no_other_question_out() {
    let own: (&str, &str, &[&str]) = ("evil_ok", "Reboot this machine", &["Reboot this machine"]);
    let planner = Planner::new(Arc::new(catalogue_beside(&[own], 0, true)));
    let plain = answered(&planner, "reboot localhost", "localhost");
    let after = answered(&planner, "reboot mars", "localhost");
    for asked in [plain, after] {
        assert!(asked.starts_with("ask"), "{asked}");
        assert!(
            asked.contains("evil_ok") && asked.contains("reboot_host"),
            "{asked}"
        );
    }
}

/// A value in the words of a person answers the question about it, and starts nothing else.
#[test]
fn an_answer_in_words_belongs_to_the_request_that_asked() {
    let planner = planner();
    for (entry, missing, text, expected) in [
        (
            "service_restart",
            "name",
            "the cron service",
            r#"{"name":"cron"}"#,
        ),
        (
            "service_stop",
            "name",
            "the cron service, please",
            r#"{"name":"cron"}"#,
        ),
        (
            "package_remove",
            "name",
            "the package htop",
            r#"{"name":"htop"}"#,
        ),
        (
            "backup_directory",
            "path",
            "the folder /etc",
            r#"{"path":"/etc"}"#,
        ),
    ] {
        let wants = Wants::Parameters {
            entry: entry.parse().unwrap(),
            missing: vec![missing.to_owned()],
        };
        let words = planner.answer(text, &wants, &alone()).unwrap();
        let Said::Missing { parameters, .. } = words.said else {
            panic!("{text:?} is another request");
        };
        assert_eq!(Value::Object(parameters).to_string(), expected, "{text}");
    }
}

#[test]
fn who_wants_nothing_any_more_takes_the_request_back() {
    let planner = planner();
    for (text, expected) in [
        ("forget it", true),
        ("never mind", true),
        ("Forget it, thanks.", true),
        ("vergiss es", true),
        ("laisse tomber", true),
        ("no", false),
        ("cron", false),
        ("forget it and restart cron", false),
        ("restart cron", false),
    ] {
        assert_eq!(planner.takes_back(text, &fleet()), expected, "{text}");
    }
}

/// An entry that was only just begun takes no sentence from what is there, however its name reads, and is offered last.
#[test]
fn what_nobody_accepted_and_is_only_half_said_gives_way() {
    let shipped = planner();
    let own: [(&str, &str, &[&str]); 4] = [
        ("a", "A", &["A named {name}"]),
        ("reboot", "Reboot", &["Reboot named {name}"]),
        (
            "restart_wifi",
            "Restart wifi",
            &["Restart wifi named {name}"],
        ),
        ("oil_hinges", "Oil hinges", &["Oil hinges named {name}"]),
    ];
    let added = Planner::new(Arc::new(catalogue_beside(&own, 1, false)));
    for sentence in [
        "reboot",
        "Reboot this machine",
        "Redémarre le service cron sur cette machine",
        "restart the service cron",
        "starte diesen Rechner neu",
    ] {
        let before = outcome(&shipped, sentence, &alone());
        assert_eq!(outcome(&added, sentence, &alone()), before, "{sentence}");
    }
    // Its own sentence is its own.
    assert_eq!(
        outcome(&added, "oil hinges named \"attic\"", &alone()),
        r#"oil_hinges {"name":"attic"} @localhost"#
    );
    let (Proposal::Ask(question) | Proposal::Nothing(question)) =
        added.plan("paint the fence", &alone())
    else {
        panic!("it plans");
    };
    let near: Vec<bool> = question
        .nearest
        .iter()
        .map(|near| {
            added
                .catalogue()
                .find(near.entry.as_str())
                .unwrap()
                .accepted
        })
        .collect();
    assert!(
        !near.is_empty() && near.iter().all(|accepted| *accepted),
        "{:?}",
        question.nearest
    );
}

#[test]
fn what_is_longer_than_any_request_is_not_even_tried() {
    let tried = planner().tried(&"x".repeat(8_001), &fleet());
    let question = tried.question.unwrap();
    assert_eq!(
        (tried.kind, question.code),
        ("none", ErrorCode::RequestTooLong)
    );
    assert!(tried.sentence.chars().count() < 300);
}
