//! `chiffon catalogue add|update|remove`: repositories of somebody's playbooks, kept as pinned copies in the data folder.
//! What is in one, and what a copy is, is the orchestrator's `catalogue::repository`.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chiffon_common::{
    Tier,
    api::{BrokenFile, CatalogueView, EntryView},
    visible,
};
use chiffon_orchestrator::{
    catalogue::{
        Root,
        repository::{self, Change, InventorySource, Staged, Survey, Wanted, fetch, source_of},
    },
    inventory::{Inventory, give_back},
};
use serde::Serialize;

use super::{
    Context,
    hosts::{Wish, listed},
    read,
};
use crate::{
    args::{AddRepository, UpdateRepository},
    exit::Exit,
    failure::Failure,
    fleet::roots,
    output, render,
    session::interrupted,
    terminal::{Answered, Paint, ask},
};

/// What an addition or an update says for programs.
#[derive(Debug, Serialize)]
struct Told {
    name: String,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    folder: String,
    digest: String,
    /// Whether it counts now.
    added: bool,
    entries: Vec<EntryView>,
    broken: Vec<BrokenFile>,
    inventories: Vec<String>,
    /// Inventories that are code, and were not run.
    inventory_code: Vec<String>,
    /// The hosts of each inventory that is data.
    hosts: Vec<SourceHosts>,
    vaulted: Vec<String>,
    vaulted_values: Vec<String>,
    missing_roles: Vec<String>,
    missing_collections: Vec<String>,
    other_trees: Vec<String>,
    left: Vec<BrokenFile>,
}

/// The hosts of one inventory.
#[derive(Debug, Serialize)]
struct SourceHosts {
    source: String,
    hosts: Vec<String>,
    /// Why it was not read, or what of it was not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

/// How many faults a person is shown at once.
const SHOWN: usize = 30;
/// Inventories that are read when a repository is added; the others are read when they are asked for.
const READ_AT_ONCE: usize = 4;

/// Reads the hosts of its inventories, as far as they are data. Without an Ansible this waits for the first run.
async fn hosts_of(context: &mut Context<'_>, staged: &Staged) -> Result<Vec<SourceHosts>, Failure> {
    let sources = staged.survey().inventories.iter();
    let data: Vec<&InventorySource> = sources.filter(|source| !source.files.is_empty()).collect();
    let mut told = Vec::new();
    for (at, source) in data.into_iter().enumerate() {
        let name = &staged.name();
        let mut one = SourceHosts {
            source: source.name.clone(),
            hosts: Vec::new(),
            left: Vec::new(),
        };
        if at >= READ_AT_ONCE {
            let ask = format!(
                "not read yet: chiffon catalogue hosts {name} --source {}",
                visible(&source.name)
            );
            one.left.push(ask);
            told.push(one);
            continue;
        }
        match listed(context, source.clone(), staged.files(), Wish::default()).await {
            Ok(found) => {
                let hosts = found.inventory.hosts(&Inventory::default())?;
                one.hosts = hosts
                    .into_iter()
                    .map(|host| host.name.to_string())
                    .collect();
                one.left = found.left;
            }
            // The playbooks are no worse for it.
            Err(failure) if failure.code.is_some() => {
                let again = format!(
                    "try it again, once it is added: chiffon catalogue hosts {name} --source {}",
                    visible(&source.name)
                );
                one.left.extend([failure.what, again]);
            }
            Err(failure) => return Err(failure),
        }
        told.push(one);
    }
    Ok(told)
}

pub async fn add(context: &mut Context<'_>, args: &AddRepository) -> Result<Exit, Failure> {
    // Makes the data folder, so that there is a place for the copy.
    read(context, async |client| client.catalogue().await).await?;
    let wanted = Wanted {
        from: args.from.clone(),
        reference: args.reference.clone(),
        folder: args.folder.clone(),
    };
    let staged = staged(context, wanted, args.name.clone()).await?;
    // Also where it would only be looked at: what is promised can be had.
    staged.fits()?;
    let mut told = told(&staged, &others(context)?);
    told.hosts = hosts_of(context, &staged).await?;
    if !args.dry_run {
        staged.add()?;
        told.added = true;
    }
    let terminal = context.terminal;
    output::one(terminal, &told, || text(terminal.out, &told));
    Ok(Exit::Ok)
}

/// Fetches and writes the copy beside the others, with Ctrl-C heard.
async fn staged(
    context: &mut Context<'_>,
    wanted: Wanted,
    name: Option<String>,
) -> Result<Staged, Failure> {
    context
        .terminal
        .say(&format!("Reading {}", visible(&wanted.from)));
    let added = context.home.added_catalogues();
    let stop = Arc::new(AtomicBool::new(false));
    let hears = Arc::clone(&stop);
    let mut work = tokio::task::spawn_blocking(move || {
        let scratch = Scratch::new(added.join(format!(".fetch-{}", std::process::id())))?;
        let fetched = fetch(&wanted, &scratch.0, &hears)?;
        Ok::<Staged, Failure>(fetched.stage(&added, name.as_deref())?)
    });
    let done = tokio::select! {
        done = &mut work => done,
        () = context.interrupt.wait() => {
            stop.store(true, Ordering::Relaxed);
            let _stopped = work.await;
            return Err(interrupted());
        }
    };
    done.map_err(|error| Failure::internal(format!("reading the repository: {error}")))?
}

/// A folder for what is fetched, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, Failure> {
        let _none = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|error| {
            let what = format!("{} cannot be made: {error}.", path.display());
            Failure::plain(Exit::Failure, what, "Make room in the data folder.")
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is hidden, and goes with the next of this process id.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// The roots whose entries those of a repository may name as their checks and undos.
fn others(context: &mut Context<'_>) -> Result<Vec<Root>, Failure> {
    let settings = context.settings(&[])?;
    Ok(roots(context.home.shipped_catalogue(), &settings))
}

fn told(staged: &Staged, others: &[Root]) -> Told {
    let CatalogueView { entries, broken } = staged.catalogue(others).view();
    let survey: &Survey = staged.survey();
    let source = staged.source();
    let left = survey.left.iter().map(|left| BrokenFile {
        file: left.file.clone(),
        line: left.line,
        reason: left.reason.clone(),
    });
    let of_all = |files: fn(&InventorySource) -> &Vec<String>| {
        survey.inventories.iter().flat_map(files).cloned().collect()
    };
    let mut told = Told {
        name: staged.name().to_owned(),
        from: source.from.clone(),
        commit: source.commit.clone(),
        folder: source.folder.clone(),
        digest: source.digest.to_string(),
        added: false,
        entries,
        broken,
        inventories: of_all(|source| &source.files),
        inventory_code: of_all(|source| &source.code),
        hosts: Vec::new(),
        vaulted: survey.vaulted.clone(),
        vaulted_values: survey.vaulted_values.clone(),
        missing_roles: survey.missing_roles.clone(),
        missing_collections: survey.missing_collections.clone(),
        other_trees: survey.other_trees.clone(),
        left: left.collect(),
    };
    // The copy lies elsewhere while it is looked at: a person knows the file by its path in the repository.
    for broken in &mut told.broken {
        if let Some((_, path)) = broken.file.split_once("/catalogue/added/") {
            let path = path.split_once("/tree/").map_or("", |(_, path)| path);
            broken.file = path.to_owned();
        }
    }
    told
}

fn text(paint: Paint, told: &Told) -> String {
    let catalogue = CatalogueView {
        entries: told.entries.clone(),
        broken: Vec::new(),
    };
    let mut lines = vec![render::entries(paint, &catalogue), String::new()];
    let mut list = |what: &str, names: &[String]| {
        if !names.is_empty() {
            let shown: Vec<String> = names
                .iter()
                .take(12)
                .map(|name| render::file_name(name))
                .collect();
            let more = match names.len().saturating_sub(12) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            lines.push(format!("{what}: {}{more}", shown.join(", ")));
        }
    };
    list("Inventories that are code (not run)", &told.inventory_code);
    list(
        "Vaulted files (not read; Chiffon knows no vault password)",
        &told.vaulted,
    );
    list("Files with vaulted values", &told.vaulted_values);
    list("Roles it requires and does not hold", &told.missing_roles);
    list(
        "Collections it requires and does not hold (put them there first: ansible-galaxy collection install -p collections)",
        &told.missing_collections,
    );
    list("Other Ansible trees in it (--folder)", &told.other_trees);
    for one in &told.hosts {
        let shown: Vec<String> = one
            .hosts
            .iter()
            .take(12)
            .map(|name| visible(name))
            .collect();
        let more = match one.hosts.len().saturating_sub(12) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!(
            "Hosts of {}: {}{more}",
            visible(&one.source),
            shown.join(", ")
        ));
        lines.extend(one.left.iter().map(|why| format!("  {}", visible(why))));
    }
    if told.hosts.iter().any(|one| !one.hosts.is_empty()) {
        let which = match told.hosts.len() {
            1 => "",
            _ => " --source SOURCE",
        };
        lines.push(format!(
            "They are not Chiffon's hosts until: chiffon catalogue hosts {}{which} --take",
            told.name
        ));
    }
    let mut left: Vec<BrokenFile> = told.broken.clone();
    left.extend(told.left.iter().cloned());
    if !left.is_empty() {
        lines.push("Not as Ansible alone would have it, or not read:".to_owned());
        let more = left.len().saturating_sub(SHOWN);
        left.truncate(SHOWN);
        lines.push(render::broken(paint, &left));
        if more > 0 {
            lines.push(format!("and {more} more (--json shows all)"));
        }
    }
    let entries = match told.entries.len() {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    lines.push(match told.added {
        true => format!(
            "Added {} with {entries}, tier 2 until: chiffon catalogue accept {}",
            told.name, told.name
        ),
        false => format!("Would add {} with {entries}.", told.name),
    });
    lines.join("\n")
}

/// What an update changes, for programs.
#[derive(Debug, Serialize)]
struct Update {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    digest: String,
    /// Whether it has taken effect.
    taken: bool,
    changes: Vec<Changed>,
    broken: Vec<BrokenFile>,
}

#[derive(Debug, Serialize)]
struct Changed {
    entry: String,
    change: &'static str,
    files_added: Vec<String>,
    files_removed: Vec<String>,
    files_changed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier_raised: Option<(Tier, Tier)>,
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        Self {
            entry: change.entry.to_string(),
            change: change.kind,
            files_added: change.added.clone(),
            files_removed: change.removed.clone(),
            files_changed: change.changed.clone(),
            tier_raised: change.tier_raised,
        }
    }
}

pub async fn update(context: &mut Context<'_>, args: &UpdateRepository) -> Result<Exit, Failure> {
    context.home.check()?;
    let added = context.home.added_catalogues();
    let source = source_of(&added, &args.name)?;
    let mut wanted = source.wanted();
    if args.reference.is_some() {
        wanted.reference.clone_from(&args.reference);
    }
    let staged = staged(context, wanted, Some(args.name.clone())).await?;
    let others = others(context)?;
    let difference = staged.difference(&others);
    let new = staged.source();
    let told = told(&staged, &others);
    let mut update = Update {
        name: args.name.clone(),
        commit: new.commit.clone(),
        digest: new.digest.to_string(),
        taken: false,
        changes: difference.changes.iter().map(Changed::from).collect(),
        broken: told.broken,
    };
    let same = new.digest == source.digest;
    let terminal = context.terminal;
    if !same && !args.yes {
        terminal.say(&changes(terminal.out, &update));
        consent(context).await?;
    }
    if !same || new.commit != source.commit {
        staged.replace()?;
        update.taken = true;
    }
    output::one(terminal, &update, || match (same, args.yes) {
        (true, _) => format!("{} is as it was.", update.name),
        (false, true) => changes(terminal.out, &update),
        (false, false) => format!("{} is updated.", update.name),
    });
    Ok(Exit::Ok)
}

fn changes(paint: Paint, update: &Update) -> String {
    let mut lines = Vec::new();
    for change in &update.changes {
        lines.push(format!("{} {}", change.change, paint.bold(&change.entry)));
        for (sign, files) in [
            ('+', &change.files_added),
            ('-', &change.files_removed),
            ('~', &change.files_changed),
        ] {
            lines.extend(
                files
                    .iter()
                    .map(|file| format!("  {sign} {}", render::file_name(file))),
            );
        }
        if let Some((was, becomes)) = change.tier_raised {
            lines.push(format!("  its tier rises from {was} to {becomes}"));
        }
    }
    if update.changes.is_empty() {
        lines.push("No entry changes; other files of it do.".to_owned());
    }
    if !update.broken.is_empty() {
        lines.push("Not read:".to_owned());
        lines.push(render::broken(paint, &update.broken));
    }
    if !update.changes.is_empty() {
        lines.push("What has changed is not accepted any more.".to_owned());
    }
    lines.join("\n")
}

async fn consent(context: &mut Context<'_>) -> Result<(), Failure> {
    if !context.terminal.may_ask {
        return Err(Failure::plain(
            Exit::Waiting,
            "Nothing was changed: taking an update without a prompt needs --yes.",
            "Read what changes, then say it again with --yes.",
        ));
    }
    match ask("Take these changes? [y/N]", &mut context.interrupt).await {
        Answered::Line(line) if ["y", "yes"].contains(&line.to_ascii_lowercase().as_str()) => {
            Ok(())
        }
        Answered::Line(_) | Answered::NoMore => {
            Err(Failure::plain(Exit::Denied, "Nothing was changed.", ""))
        }
        Answered::Interrupted => Err(interrupted()),
    }
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
    /// Whether hosts that were taken over from it went with it.
    hosts: bool,
}

pub async fn remove(context: &mut Context<'_>, name: &str) -> Result<Exit, Failure> {
    context.home.check()?;
    repository::remove(&context.home.added_catalogues(), name)?;
    let hosts = give_back(&context.home.inventory(), name)?;
    let removed = Removed {
        removed: name,
        hosts,
    };
    output::one(context.terminal, &removed, || match hosts {
        true => format!(
            "{name} is not in the catalogue any more, and its hosts are not in the inventory."
        ),
        false => format!("{name} is not in the catalogue any more."),
    });
    Ok(Exit::Ok)
}
