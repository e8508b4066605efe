//! Answers to questions: what they come to, and how planning goes on with them.

use chiffon_arbiter::{Said, Wants};
use chiffon_common::ErrorCode;

use super::*;

/// `sentence`, `given {parameters} @hosts`, or `refused <code>`.
fn meaning(text: &str, wants: &Wants) -> String {
    match planner().answer(text, wants, &fleet()) {
        Err(problem) => format!("refused {}", problem.code),
        Ok(words) => match words.said {
            Said::Sentence { .. } => "sentence".to_owned(),
            Said::Missing { parameters, hosts } => {
                let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                format!("given {} @{}", Value::Object(parameters), hosts.join(","))
            }
        },
    }
}

#[track_caller]
fn all(wants: &Wants, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(meaning(text, wants), *expected, "{text:?} for {wants:?}");
    }
}

fn wants_values(entry: &str, missing: &[&str]) -> Wants {
    Wants::Parameters {
        entry: entry.parse().unwrap(),
        missing: missing.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn an_answer_is_a_value_a_host_or_a_sentence() {
    all(
        &Wants::Sentence,
        &[("name=htop", "sentence"), ("nas", "sentence")],
    );
    all(
        &Wants::Hosts,
        &[
            ("nas", "given {} @nas"),
            ("On NAS", "given {} @nas"),
            ("on nas", "given {} @nas"),
            ("the box", "given {} @nas"),
            ("nas and web-1.lan", "given {} @nas,web-1.lan"),
            ("media", "given {} @nas,tower"),
            ("mars", "refused 5102"),
            ("ping", "sentence"),
            ("install htop on nas", "sentence"),
        ],
    );
    all(
        &wants_values("package_install", &["name"]),
        &[
            ("htop", "given {\"name\":\"htop\"} @"),
            ("name=htop", "given {\"name\":\"htop\"} @"),
            ("name=htop on nas", "given {\"name\":\"htop\"} @nas"),
            ("name=htop on mars", "refused 5102"),
            ("nmae=htop", "refused 5106"),
            ("name=\"htop", "refused 5105"),
            ("Restart cron on nas", "sentence"),
        ],
    );
    all(
        &wants_values("write_file", &["path", "content"]),
        &[
            ("/etc/motd", "sentence"),
            (
                "path=/etc/motd content=\"a b\"",
                "given {\"content\":\"a b\",\"path\":\"/etc/motd\"} @",
            ),
        ],
    );
    all(
        &wants_values("write_file", &["content"]),
        &[
            ("\"hello world\"", "given {\"content\":\"hello world\"} @"),
            ("hello world", "sentence"),
        ],
    );
    all(&wants_values("gone", &["x"]), &[("x=1", "sentence")]);
}

fn planned_with(sentence: &str, given: &Given) -> String {
    match planner().plan_with(sentence, given, &fleet()) {
        Proposal::Plan(planned) => said(&planned),
        Proposal::Ask(question) | Proposal::Nothing(question) => {
            format!("ask {}", question.problem.code)
        }
    }
}

/// What was missing is asked for, and what was answered fills the gap, in each form of a request.
#[test]
fn an_answer_fills_what_was_missing() {
    let nothing = Given::default();
    let hosts = Given {
        hosts: vec!["nas".parse().unwrap()],
        ..Given::default()
    };
    let name = |value: &str| Given {
        parameters: Parameters::from_iter([("name".to_owned(), value.into())]),
        ..Given::default()
    };
    for (sentence, given, before, after) in [
        (
            "Install htop",
            &hosts,
            "ask 5102",
            "package_install {\"name\":\"htop\"} @nas",
        ),
        ("ping mars", &hosts, "ask 5102", "ping {} @nas"),
        (
            "Install htop on mars",
            &hosts,
            "ask 5102",
            "package_install {\"name\":\"htop\"} @nas",
        ),
        (
            "package_install on nas",
            &name("htop"),
            "ask 5104",
            "package_install {\"name\":\"htop\"} @nas",
        ),
        (
            "package_install name=htop on mars",
            &hosts,
            "ask 5102",
            "package_install {\"name\":\"htop\"} @nas",
        ),
        (
            "package_install name=\"a b\" on nas",
            &name("htop"),
            "ask 5105",
            "package_install {\"name\":\"htop\"} @nas",
        ),
        (
            "package_install on nas",
            &name("a b"),
            "ask 5104",
            "ask 5105",
        ),
    ] {
        assert_eq!(planned_with(sentence, &nothing), before, "{sentence:?}");
        assert_eq!(
            planned_with(sentence, given),
            after,
            "{sentence:?} with {given:?}"
        );
    }
}

#[test]
fn a_question_knows_which_entry_it_is_about() {
    let ask = |sentence: &str| match planner().plan(sentence, &fleet()) {
        Proposal::Ask(question) | Proposal::Nothing(question) => question,
        Proposal::Plan(planned) => panic!("{planned:?}"),
    };
    let question = ask("package_install on nas");
    assert_eq!(question.about.unwrap().as_str(), "package_install");
    assert_eq!(question.missing, ["name"]);
    let question = ask("what is the meaning of life");
    assert_eq!(
        (question.about, question.problem.code),
        (None, ErrorCode::NothingMatches)
    );
}

#[test]
fn an_answer_in_some_words_gives_the_value_and_a_refusal_gives_none() {
    all(
        &wants_values("service_restart", &["name"]),
        &[
            ("the cron service, please", r#"given {"name":"cron"} @"#),
            ("no", "refused 5105"),
            ("cancel", "refused 5105"),
            ("nein", "refused 5105"),
            ("\"no\"", r#"given {"name":"no"} @"#),
            ("restart cron on nas", "sentence"),
        ],
    );
    all(
        &wants_values("write_file", &["content"]),
        &[
            ("don't", "refused 5105"),
            ("hello", r#"given {"content":"hello"} @"#),
        ],
    );
}
