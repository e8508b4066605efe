//! The documentation holds what it says: every shell block runs against the built program, every JSON and YAML block
//! parses, no block hides what it is, and commands, links and addresses that are named exist.
//!
//! A page may speak to this suite by comments (`docs/directive.rs`); lines that run otherwise than they are written
//! stand in `docs/lines.rs`.

#[path = "e2e/ansible.rs"]
mod ansible;
#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/directive.rs"]
mod directive;
#[path = "docs/lines.rs"]
mod lines;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/session.rs"]
mod session;
#[path = "docs/stage.rs"]
mod stage;
#[path = "docs/trial.rs"]
mod trial;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Instant,
};

use chiffon_common::api;
use chiffon_tests::{not_run, repository_root, tracked_files};
use serde::de::DeserializeOwned;
use serde_json::Value;

use commands::{Commands, mentions};
use directive::{Directive, directives, of_block};
use markdown::{Block, Page};
use stage::Stage;

/// What a code block may be. Commands that run are `sh`; a session that is only shown is `console`.
const TAGS: [&str; 6] = ["sh", "console", "text", "json", "yaml", "sql"];
/// Programs that the shell blocks use beside our own; scripts/test installs them.
const TOOLS: [&str; 4] = ["bash", "curl", "jq", "script"];
/// Pages that run at the same time.
const AT_ONCE: usize = 2;

fn pages() -> Vec<Page> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(repository_root().join(&path)).expect("a page");
        Page::read(&path, &text)
    };
    let pages: Vec<Page> = tracked_files()
        .into_iter()
        .filter(is_page)
        .map(read)
        .collect();
    for expected in ["README.md", "docs/api.md", "docs/playbooks.md"] {
        let found = pages.iter().any(|page| page.name == expected);
        assert!(found, "{expected} is a page");
    }
    pages
}

#[track_caller]
fn none(rule: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{rule}:\n\n{}\n", faults.join("\n\n"));
}

#[test]
fn every_shell_block_runs() {
    if let Some(missing) = TOOLS.iter().find(|tool| !is_there(tool)) {
        return not_run(
            "the shell blocks of the documentation",
            &format!("{missing} is missing"),
        );
    }
    let mut pages = pages();
    pages.retain(|page| page.tagged("sh").next().is_some());
    // The longest first, so that it is not the last one running.
    pages.sort_by_key(|page| {
        page.tagged("sh")
            .map(|block| block.text.len())
            .sum::<usize>()
    });
    let waiting = Mutex::new(pages);
    let faults = Mutex::new(Vec::new());
    let next = || waiting.lock().expect("no panic holds it").pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(page) = next() {
                    if let Err(fault) = run(&page) {
                        faults.lock().expect("no panic holds it").push(fault);
                    }
                }
            });
        }
    });
    none(
        "every shell block runs",
        faults.into_inner().expect("no panic holds it"),
    );
}

fn run(page: &Page) -> Result<(), String> {
    let all = directives(page)?;
    // Whoever lacks an SSH server has heard so by now.
    let Some(stage) = Stage::set(&page.name, &all) else {
        return Ok(());
    };
    let begun = Instant::now();
    let ran = session::run(page, &stage, &all);
    println!("{}: {:.1?}", page.name, begun.elapsed());
    ran
}

fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

#[test]
fn every_block_says_what_it_is() {
    let fault = |page: &Page, block: &Block| match block.tag.as_deref() {
        None => Some("an indented block; fence it, so that it says what it is".to_owned()),
        Some(tag) if !TAGS.contains(&tag) => Some(format!(
            "a block is one of {}, not {tag:?}",
            TAGS.join(", ")
        )),
        Some("json") => serde_json::from_str::<Value>(&block.text)
            .err()
            .map(|error| error.to_string()),
        Some("yaml") => serde_yaml_ng::from_str::<Value>(&block.text)
            .err()
            .map(|error| error.to_string()),
        // Commands belong into `sh`, where they run, or behind a `$` in a session that is shown.
        Some("text") if block.text.lines().any(|line| line.starts_with("chiffon ")) => {
            Some("a command in a block of text".to_owned())
        }
        // Only of the page whose queries the acceptance suite asks a real Postgres.
        Some("sql") if page.name != "docs/postgres.md" => {
            Some("a query that nothing runs".to_owned())
        }
        Some(_) => None,
    };
    let mut faults = Vec::new();
    for page in pages() {
        for block in &page.blocks {
            faults.extend(fault(&page, block).map(|why| format!("{}: {why}", page.at(block.line))));
        }
    }
    none("a block says what it is, and is that", faults);
}

/// Reads an example as the body that it is said to be.
fn read_as(kind: &str, text: &str) -> Result<(), String> {
    fn read<T: DeserializeOwned>(text: &str) -> Result<(), String> {
        let read = serde_json::from_str::<T>(text);
        read.map(drop).map_err(|error| error.to_string())
    }
    match kind {
        "EventView" => read::<api::EventView>(text),
        "EventsPage" => read::<api::EventsPage>(text),
        "NewRequest" => read::<api::NewRequest>(text),
        "ProblemBody" => read::<api::ProblemBody>(text),
        _ => Err(format!("tests/docs.rs knows no body {kind}")),
    }
}

#[test]
fn examples_of_bodies_are_such_bodies() {
    let mut faults = Vec::new();
    for page in pages() {
        let all = directives(&page).unwrap_or_else(|why| panic!("{why}"));
        for block in &page.blocks {
            for directive in of_block(&page, block, &all) {
                if let Directive::Is(kind) = directive
                    && let Err(why) = read_as(kind, &block.text)
                {
                    faults.push(format!("{}: no {kind}: {why}", page.at(block.line)));
                }
            }
        }
    }
    none("an example is what it is said to be", faults);
}

#[test]
fn commands_that_are_mentioned_exist() {
    let reference = fs::read_to_string(repository_root().join("docs/cli.md")).expect("docs/cli.md");
    let commands = Commands::read(&reference);
    let mut faults = Vec::new();
    for page in pages() {
        let shown = page.tagged("console").flat_map(|block| {
            let lines = block.text.lines().enumerate();
            let commands = lines.filter_map(|(n, line)| Some((n, line.strip_prefix("$ ")?)));
            commands.map(|(n, line)| (block.line + 1 + n, line))
        });
        let inline = page
            .codes
            .iter()
            .map(|code| (code.line, code.text.as_str()));
        for (line, text) in shown.chain(inline) {
            let wrong = mentions(text)
                .into_iter()
                .filter_map(|it| commands.fault(&it));
            faults.extend(wrong.map(|why| format!("{}: {why}", page.at(line))));
        }
    }
    none("a command that is mentioned exists", faults);
}

#[test]
fn links_lead_to_files_that_are_there() {
    let mut faults = Vec::new();
    for page in pages() {
        let folder = Path::new(&page.name).parent().unwrap_or(Path::new(""));
        for link in &page.links {
            let target = link.text.split('#').next().unwrap_or_default();
            let is_elsewhere = target.is_empty() || target.contains("://");
            if !is_elsewhere && !repository_root().join(folder).join(target).exists() {
                faults.push(format!("{}: there is no {target}", page.at(link.line)));
            }
        }
    }
    none("a link leads somewhere", faults);
}

#[test]
fn the_page_of_the_api_names_every_address_and_no_other() {
    let page = fs::read_to_string(repository_root().join("docs/api.md")).expect("docs/api.md");
    let document = chiffon_orchestrator::openapi()
        .to_json()
        .expect("a document");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let there: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods
                .map(|(method, _)| method.to_uppercase())
                .filter(|method| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&&**method))
                .map(move |method| format!("{method} {path}"))
        })
        .collect();
    let page = Page::read(Path::new("docs/api.md"), &page);
    let is_address = |text: &&str| {
        text.split_once(" /")
            .is_some_and(|(method, _)| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method))
    };
    let named: BTreeSet<String> = page
        .codes
        .iter()
        .map(|code| code.text.as_str())
        .filter(is_address)
        .map(|text| text.split('?').next().unwrap_or(text).to_owned())
        .collect();
    let missing: Vec<_> = there.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    assert!(unknown.is_empty(), "on the page alone: {unknown:#?}");
}
