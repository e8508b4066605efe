//! `chiffon catalogue hosts`: the hosts that a repository's inventory names, read by the real Ansible, and taking them
//! over into Chiffon's own inventory, which is a person's word. What an inventory is, is the orchestrator's
//! `catalogue::repository`; what is written, its `inventory`.

use std::path::{Path, PathBuf};

use chiffon_agent_infra::{Ansible, AnsibleLocator, InventoryListing};
use chiffon_common::{ErrorCode, HostName, Problem, visible};
use chiffon_orchestrator::{
    catalogue::repository::{Copy, InventorySource, inventories_of},
    inventory::{ForeignHost, ForeignInventory, Here, Inventory, take},
};
use serde::Serialize;

use super::{Context, read};
use crate::{
    args::RepositoryHosts,
    exit::Exit,
    failure::Failure,
    fleet::{first_ansible, user_home},
    home::hostname,
    output,
    progress::Steps,
    render,
    session::interrupted,
    terminal::{Answered, Paint, ask},
};

/// What is asked of one inventory.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Whether its code may run.
    pub(super) run_code: bool,
    /// The password of what is vaulted.
    pub(super) password_file: Option<PathBuf>,
}

/// What was found in one inventory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) inventory: ForeignInventory,
    /// What was not read, and why; then Ansible's warnings.
    pub(super) left: Vec<String>,
}

/// What is said of a repository's hosts.
#[derive(Debug, Serialize)]
struct Told {
    repository: String,
    /// The inventory that was read.
    source: String,
    /// All that the repository has.
    sources: Vec<String>,
    hosts: Vec<Host>,
    left: Vec<String>,
    /// Whether they are Chiffon's hosts now.
    taken: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Debug, Serialize)]
struct Host {
    name: HostName,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    groups: Vec<String>,
    /// One of this name was there before, and stays as it is.
    is_there: bool,
}

impl From<ForeignHost> for Host {
    fn from(host: ForeignHost) -> Self {
        Self {
            name: host.name,
            address: host.address.map(|address| visible(&address)),
            groups: host.groups,
            is_there: host.is_there,
        }
    }
}

pub async fn hosts(context: &mut Context<'_>, args: &RepositoryHosts) -> Result<Exit, Failure> {
    // Makes the data folder and its inventory.
    read(context, async |client| client.health().await).await?;
    let (sources, files) = inventories_of(&context.home.added_catalogues(), &args.name)?;
    let source = chosen(&sources, args.source.as_deref())?;
    if args.run_code && !source.code.is_empty() {
        consent_to_code(context, source, args.yes).await?;
    }
    let steps = Steps::new(context.terminal);
    first_ansible(&context.home, &steps, &mut context.interrupt).await?;
    drop(steps);
    let wish = Wish {
        run_code: args.run_code,
        password_file: args.vault_password_file.clone(),
    };
    let found = listed(context, source.clone(), files, wish).await?;
    let here = here();
    let folder = context.home.inventory();
    let there = Inventory::load_without(&folder, &here, Some(&args.name))?;
    let mut told = Told {
        repository: args.name.clone(),
        source: source.name.clone(),
        sources: sources.iter().map(|source| source.name.clone()).collect(),
        hosts: found
            .inventory
            .hosts(&there)?
            .into_iter()
            .map(Host::from)
            .collect(),
        left: found.left.clone(),
        taken: false,
        file: None,
    };
    if args.take {
        let new = found.inventory.text(&args.name, &there)?;
        if !args.yes {
            let shown = text(context.terminal.out, &told);
            context.terminal.say(&shown);
            consent_to_hosts(context, &told).await?;
        }
        let path = take(&folder, &args.name, &new)?;
        told.taken = true;
        told.file = Some(path.display().to_string());
        // Whatever is wrong with it is told now, not by the next run.
        Inventory::load(&folder, &here)?;
    }
    let terminal = context.terminal;
    output::one(terminal, &told, || text(terminal.out, &told));
    Ok(Exit::Ok)
}

fn here() -> Here {
    Here {
        hostname: hostname(),
        home: home_of(),
    }
}

fn home_of() -> PathBuf {
    user_home().unwrap_or_else(|| PathBuf::from("/"))
}

/// The inventory that is meant: the one that is named, the one that `ansible.cfg` names, or the only one.
fn chosen<'s>(
    sources: &'s [InventorySource],
    wanted: Option<&str>,
) -> Result<&'s InventorySource, Failure> {
    let names: Vec<String> = sources.iter().map(|source| visible(&source.name)).collect();
    let among = format!("It has {}.", names.join(", "));
    let unreadable = |what: String, todo: &str| {
        Failure::from(Problem::new(ErrorCode::InventoryUnreadable, what, todo))
    };
    if let Some(wanted) = wanted {
        let wanted = wanted.trim_start_matches("./").trim_end_matches('/');
        let fits = |source: &&InventorySource| {
            source.name == wanted
                || source
                    .files
                    .iter()
                    .chain(&source.code)
                    .any(|file| file == wanted)
        };
        return sources.iter().find(fits).ok_or_else(|| {
            let what = format!("The repository has no inventory {:?}.", visible(wanted));
            unreadable(what, &among)
        });
    }
    let mut default = sources.iter().filter(|source| source.is_default);
    match (sources, default.next(), default.next()) {
        ([], ..) => Err(unreadable(
            "No inventory is in the repository.".to_owned(),
            "Write its hosts into inventory/hosts.yml of the data folder.",
        )),
        ([only], ..) | (_, Some(only), None) => Ok(only),
        _ => Err(unreadable(
            "The repository has several inventories.".to_owned(),
            &format!("{among} Name one with --source."),
        )),
    }
}

/// Reads one inventory through Ansible, with Ctrl-C heard: what has begun ends by its own bound then.
pub(super) async fn listed(
    context: &mut Context<'_>,
    source: InventorySource,
    files: PathBuf,
    wish: Wish,
) -> Result<Found, Failure> {
    let locator = AnsibleLocator::new(context.home.path());
    let home = home_of();
    let work = tokio::task::spawn_blocking(move || {
        let ansible = locator.find()?;
        read_source(&ansible, &source, &files, &wish, &home)
    });
    let done = tokio::select! {
        done = work => done,
        () = context.interrupt.wait() => return Err(interrupted()),
    };
    let done =
        done.map_err(|error| Failure::internal(format!("reading the inventory: {error}")))?;
    Ok(done?)
}

fn read_source(
    ansible: &Ansible,
    source: &InventorySource,
    files: &Path,
    wish: &Wish,
    home: &Path,
) -> Result<Found, Problem> {
    let mut given = source.files.clone();
    if wish.run_code {
        given.extend(source.code.iter().cloned());
    }
    let mut left = Vec::new();
    if !wish.run_code && !source.code.is_empty() {
        let code = source.code.iter().map(|file| visible(file));
        left.extend(code.map(|file| format!("{file} is code, so it is not run: --run-code")));
    }
    let broken = source.broken.iter();
    left.extend(broken.map(|(file, why)| format!("{}, {}", visible(file), visible(why))));
    let has_password = wish.password_file.is_some();
    if !has_password {
        let vaulted = source.vaulted.iter().map(|file| visible(file));
        left.extend(
            vaulted
                .map(|file| format!("{file} is vaulted, so it is not read: --vault-password-file")),
        );
    }
    if given.is_empty() {
        let name = visible(&source.name);
        let (what, todo) = match source.broken.first() {
            Some((file, why)) => (
                format!("{}, {}", visible(file), visible(why)),
                "correct the file in the repository, then: chiffon catalogue update",
            ),
            None => (
                format!("{name} holds nothing but code, which was not run"),
                "read it, and let it run then: --run-code",
            ),
        };
        return Err(Problem::new(ErrorCode::InventoryUnreadable, what, todo));
    }
    let ask = |shared: bool| -> Result<(ForeignInventory, Vec<String>), Problem> {
        let folder = tempfile::tempdir().map_err(|error| no_folder(&error))?;
        let copy = Copy {
            shared,
            vaulted: has_password,
            code: wish.run_code,
        };
        source.write(files, folder.path(), copy)?;
        let listing = InventoryListing {
            folder: folder.path(),
            sources: &given,
            beside_playbooks: shared,
            code: wish.run_code.then_some(home),
            password_file: wish.password_file.as_deref(),
        };
        let listed = listing.read(ansible)?;
        Ok((ForeignInventory::read(&listed.document), listed.warnings))
    };
    let (mut inventory, mut warnings) = ask(false)?;
    if !source.shared_variables.is_empty() {
        // What travels with the playbooks stays there; how a host is reached has to be known before.
        let (connections, more) = ask(true)?;
        inventory = inventory.with_connections_of(connections);
        warnings.extend(more);
        warnings.dedup();
    }
    left.extend(inventory.left());
    left.extend(
        warnings
            .into_iter()
            .map(|text| format!("Ansible warns: {text}")),
    );
    Ok(Found { inventory, left })
}

fn no_folder(error: &std::io::Error) -> Problem {
    let detail = format!("no folder for a moment can be made: {error}");
    Problem::new(
        ErrorCode::HomeUnusable,
        detail,
        "make room in the folder for temporary files",
    )
}

fn text(paint: Paint, told: &Told) -> String {
    let rows: Vec<Vec<String>> = told
        .hosts
        .iter()
        .map(|host| {
            vec![
                host.name.to_string(),
                render::one_line(host.address.as_deref().unwrap_or_default(), 40),
                render::one_line(&host.groups.join(", "), 60),
                match host.is_there {
                    true => "there already, stays as it is".to_owned(),
                    false => String::new(),
                },
            ]
        })
        .collect();
    let mut lines = vec![render::table(
        paint,
        &["HOST", "ADDRESS", "GROUPS", ""],
        &rows,
    )];
    if !told.left.is_empty() {
        lines.push("To be known of it:".to_owned());
        lines.extend(told.left.iter().map(|why| format!("  {why}")));
    }
    if told.sources.len() > 1 {
        let others = told.sources.iter().filter(|source| **source != told.source);
        let others: Vec<String> = others.map(|source| visible(source)).collect();
        lines.push(format!(
            "Other inventories of it (--source): {}",
            others.join(", ")
        ));
    }
    let new = told.hosts.iter().filter(|host| !host.is_there).count();
    lines.push(match (&told.file, new) {
        (Some(file), _) => format!(
            "Taken over into {}. Pin their SSH keys before anything runs there: chiffon inventory trust NAME",
            visible(file)
        ),
        (None, 0) if told.hosts.is_empty() => "This inventory names no hosts.".to_owned(),
        (None, 0) => "None of them is new.".to_owned(),
        (None, _) => {
            let which = match told.sources.len() {
                0 | 1 => String::new(),
                _ => format!(" --source {}", visible(&told.source)),
            };
            format!(
                "They are not Chiffon's hosts until: chiffon catalogue hosts {}{which} --take",
                told.repository
            )
        }
    });
    lines.join("\n")
}

async fn consent_to_code(
    context: &mut Context<'_>,
    source: &InventorySource,
    yes: bool,
) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let code: Vec<String> = source.code.iter().map(|file| visible(file)).collect();
    let code = code.join(", ");
    let question = format!(
        "{code} would run as you, with all that you may do. Did you read it? Run it? [y/N]"
    );
    agreed(
        context,
        &question,
        "Running code of a repository without a prompt needs --yes.",
    )
    .await
}

async fn consent_to_hosts(context: &mut Context<'_>, told: &Told) -> Result<(), Failure> {
    let new = told.hosts.iter().filter(|host| !host.is_there).count();
    let what = match new {
        1 => "this host".to_owned(),
        count => format!("these {count} hosts"),
    };
    let question = format!("Take {what} into Chiffon's inventory? [y/N]");
    agreed(
        context,
        &question,
        "Taking hosts without a prompt needs --yes.",
    )
    .await
}

async fn agreed(context: &mut Context<'_>, question: &str, needs: &str) -> Result<(), Failure> {
    if !context.terminal.may_ask {
        return Err(Failure::usage(
            needs,
            "Look at them first: the same without --take.",
        ));
    }
    match ask(question, &mut context.interrupt).await {
        Answered::Line(line) if ["y", "yes"].contains(&line.to_ascii_lowercase().as_str()) => {
            Ok(())
        }
        Answered::Line(_) | Answered::NoMore => {
            Err(Failure::plain(Exit::Denied, "Nothing was done.", ""))
        }
        Answered::Interrupted => Err(interrupted()),
    }
}
