//! The tests tested: each known bug is built in and switched on, and a test that passes without it must fail (reliability.md
//! section 5, point 4). What the bugs are stands in `failpoint/src/lib.rs`; where a program dies is left to the crash suite.

use std::process::Command;
use std::sync::OnceLock;

use chiffon_failpoint::{ALL, MUTANTS};
use chiffon_tests::{Chiffon, Home, Suite};

/// By mutant: the test of the fleet suite that notices it.
const NOTICED_BY: [(&str, &str); 9] = [
    (
        "ack-before-commit",
        "words::what_an_agent_says_is_stored_before_it_is_acked",
    ),
    (
        "approval-not-rebound",
        "edits::a_plan_that_is_edited_between_two_sends_is_not_sent_again",
    ),
    (
        "audit-git-only",
        "a_reading_goes_from_the_sentence_to_the_ledger_by_itself",
    ),
    (
        "deferred-begin",
        "faults::a_commit_waits_for_another_program_at_the_same_database",
    ),
    (
        "flat-ledger",
        "ledger::each_record_lies_in_the_folders_of_its_hour_and_its_shard",
    ),
    ("no-fencing", "words::only_the_attempt_in_hand_is_heard"),
    (
        "no-inbox",
        "words::what_an_agent_says_counts_once_however_often_it_comes",
    ),
    ("no-lease", "two_changes_never_meet_on_one_host"),
    (
        "rerun-interrupted",
        "an_agent_that_dies_in_mid_run_ends_in_a_question_and_never_in_a_second_run",
    ),
];

/// Everything is built before anything runs: what runs has bounds on its waits, and building takes both cores.
fn fleet_suite() -> &'static Suite {
    static BUILT: OnceLock<Suite> = OnceLock::new();
    BUILT.get_or_init(|| {
        let home = Home::new();
        let (shipped, faulty) = (Chiffon::new(&home), Chiffon::faulty(&home));
        let _both_built = (shipped.command(&[]), faulty.command(&[]));
        Suite::faulty("fleet")
    })
}

#[test]
fn each_mutant_is_noticed_and_without_one_all_is_well() {
    let named: Vec<&str> = NOTICED_BY.iter().map(|(mutant, _)| *mutant).collect();
    let all: Vec<&str> = MUTANTS.iter().map(|(mutant, _)| *mutant).collect();
    assert_eq!(named, all, "each mutant has its test");
    let suite = fleet_suite();
    let tests = NOTICED_BY.map(|(_, test)| test);
    let sound = suite.run(&tests, &[]).expect_code(0);
    let passed = format!("{} passed", tests.len());
    assert!(sound.stdout.contains(&passed), "{}", sound.stdout);
    let mut unnoticed = Vec::new();
    for (mutant, test) in NOTICED_BY {
        let said = suite.run(&[test], &[("CHIFFON_MUTANT", mutant)]);
        // A test that fails, and nothing else that went wrong on the way.
        let failed = said.stdout.contains(&format!("test {test} ... FAILED"));
        if said.code() != Some(101) || !failed {
            unnoticed.push((mutant, test, said.stdout));
        }
    }
    assert!(unnoticed.is_empty(), "lived on: {unnoticed:#?}");
}

/// Those of these words that stand in a program.
fn words_in(program: &Chiffon, words: &[&str]) -> Vec<String> {
    let program = program.command(&[]).get_program().to_owned();
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--fixed-strings"]);
    grep.args(words.iter().flat_map(|word| ["-e", word]));
    let found = grep.arg("--").arg(program).output().expect("grep runs");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn the_shipped_program_knows_no_failpoint_and_no_mutant() {
    fleet_suite();
    let home = Home::new();
    let mut words = ALL.to_vec();
    words.extend(["CHIFFON_FAILPOINTS", "CHIFFON_MUTANT"]);
    words.sort_unstable();
    let shipped = words_in(&Chiffon::new(&home), &words);
    assert!(shipped.is_empty(), "{shipped:?}");
    // Were it only that they cannot be seen, the other program would show none either.
    assert_eq!(words_in(&Chiffon::faulty(&home), &words), words);
}

#[test]
fn what_is_ordered_and_cannot_be_meant_is_refused_before_anything_is_done() {
    fleet_suite();
    let home = Home::new();
    for (variable, value, word) in [
        (
            "CHIFFON_FAILPOINTS",
            "store.comit.after=kill",
            "no failpoint",
        ),
        (
            "CHIFFON_FAILPOINTS",
            "relay.mark.after=error",
            "cannot fail",
        ),
        ("CHIFFON_MUTANT", "no-inbux", "no mutant"),
    ] {
        let said = Chiffon::faulty(&home).env(variable, value).run(&["status"]);
        let said = said.expect_code(2);
        assert!(said.stderr.contains(word), "{}", said.stderr);
        // The shipped program takes it for a setting, and knows none of that name.
        let said = Chiffon::new(&home).env(variable, value).run(&["status"]);
        let said = said.expect_code(2);
        assert!(said.stderr.contains(variable), "{}", said.stderr);
    }
    assert!(!home.path().exists(), "something was done");
}
