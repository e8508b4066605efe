//! `chiffon catalogue list|show|check`. Starting an entry is left to `call`, repositories to `repository`, their hosts to
//! `hosts`, acceptance to `accept`, writing a new one to `new_entry`, testing entries to `check_entry`.

use std::collections::BTreeSet;

use chiffon_common::{
    ErrorCode, Problem,
    api::{CatalogueView, EntryView},
};

use super::{
    Context, accept::accept, call::call, check_entry::check_entries, hosts::hosts,
    new_entry::new_entry, read, repository,
};
use crate::{args::Catalogue, exit::Exit, failure::Failure, output, render};

pub async fn catalogue(context: &mut Context<'_>, args: &Catalogue) -> Result<Exit, Failure> {
    match args {
        Catalogue::Run(args) => call(context, args).await,
        Catalogue::Add(args) => repository::add(context, args).await,
        Catalogue::Update(args) => repository::update(context, args).await,
        Catalogue::Remove { name } => repository::remove(context, name).await,
        Catalogue::Hosts(args) => hosts(context, args).await,
        Catalogue::Accept(args) => accept(context, args).await,
        Catalogue::New(args) => new_entry(context, args).await,
        Catalogue::List => {
            let catalogue = all(context).await?;
            list(context, &catalogue)
        }
        Catalogue::Show { entry } => {
            let catalogue = all(context).await?;
            show(context, &catalogue, entry)
        }
        Catalogue::Check(args) if !args.names.is_empty() => check_entries(context, args).await,
        Catalogue::Check(_) => {
            let catalogue = all(context).await?;
            Ok(check(context, &catalogue))
        }
    }
}

async fn all(context: &mut Context<'_>) -> Result<CatalogueView, Failure> {
    read(context, async |client| client.catalogue().await).await
}

fn list(context: &Context<'_>, catalogue: &CatalogueView) -> Result<Exit, Failure> {
    let terminal = context.terminal;
    output::list(terminal, &catalogue.entries, catalogue, || {
        render::entries(terminal.out, catalogue)
    });
    if !catalogue.broken.is_empty() {
        let count = catalogue.broken.len();
        terminal.say(&format!("{count} not loaded: chiffon catalogue check"));
    }
    if let Some(repository) = unaccepted(catalogue) {
        terminal.say(&format!(
            "Not accepted yet, so tier 2: entries of {repository} (chiffon catalogue accept)"
        ));
    }
    Ok(Exit::Ok)
}

/// The repositories that have entries which nobody has accepted. The folders of a person are known by their paths.
fn unaccepted(catalogue: &CatalogueView) -> Option<String> {
    let waiting = catalogue.entries.iter();
    let waiting = waiting.filter(|entry| !entry.accepted && !entry.origin.starts_with('/'));
    let names: BTreeSet<&str> = waiting.map(|entry| entry.origin.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn show(context: &Context<'_>, catalogue: &CatalogueView, id: &str) -> Result<Exit, Failure> {
    let entry = catalogue
        .entries
        .iter()
        .find(|entry| entry.id.as_str() == id);
    let entry = entry.ok_or_else(|| unknown(catalogue, id))?;
    let terminal = context.terminal;
    output::one(terminal, entry, || render::entry(terminal.out, entry));
    Ok(Exit::Ok)
}

pub(super) fn unknown(catalogue: &CatalogueView, id: &str) -> Failure {
    let shown = render::one_line(id, 80);
    let detail = format!("The catalogue has no entry {shown:?}.");
    if let Some((name, why)) = lost(catalogue, id) {
        let detail = format!("{detail} Nothing of {name} is read: {why}.");
        let todo = format!("`chiffon catalogue update {name}` makes the copy anew.");
        return Problem::new(ErrorCode::UnknownEntry, detail, todo).into();
    }
    let todo = match near(catalogue, id) {
        Some(near) => format!(
            "Did you mean {}? `chiffon catalogue list` shows all.",
            near.id
        ),
        None => "`chiffon catalogue list` shows all entries.".to_owned(),
    };
    Problem::new(ErrorCode::UnknownEntry, detail, todo).into()
}

/// The repository that an entry of this name would be of, where nothing of it is read, and why.
fn lost<'c>(catalogue: &'c CatalogueView, id: &str) -> Option<(&'c str, &'c str)> {
    catalogue.broken.iter().find_map(|broken| {
        let (_, name) = broken.file.split_once("/catalogue/added/")?;
        let name = name.trim_end_matches('/');
        let is_of_it = id.strip_prefix(name)?.starts_with('_');
        is_of_it.then_some((name, broken.reason.as_str()))
    })
}

/// The entry that is written most like it; one that has the word in its name before all others.
fn near<'c>(catalogue: &'c CatalogueView, id: &str) -> Option<&'c EntryView> {
    let likeness = |entry: &&EntryView| strsim::jaro_winkler(entry.id.as_str(), id);
    let has_word = |entry: &&EntryView| entry.id.as_str().split('_').any(|part| part == id);
    let nearest = |only_with_word: bool| {
        let all = catalogue.entries.iter();
        let some = all.filter(|entry| !only_with_word || has_word(entry));
        some.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    };
    nearest(true).or_else(|| nearest(false).filter(|entry| likeness(entry) > 0.7))
}

fn check(context: &Context<'_>, catalogue: &CatalogueView) -> Exit {
    let terminal = context.terminal;
    output::list(terminal, &catalogue.broken, &catalogue.broken, || {
        let loaded = format!("{} entries loaded", catalogue.entries.len());
        let said = match catalogue.broken.is_empty() {
            true => format!("{loaded}, nothing is broken."),
            false => format!(
                "{}\n{loaded}.",
                render::broken(terminal.out, &catalogue.broken)
            ),
        };
        match render::scanned(terminal.out, catalogue) {
            scanned if scanned.is_empty() => said,
            scanned => format!("{scanned}\n\n{said}"),
        }
    });
    match catalogue.broken.is_empty() {
        true => Exit::Ok,
        false => Exit::Failure,
    }
}
