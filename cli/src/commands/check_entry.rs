//! `chiffon catalogue check NAME|FOLDER`: tests of single entries: they load, the linter passes them, their parameters
//! are declared, their examples are understood as them, and a check run comes to its end. Where the check runs happen is
//! left to `lab`, what the planner makes of examples to `examples`.
//!
//! Of what nobody has accepted nothing is run that asking for it would not run without a yes, unless `--run-code` says so:
//! the linter, which loads what lies beside a playbook, runs in a sandbox then.

mod examples;
mod lab;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use chiffon_agent_infra::{Lint, LintIn, lint};
use chiffon_common::{
    Digest, EntryId, Parameters, Tier,
    api::{BrokenFile, CatalogueView},
    visible,
};
use chiffon_orchestrator::catalogue::{
    Catalogue, Entry, Trust,
    repository::{self, Wanted, fetch},
};
use serde::Serialize;

use super::{Context, call, catalogue::unknown, read};
use crate::{
    args::CheckEntries, exit::Exit, failure::Failure, fleet::roots, output, render, terminal::Paint,
};
use lab::Lab;

/// What came of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Passed,
    Failed,
    NotRun,
}

/// One test of one entry.
#[derive(Debug, Serialize)]
struct Test {
    /// `loads`, `lint`, `specs`, `examples`, `check_run`.
    test: &'static str,
    outcome: Outcome,
    /// What was found, or why it was not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    said: Vec<String>,
}

impl Test {
    fn of(test: &'static str, found: Vec<String>) -> Self {
        let outcome = match found.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed,
        };
        Self {
            test,
            outcome,
            said: found,
        }
    }

    fn not_run(test: &'static str, why: impl Into<String>) -> Self {
        Self {
            test,
            outcome: Outcome::NotRun,
            said: vec![why.into()],
        }
    }
}

#[derive(Debug, Serialize)]
struct Tested {
    entry: String,
    passed: bool,
    tests: Vec<Test>,
}

/// What is meant by the arguments.
struct Meant {
    parameters: Parameters,
    /// Entries and repositories that are in the catalogue.
    names: Vec<String>,
    folders: Vec<PathBuf>,
}

pub async fn check_entries(
    context: &mut Context<'_>,
    args: &CheckEntries,
) -> Result<Exit, Failure> {
    let now = read(context, async |client| client.catalogue().await).await?;
    let meant = meant(&args.names, &now)?;
    let mut lab = Lab::make(context).await?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut tested: Vec<Tested> = Vec::new();
    for folder in &meant.folders {
        wanted.insert(add(&lab, folder)?);
    }
    let own = roots(context.home.shipped_catalogue(), &context.settings(&[])?);
    let mut all = own;
    let there = repository::roots(context.home.path());
    // A folder that was added before is tested as it is now.
    all.extend(
        there
            .into_iter()
            .filter(|root| !wanted.contains(&root.name)),
    );
    all.extend(repository::roots(lab.home().path()));
    let catalogue = Catalogue::load_as_accepted(&all);
    let is_meant = |entry: &&Entry| {
        let named = meant
            .names
            .iter()
            .any(|name| entry.id.as_str() == name || entry.origin == *name);
        named || wanted.contains(&entry.origin)
    };
    let entries: Vec<&Entry> = catalogue.entries().filter(is_meant).collect();
    for name in meant.names.iter().chain(&wanted) {
        let broken = broken_of(catalogue.broken(), name, wanted.contains(name));
        tested.extend(broken.into_iter().map(not_loaded));
        let known = entries
            .iter()
            .any(|entry| entry.id.as_str() == name || entry.origin == *name);
        if !known && tested.is_empty() {
            return Err(unknown(&now, name));
        }
    }
    lab.link(context, &entries)?;
    let wish = Wish {
        given: &meant.parameters,
        accepted: accepted(&now),
        run_code: args.run_code,
    };
    tested.extend(test_all(context, lab, &catalogue, &entries, &wish).await?);
    let terminal = context.terminal;
    output::list(terminal, &tested, &tested, || text(terminal.out, &tested));
    match tested.iter().all(|one| one.passed) {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

/// What speaks against the words by which an entry is reached: sentences that the planner takes for another entry, or from
/// one.
pub(super) fn too_near(context: &mut Context<'_>, id: &EntryId) -> Result<Vec<String>, Failure> {
    let mut all = roots(context.home.shipped_catalogue(), &context.settings(&[])?);
    all.extend(repository::roots(context.home.path()));
    let catalogue = Catalogue::load_as_accepted(&all);
    let Some(entry) = catalogue.entries().find(|entry| entry.id == *id) else {
        return Ok(Vec::new());
    };
    let test = examples::Examples::of(&catalogue, std::slice::from_ref(id))?.test(entry);
    Ok(match test.outcome {
        Outcome::Failed => test.said,
        Outcome::Passed | Outcome::NotRun => Vec::new(),
    })
}

/// Values are `NAME=VALUE`; a name that the catalogue knows is that, and any other one is a folder.
fn meant(given: &[String], now: &CatalogueView) -> Result<Meant, Failure> {
    let is_value = |text: &&String| {
        text.split_once('=').is_some_and(|(name, _)| {
            let name = name.trim_end_matches(':');
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    let (values, others): (Vec<&String>, Vec<&String>) = given.iter().partition(is_value);
    let values: Vec<String> = values.into_iter().cloned().collect();
    let mut meant = Meant {
        parameters: call::parameters(None, &values)?,
        names: Vec::new(),
        folders: Vec::new(),
    };
    for name in others {
        let mut entries = now.entries.iter();
        let known = entries.any(|entry| entry.id.as_str() == name || entry.origin == *name);
        let broken = !broken_of(&now.broken, name, false).is_empty();
        let path = PathBuf::from(name);
        match path.is_dir() && !known {
            true => meant.folders.push(path),
            false if known || broken => meant.names.push(name.clone()),
            false => return Err(unknown(now, name)),
        }
    }
    match meant.names.is_empty() && meant.folders.is_empty() {
        true => Err(Failure::usage(
            "Values are given, and no entry that they are for.",
            "Name an entry: chiffon catalogue check ENTRY NAME=VALUE.",
        )),
        false => Ok(meant),
    }
}

/// Puts a folder into the lab as the repository that it would be; its name there.
fn add(lab: &Lab, folder: &std::path::Path) -> Result<String, Failure> {
    let wanted = Wanted {
        from: folder.display().to_string(),
        ..Wanted::default()
    };
    let scratch = lab.home().path().join("fetched");
    let fetched = fetch(
        &wanted,
        &scratch,
        &std::sync::atomic::AtomicBool::new(false),
    )?;
    let staged = fetched.stage(&lab.home().added_catalogues(), None)?;
    let name = staged.name().to_owned();
    staged.add()?;
    Ok(name)
}

/// Files that did not load and belong to an entry or a repository of this name.
fn broken_of<'b>(broken: &'b [BrokenFile], name: &str, is_folder: bool) -> Vec<&'b BrokenFile> {
    let of_repository = format!("/catalogue/added/{name}/");
    let fits = |file: &&BrokenFile| {
        let last = file.file.rsplit('/').next().unwrap_or_default();
        let stem = last.split('.').next().unwrap_or_default();
        file.file.contains(&of_repository)
            || (!is_folder && (stem == name || file.file.contains(&format!("/roles/{name}/"))))
    };
    broken.iter().filter(fits).collect()
}

fn not_loaded(file: &BrokenFile) -> Tested {
    let place = match file.line {
        Some(line) => format!("line {line}: {}", file.reason),
        None => file.reason.clone(),
    };
    Tested {
        entry: file.file.clone(),
        passed: false,
        tests: vec![Test::of("loads", vec![place])],
    }
}

/// What a person wishes of a test, and has said yes to before.
struct Wish<'a> {
    given: &'a Parameters,
    accepted: Accepted,
    run_code: bool,
}

/// What a person has accepted, by entry: the digest and the tier that it counts as.
type Accepted = BTreeMap<EntryId, (Digest, Tier)>;

fn accepted(now: &CatalogueView) -> Accepted {
    let accepted = now.entries.iter().filter(|entry| entry.accepted);
    accepted
        .map(|entry| (entry.id.clone(), (entry.digest, entry.tier)))
        .collect()
}

impl Wish<'_> {
    /// Whether code of an entry may run as it would for whoever asks for the entry.
    fn may_run(&self, entry: &Entry) -> bool {
        let accepted = self.accepted.get(&entry.id);
        let is_it = accepted.is_some_and(|(digest, _)| *digest == entry.digest);
        entry.trust == Trust::Shipped || is_it || self.run_code
    }
}

async fn test_all(
    context: &mut Context<'_>,
    lab: Lab,
    catalogue: &Catalogue,
    entries: &[&Entry],
    wish: &Wish<'_>,
) -> Result<Vec<Tested>, Failure> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<EntryId> = entries.iter().map(|entry| entry.id.clone()).collect();
    let mut examples = examples::Examples::of(catalogue, &ids)?;
    let running = lab.start(context, wish).await?;
    let mut tested = Vec::new();
    let mut ended = Ok(());
    for entry in entries {
        let mut tests = vec![Test::of("loads", Vec::new()), linted(entry, wish)];
        tests.push(specs(entry));
        tests.push(examples.test(entry));
        tests.push(match running.check_run(context, entry, wish).await {
            Ok(test) => test,
            Err(failure) => {
                ended = Err(failure);
                break;
            }
        });
        tested.push(Tested {
            entry: entry.id.to_string(),
            passed: tests.iter().all(|test| test.outcome != Outcome::Failed),
            tests,
        });
    }
    running.stop().await;
    ended.map(|()| tested)
}

/// Why nothing of an entry is run, and what lets it run.
fn not_accepted(entry: &Entry) -> String {
    let by_id = format!("chiffon catalogue accept {}", entry.id);
    format!(
        "nobody has accepted it, so nothing of it is run: {by_id}; or --run-code, which runs it as you"
    )
}

fn linted(entry: &Entry, wish: &Wish<'_>) -> Test {
    let files = match entry.bundle_files() {
        Ok(files) => files,
        Err(error) => return Test::of("lint", vec![error.to_string()]),
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let within = match wish.may_run(entry) {
        true => LintIn::Open,
        false => LintIn::Sandbox,
    };
    match lint(&files, &entry.playbook, search, within) {
        Lint::Passed => Test::of("lint", Vec::new()),
        Lint::Found(lines) => Test::of("lint", lines),
        Lint::NotRun(why) => Test::not_run("lint", why),
        Lint::NoSandbox(why) => Test::not_run("lint", format!("{}; {why}", not_accepted(entry))),
    }
}

/// Parameters that nobody declared, or that say nothing of themselves.
fn specs(entry: &Entry) -> Test {
    if entry.guessed && !entry.parameters.is_empty() {
        let names: Vec<&str> = entry
            .parameters
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let why = format!(
            "its parameters are guessed, because no role of it has meta/argument_specs.yml: {}",
            names.join(", ")
        );
        return Test::not_run("specs", why);
    }
    let silent = entry
        .parameters
        .iter()
        .filter(|one| one.description.trim().is_empty());
    let found = silent.map(|one| format!("{} has no description in argument_specs", one.name));
    Test::of("specs", found.collect())
}

fn text(paint: Paint, tested: &[Tested]) -> String {
    let mut lines = Vec::new();
    for one in tested {
        lines.push(paint.bold(&visible(&one.entry)));
        for test in &one.tests {
            let outcome = match test.outcome {
                Outcome::Passed => paint.good("passed"),
                Outcome::Failed => paint.bad("failed"),
                Outcome::NotRun => paint.warn("not run"),
            };
            let name = test.test.replace('_', " ");
            let mut said = test.said.iter().map(|text| render::one_line(text, 400));
            match (test.outcome, said.next()) {
                (Outcome::NotRun, Some(why)) => {
                    lines.push(format!("  {name:<10} {outcome}: {why}"))
                }
                (_, first) => {
                    lines.push(format!("  {name:<10} {outcome}"));
                    lines.extend(first.map(|text| format!("    {text}")));
                }
            }
            lines.extend(said.map(|text| format!("    {text}")));
        }
    }
    let failed = tested.iter().filter(|one| !one.passed).count();
    lines.push(match (tested.len(), failed) {
        (count, 0) => format!("{count} tested, nothing failed."),
        (count, failed) => format!("{count} tested, {failed} failed."),
    });
    lines.join("\n")
}
