//! Rules about the files of this repository that no compiler checks. Rules about who may depend on
//! whom are left to `rooms.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chiffon_common::ErrorCode;
use chiffon_tests::{
    begins_a_transaction, names_a_private_path, opens_unbounded_channel, repository_root,
    tracked_files, without_tests,
};

/// Every tracked file that is text, with its content.
fn texts() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let content = fs::read_to_string(repository_root().join(&path)).ok()?;
        Some((path, content))
    };
    tracked_files().into_iter().filter_map(read).collect()
}

fn rust_sources() -> Vec<(PathBuf, String)> {
    let sources = texts()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"));
    let sources: Vec<_> = sources.collect();
    assert!(
        sources.len() > 20,
        "the repository is found: {} sources",
        sources.len()
    );
    sources
}

/// Fails with the names of all files that break a rule.
#[track_caller]
fn assert_none<'a>(rule: &str, breaking: impl Iterator<Item = &'a Path>) {
    let names: Vec<String> = breaking.map(|path| path.display().to_string()).collect();
    assert!(
        names.is_empty(),
        "{rule}; not so in:\n  {}",
        names.join("\n  ")
    );
}

fn paths_where(
    files: &[(PathBuf, String)],
    breaks: impl Fn(&Path, &str) -> bool,
) -> impl Iterator<Item = &Path> {
    let breaking = files.iter().filter(move |(path, text)| breaks(path, text));
    breaking.map(|(path, _)| path.as_path())
}

#[test]
fn every_rust_file_opens_by_saying_what_it_is_for() {
    let sources = rust_sources();
    let silent = paths_where(&sources, |_, text| !text.starts_with("//! "));
    assert_none("a file opens with `//!`", silent);
}

#[test]
fn only_the_store_begins_transactions_by_hand() {
    let sources = rust_sources();
    let breaking = paths_where(&sources, |path, text| {
        !path.starts_with("store") && begins_a_transaction(without_tests(path, text))
    });
    assert_none("a raw transaction is the store's alone", breaking);
}

/// One place from which work leaves for an agent: behind the gate, from what is stored.
#[test]
fn a_seal_is_minted_in_one_place() {
    let sources = rust_sources();
    let minted = |path: &Path, text: &str, what: &str| {
        let shipped = without_tests(path, text);
        shipped.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains(what)
        })
    };
    let may = |path: &Path, places: &[&str]| places.iter().any(|place| path == Path::new(place));
    for (what, places) in [
        (
            "SealClaims {",
            ["orchestrator/src/engine/outgoing.rs", "common/src/seal.rs"],
        ),
        (
            "signer.seal(",
            [
                "orchestrator/src/engine/outgoing.rs",
                "orchestrator/src/engine/outgoing.rs",
            ],
        ),
        (
            "Payload::WorkRequest(Box::new(",
            [
                "orchestrator/src/engine/outgoing.rs",
                "common/src/messages.rs",
            ],
        ),
    ] {
        let elsewhere = paths_where(&sources, |path, text| {
            let is_shipped = !path.starts_with("tests")
                && path.components().any(|part| part.as_os_str() == "src");
            is_shipped && !may(path, &places) && minted(path, text, what)
        });
        assert_none(&format!("`{what}` stands behind the gate alone"), elsewhere);
    }
    let text = |path: &str| {
        let found = sources.iter().find(|(found, _)| found == Path::new(path));
        found.map_or_else(String::new, |(_, text)| text.clone())
    };
    let outgoing = text("orchestrator/src/engine/outgoing.rs");
    assert_eq!(outgoing.matches("self.signer.seal(").count(), 1);
    let (before, _) = outgoing.split_once("self.signer.seal(").unwrap_or_default();
    let (_, work_request) = before.rsplit_once("fn work_request(").unwrap_or_default();
    assert!(
        work_request.contains("may_start(before, was, gate)"),
        "the seal is minted without passing the gate"
    );
}

/// What a macro is called with in the shipped code: the first argument of each call.
fn names_in_calls(sources: &[(PathBuf, String)], call: &str) -> Vec<String> {
    let shipped = sources.iter().filter(|(path, _)| {
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        is_source && !path.starts_with("tests") && !path.starts_with("failpoint")
    });
    // Links are the files that they lead to.
    let files = shipped.filter(|(path, _)| !repository_root().join(path).is_symlink());
    let names = files.flat_map(|(path, text)| {
        let calls = without_tests(path, text).split(call).skip(1);
        calls.filter_map(|rest| rest.split('"').next().map(str::to_owned))
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn each_failpoint_stands_at_one_place() {
    let sources = rust_sources();
    let mut listed: Vec<&str> = chiffon_failpoint::ALL.to_vec();
    listed.sort_unstable();
    let hit = concat!("chiffon_failpoint::hit", "!(\"");
    let (postgres, others): (Vec<_>, Vec<_>) = sources
        .iter()
        .cloned()
        .partition(|(path, _)| path.starts_with("store/src/postgres"));
    let placed = names_in_calls(&others, hit);
    assert_eq!(placed, listed, "failpoint/src/names.rs has each once");
    // A database is one of two: what stands in one store stands in the other at the same step, once too.
    let here: Vec<_> = others
        .iter()
        .filter(|(path, _)| path.starts_with("store/src/sqlite"))
        .cloned()
        .collect();
    assert_eq!(names_in_calls(&postgres, hit), names_in_calls(&here, hit));
    let can_fail = |name: &&&str| {
        let call = format!("hit!(\"{name}\", ");
        sources.iter().any(|(_, text)| text.contains(&call))
    };
    let failing: Vec<&&str> = chiffon_failpoint::ALL.iter().filter(can_fail).collect();
    let told: Vec<&&str> = chiffon_failpoint::FAILING.iter().collect();
    assert_eq!(
        failing, told,
        "those with an arm for the error, in their order"
    );
}

#[test]
fn each_mutant_has_its_feature_and_its_place() {
    let sources = rust_sources();
    let mut placed = names_in_calls(&sources, concat!("chiffon_failpoint::mutant", "!(\""));
    placed.dedup();
    let mut listed: Vec<&str> = chiffon_failpoint::MUTANTS
        .iter()
        .map(|(name, _)| *name)
        .collect();
    listed.sort_unstable();
    assert_eq!(placed, listed, "failpoint/src/names.rs has each");
    let manifest = repository_root().join("failpoint/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the room has a manifest");
    for name in listed {
        assert!(manifest.contains(&format!("\nmutant-{name} = ")), "{name}");
    }
}

#[test]
fn no_shipped_code_opens_a_channel_without_a_bound() {
    let sources = rust_sources();
    let breaking = paths_where(&sources, |path, text| {
        opens_unbounded_channel(without_tests(path, text))
    });
    assert_none("a channel has a bound", breaking);
}

#[test]
fn no_test_is_switched_off() {
    let sources = rust_sources();
    let attribute = concat!("#[", "ignore");
    let breaking = paths_where(&sources, |_, text| text.contains(attribute));
    assert_none("a test runs, or says by `not_run` why it cannot", breaking);
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let files = texts();
    let breaking = paths_where(&files, |_, text| names_a_private_path(text));
    assert_none("paths are relative, or those of every system", breaking);
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let codes: BTreeSet<String> = ErrorCode::ALL
        .iter()
        .map(|code| code.number().to_string())
        .collect();
    let folder = repository_root().join("docs/errors");
    let names = fs::read_dir(&folder)
        .expect("docs/errors exists")
        .map(|entry| {
            let path = entry.expect("a folder entry").path();
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        });
    // Pages that are not named by a number are about all of them.
    let pages: BTreeSet<String> = names.filter(|name| name.parse::<u16>().is_ok()).collect();
    let missing: Vec<_> = codes.difference(&pages).collect();
    let without_code: Vec<_> = pages.difference(&codes).collect();
    assert!(
        missing.is_empty(),
        "no page docs/errors/<number>.md for {missing:?}"
    );
    assert!(
        without_code.is_empty(),
        "pages of no code: {without_code:?}"
    );
    for code in ErrorCode::ALL {
        let page = folder.join(format!("{code}.md"));
        let text = fs::read_to_string(&page).expect("the page can be read");
        let title = format!("# {code}: {}\n", code.title());
        assert!(
            text.starts_with(&title),
            "{} does not begin with {title:?}",
            page.display()
        );
    }
}

#[test]
fn both_pure_rooms_ban_the_same() {
    let rules = |room: &str| {
        let path = repository_root().join(room).join("clippy.toml");
        let text = fs::read_to_string(path).expect("a pure room has a clippy.toml");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rules("common"), rules("arbiter"));
}
