//! Hosts that nobody knows, the machine itself, and what is suggested instead.

use super::*;

#[test]
fn a_word_in_the_place_of_a_host_is_an_unknown_host() {
    const UNKNOWN: &str = "ask 5102";
    let sentences = [
        ("is nas alive?", UNKNOWN),
        ("ping toaster42", UNKNOWN),
        ("Ping the NAS", UNKNOWN),
        ("ping google.com", UNKNOWN),
        ("please ping toaster42 for me", UNKNOWN),
        ("Is google.com up?", UNKNOWN),
        ("does my toaster answer?", UNKNOWN),
        ("Ist toaster42 erreichbar?", UNKNOWN),
        ("Antwortet toaster42?", UNKNOWN),
        ("Est-ce que toaster42 répond ?", UNKNOWN),
        ("ping localhost and toaster42", UNKNOWN),
        ("how is toaster42 doing?", UNKNOWN),
        ("Install htop on nas", UNKNOWN),
        ("is htop installed?", ASK),
        (
            "is nginx running?",
            r#"service_status {"name":"nginx"} @localhost"#,
        ),
        ("ping me when the backup is done", ASK),
        ("what is the meaning of life", ASK),
        ("ping", "ping {} @localhost"),
        ("ping the server", "ping {} @localhost"),
        ("is the computer up?", "ping {} @localhost"),
    ];
    assert_all(&alone(), &sentences);
    let Proposal::Ask(question) = planner().plan("ping google.com", &alone()) else {
        panic!("there is no such host");
    };
    assert!(
        question.problem.detail.contains("there is no host")
            && question.problem.detail.contains("google.com")
            && question.problem.todo.contains("inventory/hosts.yml"),
        "{}",
        question.problem
    );
}

#[test]
fn the_machine_itself_is_no_service_and_no_package() {
    let planner = planner();
    for sentence in [
        "Restart the machine",
        "restart this machine",
        "restart this server",
        "Restart the server",
        "please restart the computer",
        "Starte den Rechner neu",
        "Starte diesen Server neu",
        "Redémarre la machine",
        "Redémarre le serveur",
    ] {
        let found = outcome(&planner, sentence, &alone());
        assert_eq!(found, "reboot_host {} @localhost", "{sentence}");
    }
    for sentence in [
        "install the server",
        "turn off the machine",
        "Stop this computer",
    ] {
        let found = outcome(&planner, sentence, &alone());
        assert_eq!(found, ASK, "{sentence}");
    }
    // Which of several must be said.
    assert_eq!(
        outcome(&planner, "Restart the server", &fleet()),
        "ask 5102"
    );
    // In quotes and in the explicit form a person says that it is meant.
    for meant in ["restart \"server\"", "service_restart name=server"] {
        let found = outcome(&planner, meant, &alone());
        assert_eq!(
            found, r#"service_restart {"name":"server"} @localhost"#,
            "{meant}"
        );
    }
}

#[test]
fn the_reason_quotes_the_example_in_the_words_that_were_said() {
    let planner = planner();
    for (sentence, example) in [
        ("Restart cron", "Restart {name}"),
        ("Redémarre cron", "Redémarre {name}"),
        ("Starte cron neu", "Starte {name} neu"),
        ("Install htop", "Install {name}"),
        ("Installiere htop", "Installiere {name}"),
        ("Installe htop", "Installe {name}"),
        ("Write \"a\" to /tmp/a", "Write {content} to {path}"),
        (
            "Schreibe \"a\" nach /tmp/a",
            "Schreibe {content} nach {path}",
        ),
        ("Écris \"a\" dans /tmp/a", "Écris {content} dans {path}"),
    ] {
        let Proposal::Plan(planned) = planner.plan(sentence, &alone()) else {
            panic!("{sentence}");
        };
        let quoted = format!("(\"{example}\")");
        assert!(
            planned.because.contains(&quoted),
            "{sentence}: {}",
            planned.because
        );
    }
}

#[test]
fn writing_is_said_with_in_and_with_nach() {
    let expected = r#"write_file {"content":"hallo","path":"/x"} @localhost"#;
    assert_all(
        &alone(),
        &[
            ("Schreibe \"hallo\" in /x", expected),
            ("Schreibe \"hallo\" nach /x", expected),
            ("Bitte schreibe \"hallo\" nach /x", expected),
        ],
    );
}

/// Whoever asks in English, German or French finds an example of each entry in that language.
#[test]
fn every_entry_has_examples_in_three_languages() {
    use crate::planner::{read, sentence, words::Language};
    let all = [Language::English, Language::German, Language::French];
    let mut lacking = Vec::new();
    for entry in planner().catalogue().entries().filter(|entry| entry.listed) {
        let spoken = entry.examples.iter().filter_map(|example| {
            // A value says nothing of the language.
            let plain = example.replace(['{', '}', '"'], "");
            read::language(&sentence::tokens(&plain)?)
        });
        let spoken: Vec<Language> = spoken.collect();
        let lacks = all.into_iter().filter(|one| !spoken.contains(one));
        lacking.extend(lacks.map(|one| format!("{}: {one:?}", entry.id)));
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

/// Every suggestion, typed as it stands, reaches the entry that it stands for.
#[test]
fn every_suggestion_can_be_typed() {
    let planner = planner();
    let away = inventory("all:\n  hosts:\n    nas:\n    tower:\n");
    let mut astray = Vec::new();
    for inventory in [alone(), fleet(), away] {
        for entry in planner.catalogue().entries().filter(|entry| entry.listed) {
            let near = suggest::nearest(entry, &inventory);
            assert!(!near.example.contains('{'), "{}", near.example);
            let examples = entry.examples.iter().map(|text| {
                let filled = entry.filled(text);
                filled.unwrap_or_else(|| panic!("{text} cannot be filled"))
            });
            let all = examples.map(|text| suggest::on_a_host(text, &inventory));
            for sentence in all.chain([near.example]) {
                let found = outcome(&planner, &sentence, &inventory);
                let id = entry.id.as_str();
                if found.split(' ').next() != Some(id) {
                    astray.push(format!("{id}: {sentence:?}: {found}"));
                }
            }
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
}

#[test]
fn suggestions_are_sentences_of_people() {
    let planner = planner();
    for (id, one, several) in [
        (
            "package_install",
            "Install htop",
            "Install htop on localhost",
        ),
        (
            "service_restart",
            "Restart cron",
            "Restart cron on localhost",
        ),
        (
            "write_file",
            "Write \"hello\" to /tmp/hello.txt",
            "Write \"hello\" to /tmp/hello.txt on localhost",
        ),
    ] {
        let entry = planner.catalogue().get(id).unwrap();
        assert_eq!(entry.nearest().example, one);
        let near = suggest::nearest(entry, &fleet());
        assert_eq!(near.example, several);
    }
}
