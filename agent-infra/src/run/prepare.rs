//! Everything that is written before a run starts. The last step holds what lies on the disk against
//! the sealed digest, so nothing but the start itself may come after it (S7).

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt};

use chiffon_agent::Work;
use chiffon_common::{Bundle, ErrorCode, Mode, Problem, Redactor};
use rustix::fs::{CWD, Mode as FileMode, mkfifoat};
use serde_json::Value;

use super::{Means, fault};
use crate::{
    folder::Folder,
    inventory::{HOSTS_FILE, Inventory},
    isolation::{Fence, Needs, Site},
    remote::Cleaner,
    settings::{CALLBACK, DEFAULTS, FENCE, Settings, check_path},
    supervise::Spec,
    vars::vars_file,
};

/// The agent's clock ends a run; the supervisor's is a second fence, this much later.
const SECOND_FENCE_SECONDS: u64 = 300;

/// A run that is ready to start.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) folder: Folder,
    pub(super) spec: Spec,
    /// Where hosts are reached over a network.
    pub(super) cleaner: Option<Cleaner>,
    /// Which isolation is in force, for people.
    pub(super) isolation: String,
}

/// Strikes out what the parameters and the inventory of this run hold secret.
pub(super) fn redactor(work: &Work, inventory: &Inventory) -> Redactor {
    let mut secrets = inventory.secrets.clone();
    for name in &work.secret_parameters {
        if let Some(value) = work.parameters.get(name) {
            collect(value, &mut secrets);
        }
    }
    Redactor::new(secrets)
}

fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) => secrets.push(text.clone()),
        Value::Number(number) => secrets.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The playbook within the bundle.
fn playbook(work: &Work) -> String {
    let named = work.bundle.file(Bundle::PLAYBOOK);
    let named = named.and_then(|file| std::str::from_utf8(&file.content).ok());
    named.map_or_else(|| format!("playbooks/{}.yml", work.action), str::to_owned)
}

/// Writes everything.
pub(super) fn prepare(
    means: &Means,
    work: &Work,
    inventory: &Inventory,
) -> Result<Prepared, Problem> {
    check_path(&work.folder)?;
    check_hosts(work, inventory)?;
    let playbook = playbook(work);
    if work.bundle.file(&playbook).is_none() {
        return Err(Problem::new(
            ErrorCode::ContentChanged,
            format!("The bundle of this run holds no {playbook}."),
            "Ask again, so that a new plan with a new bundle is made.",
        ));
    }
    let vars = vars_file(work)?;
    let folder = Folder::new(&work.folder);
    let run_id = work.run_id();
    let settings = Settings {
        folder: &folder,
        run_id: &run_id,
        hosts: work.hosts.len(),
        ssh_agent: means.ssh_agent.as_deref(),
    };
    // A name at the top could begin with what Ansible takes for an option.
    let spec = spec(means, work, &folder, &settings, format!("./{playbook}"));
    write(work, &folder, inventory.remote, &vars)
        .map_err(|error| fault(format!("{}: {error}", work.folder.display())))?;
    let Fence {
        command,
        detached,
        words,
    } = means.isolation.fence(&Site {
        folder: &folder,
        control: settings.control_folder(),
        environment: &spec.environment,
        needs: &Needs::of(inventory, means.ssh_agent.as_deref()),
        local: inventory.local,
        keeps_daemons: spec.keeps_daemons,
    })?;
    let cleaner = inventory.remote.then(|| Cleaner {
        fence: command.clone(),
        detached,
        ..cleaner(means, &folder, &settings)
    });
    if let Some(cleaner) = &cleaner {
        let kept = cleaner.write(&folder);
        kept.map_err(|error| fault(format!("{}: {error}", work.folder.display())))?;
    }
    let prepared = Prepared {
        spec: Spec {
            cleanup: cleaner.as_ref().map(Cleaner::command),
            fence: command,
            detached,
            ..spec
        },
        cleaner,
        isolation: words,
        folder,
    };
    prepared.folder.check(work.digest)?;
    Ok(prepared)
}

/// The inventory names the approved hosts and no other (S3).
fn check_hosts(work: &Work, inventory: &Inventory) -> Result<(), Problem> {
    let approved = |host: &String| work.hosts.iter().any(|name| name.as_str() == host);
    match inventory.hosts.iter().find(|host| !approved(host)) {
        None => Ok(()),
        Some(host) => Err(Problem::new(
            ErrorCode::ContentChanged,
            format!("The inventory of this run names {host}, which was not approved."),
            "Ask again, so that a new plan with a new bundle is made.",
        )),
    }
}

fn write(work: &Work, folder: &Folder, remote: bool, vars: &str) -> io::Result<()> {
    let run_id = work.run_id();
    let settings = Settings {
        folder,
        run_id: &run_id,
        hosts: work.hosts.len(),
        ssh_agent: None,
    };
    folder.make()?;
    // The configuration names folders that the bundle does.
    folder.unpack(&work.bundle)?;
    folder.write(&folder.vars(), vars)?;
    folder.write(&folder.config(), settings.config())?;
    folder.write(&folder.defaults(), DEFAULTS)?;
    folder.write(&folder.plugins().join("chiffon.py"), CALLBACK)?;
    folder.write(&folder.fence().join("chiffon_fence.py"), FENCE)?;
    mkfifoat(CWD, folder.events(), FileMode::RUSR | FileMode::WUSR)?;
    if remote {
        let control = settings.control_folder();
        DirBuilder::new().mode(0o700).create(control)?;
    }
    Ok(())
}

fn inventories(folder: &Folder) -> [String; 2] {
    [
        folder.defaults().display().to_string(),
        HOSTS_FILE.to_owned(),
    ]
}

fn spec(
    means: &Means,
    work: &Work,
    folder: &Folder,
    settings: &Settings<'_>,
    playbook: String,
) -> Spec {
    let mut arguments = Vec::new();
    for inventory in inventories(folder) {
        arguments.extend(["-i".to_owned(), inventory]);
    }
    arguments.extend([
        "-e".to_owned(),
        format!("@{}", folder.vars().display()),
        playbook,
    ]);
    if work.mode == Mode::Check {
        arguments.push("--check".to_owned());
    }
    arguments.push("--diff".to_owned());
    Spec {
        run_id: work.run_id(),
        program: means.ansible.playbook.clone(),
        arguments,
        folder: folder.bundle(),
        environment: settings.environment(),
        end: folder.end("run"),
        limit_seconds: work.timeout.as_secs().saturating_add(SECOND_FENCE_SECONDS),
        cleanup: None,
        keeps_daemons: work.bundle.file(Bundle::KEEPS_DAEMONS).is_some(),
        fence: Vec::new(),
        detached: false,
        limits: means.isolation.limits(),
    }
}

fn cleaner(means: &Means, folder: &Folder, settings: &Settings<'_>) -> Cleaner {
    Cleaner {
        run_id: settings.run_id.to_owned(),
        program: means.ansible.adhoc.clone(),
        inventories: inventories(folder).into(),
        environment: settings.environment(),
        ssh_args: settings.lone_ssh_args(),
        fence: Vec::new(),
        detached: false,
    }
}
