//! `chiffon catalogue list|show|check`. Starting an entry is left to `call`.

use chiffon_common::{
    ErrorCode, Problem,
    api::{CatalogueView, EntryView},
};

use super::{Context, call::call, read};
use crate::{args::Catalogue, exit::Exit, failure::Failure, output, render};

pub async fn catalogue(context: &mut Context<'_>, args: &Catalogue) -> Result<Exit, Failure> {
    if let Catalogue::Run(args) = args {
        return call(context, args).await;
    }
    let catalogue = read(context, async |client| client.catalogue().await).await?;
    match args {
        Catalogue::List => list(context, &catalogue),
        Catalogue::Show { entry } => show(context, &catalogue, entry),
        Catalogue::Check | Catalogue::Run(_) => Ok(check(context, &catalogue)),
    }
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
    Ok(Exit::Ok)
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

fn unknown(catalogue: &CatalogueView, id: &str) -> Failure {
    let likeness = |entry: &&EntryView| strsim::jaro_winkler(entry.id.as_str(), id);
    let near = catalogue
        .entries
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let todo = match near.filter(|entry| likeness(entry) > 0.7) {
        Some(near) => format!(
            "Did you mean {}? `chiffon catalogue list` shows all.",
            near.id
        ),
        None => "`chiffon catalogue list` shows all entries.".to_owned(),
    };
    let shown = render::one_line(id, 80);
    let detail = format!("The catalogue has no entry {shown:?}.");
    Problem::new(ErrorCode::UnknownEntry, detail, todo).into()
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
