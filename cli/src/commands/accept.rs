//! `chiffon catalogue accept`: the explicit act of a person by which entries count as what they say of themselves, as
//! they are now.

use std::collections::HashSet;

use chiffon_common::{
    EntryId, Tier,
    api::{AcceptEntries, AcceptEntry, CatalogueView, EntryView},
    visible,
};

use super::{Context, read};
use crate::{
    args,
    exit::Exit,
    failure::Failure,
    output, render,
    session::interrupted,
    terminal::{Answered, ask},
};

/// How many are sent at a time: the API takes 256 KiB.
const AT_A_TIME: usize = 1_400;

pub async fn accept(
    context: &mut Context<'_>,
    args: &args::AcceptEntries,
) -> Result<Exit, Failure> {
    let catalogue = read(context, async |client| client.catalogue().await).await?;
    let named = named(&catalogue, &args.names)?;
    let shown = CatalogueView {
        entries: named.iter().map(|entry| (*entry).clone()).collect(),
        broken: Vec::new(),
    };
    if !args.yes {
        let text = render::entries(context.terminal.out, &shown);
        context.terminal.say(&text);
        consent(context, named.len()).await?;
    }
    let tier = args.tier.map(|tier| match tier {
        0 => Tier::Zero,
        1 => Tier::One,
        _ => Tier::Two,
    });
    let accept = |entry: &&EntryView| AcceptEntry {
        entry: entry.id.clone(),
        digest: entry.digest,
        tier,
    };
    let asked: Vec<AcceptEntry> = named.iter().map(accept).collect();
    let chunks: Vec<AcceptEntries> = asked
        .chunks(AT_A_TIME)
        .map(|entries| AcceptEntries {
            entries: entries.to_vec(),
        })
        .collect();
    let now = read(context, async |client| {
        let mut now = None;
        for chunk in &chunks {
            now = Some(client.accept(chunk).await?);
        }
        Ok(now)
    })
    .await?;
    let mut now = now.unwrap_or_else(|| catalogue.clone());
    let ids: HashSet<&EntryId> = asked.iter().map(|asked| &asked.entry).collect();
    now.entries.retain(|entry| ids.contains(&entry.id));
    let terminal = context.terminal;
    output::list(terminal, &now.entries, &now.entries, || {
        format!("Accepted:\n{}", render::entries(terminal.out, &now))
    });
    Ok(Exit::Ok)
}

/// Entries by id, and those of repositories by the repository's name; each once.
fn named<'c>(
    catalogue: &'c CatalogueView,
    names: &[String],
) -> Result<Vec<&'c EntryView>, Failure> {
    let mut found: Vec<&EntryView> = Vec::new();
    let mut ids: HashSet<&EntryId> = HashSet::new();
    for name in names {
        let fits = |entry: &&EntryView| entry.id.as_str() == name || entry.origin == *name;
        let mut fitting = catalogue.entries.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            return Err(super::catalogue::unknown(catalogue, name));
        }
        found.extend(fitting.filter(|entry| ids.insert(&entry.id)));
    }
    Ok(found)
}

async fn consent(context: &mut Context<'_>, count: usize) -> Result<(), Failure> {
    if !context.terminal.may_ask {
        return Err(Failure::usage(
            "Accepting without a prompt needs --yes.",
            format!(
                "Read the playbooks first; their files are below {}.",
                visible(&context.home.added_catalogues().display().to_string())
            ),
        ));
    }
    let what = match count {
        1 => "this entry".to_owned(),
        count => format!("these {count} entries"),
    };
    let question = format!("Did you read what {what} would run? Accept? [y/N]");
    match ask(&question, &mut context.interrupt).await {
        Answered::Line(line) if ["y", "yes"].contains(&line.to_ascii_lowercase().as_str()) => {
            Ok(())
        }
        Answered::Line(_) | Answered::NoMore => {
            Err(Failure::plain(Exit::Denied, "Nothing was accepted.", ""))
        }
        Answered::Interrupted => Err(interrupted()),
    }
}
