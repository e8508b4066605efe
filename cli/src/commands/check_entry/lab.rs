//! A data folder and a fleet for the length of a test: what is tried there leaves nothing in the person's own records.
//! Check runs are made on this machine, in check mode; only what reads is really run.

use std::{collections::BTreeSet, os::unix::fs::symlink, path::Path, time::Duration};

use chiffon_common::{
    Parameters, Tier,
    api::{AcceptEntries, AcceptEntry, EntryRun, EntryView, RequestView},
};
use chiffon_orchestrator::catalogue::{Entry, Trust};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Test, Wish, not_accepted};
use crate::{
    client::Client,
    commands::{
        Context,
        answer::{Said, answer},
    },
    failure::Failure,
    fleet::{Agents, Fleet, Ports, first_ansible},
    home::{Held, Home, Lock, read_token},
    progress::Steps,
    session::interrupted,
    settings::Settings,
};
use chiffon_program::Env;

/// How long one check run may take, beside the limit of its entry.
const LIMIT: Duration = Duration::from_secs(900);
const GRACE: Duration = Duration::from_secs(10);

/// The data folder, before its fleet is started.
pub(super) struct Lab {
    folder: TempDir,
    home: Home,
    lock: Lock,
    settings: Settings,
}

/// The fleet in it.
pub(super) struct Running {
    /// Goes last, with all that is in it.
    _folder: TempDir,
    _lock: Lock,
    fleet: Fleet,
    client: Client,
}

impl Lab {
    /// Makes the folder, with the Ansible of the person's own data folder.
    pub(super) async fn make(context: &mut Context<'_>) -> Result<Self, Failure> {
        let steps = Steps::new(context.terminal);
        first_ansible(&context.home, &steps, &mut context.interrupt).await?;
        drop(steps);
        let folder = tempfile::tempdir().map_err(|error| no_folder(&error))?;
        let home = Home::at(&folder.path().join("chiffon"));
        home.make_folder(&|_| {})?;
        let ansible = context.home.path().join("ansible");
        symlink(&ansible, home.path().join("ansible")).map_err(|error| no_folder(&error))?;
        let Held::Ours(lock) = Lock::try_take(&home)? else {
            return Err(Failure::internal("a folder made for a test is in use"));
        };
        home.fill(&|_| {})?;
        let real = context.settings(&[])?;
        let mut settings = Settings::load(&home.config(), &Env::default(), &[])?;
        settings.isolation = real.isolation;
        Ok(Self {
            folder,
            home,
            lock,
            settings,
        })
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Lets the entries that are tested be found here, and this machine be in the groups that they are for.
    pub(super) fn link(
        &mut self,
        context: &Context<'_>,
        entries: &[&Entry],
    ) -> Result<(), Failure> {
        let added = self.home.added_catalogues();
        std::fs::create_dir_all(&added).map_err(|error| no_folder(&error))?;
        for entry in entries {
            let link = |from: &Path, to: &Path| match to.exists() {
                true => Ok(()),
                false => symlink(from, to),
            };
            let linked = match entry.trust {
                Trust::Shipped => Ok(()),
                Trust::Repository => link(
                    &context.home.added_catalogues().join(&entry.origin),
                    &added.join(&entry.origin),
                ),
                Trust::Added => {
                    let folders = &mut self.settings.catalogue_folders;
                    if !folders.contains(&entry.root) {
                        folders.push(entry.root.clone());
                    }
                    Ok(())
                }
            };
            linked.map_err(|error| no_folder(&error))?;
        }
        let groups: BTreeSet<String> = entries.iter().flat_map(|entry| entry.targets()).collect();
        let mut hosts = "all:\n  hosts:\n    localhost: {ansible_connection: local}\n".to_owned();
        if !groups.is_empty() {
            hosts.push_str("  children:\n");
        }
        for group in groups {
            hosts.push_str(&format!("    {group}: {{hosts: {{localhost: {{}}}}}}\n"));
        }
        std::fs::write(self.home.inventory().join("hosts.yml"), hosts)
            .map_err(|error| no_folder(&error))
    }

    /// Starts its fleet, in which counts as accepted what the person has accepted, or everything where code may run.
    pub(super) async fn start(
        self,
        context: &Context<'_>,
        wish: &Wish<'_>,
    ) -> Result<Running, Failure> {
        context
            .terminal
            .say("Testing on this machine, in check mode");
        let fleet = Fleet::start(&self.home, &self.settings, Ports::Ephemeral, Agents::All).await?;
        let client = Client::new(fleet.address(), read_token(&self.home)?)?;
        let running = Running {
            _folder: self.folder,
            _lock: self.lock,
            fleet,
            client,
        };
        match running.accept(wish).await {
            Ok(()) => Ok(running),
            Err(failure) => {
                running.stop().await;
                Err(failure)
            }
        }
    }
}

impl Running {
    async fn accept(&self, wish: &Wish<'_>) -> Result<(), Failure> {
        let catalogue = self.client.catalogue().await?;
        let waiting = catalogue.entries.iter().filter(|entry| !entry.accepted);
        let word = |entry: &EntryView| {
            let known = wish.accepted.get(&entry.id);
            let known = known.filter(|(digest, _)| *digest == entry.digest);
            (known.is_some() || wish.run_code).then(|| AcceptEntry {
                entry: entry.id.clone(),
                digest: entry.digest,
                tier: known.map(|(_, tier)| *tier),
            })
        };
        let waiting: Vec<AcceptEntry> = waiting.filter_map(word).collect();
        for entries in waiting.chunks(1_000) {
            let entries = entries.to_vec();
            self.client.accept(&AcceptEntries { entries }).await?;
        }
        Ok(())
    }

    /// A check run on this machine, with these parameters and guesses for the others that have to be given.
    pub(super) async fn check_run(
        &self,
        context: &mut Context<'_>,
        entry: &Entry,
        wish: &Wish<'_>,
    ) -> Result<Test, Failure> {
        const TEST: &str = "check_run";
        let declared = wish
            .given
            .iter()
            .filter(|(name, _)| entry.parameter(name).is_some());
        let given: Parameters = declared
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let (parameters, unknown) = entry.samples(&given);
        if entry.verifies_only {
            return Ok(Test::not_run(
                TEST,
                "it only checks the work of other entries",
            ));
        }
        if !unknown.is_empty() {
            let why = format!("values are needed: {}=...", unknown.join("=..., "));
            return Ok(Test::not_run(TEST, why));
        }
        // As it counts here: what nobody has accepted is of tier 2, and its check run is made only where the scan knows
        // that it runs none of its code.
        let catalogue = self.client.catalogue().await?;
        let here = catalogue.entries.into_iter().find(|one| one.id == entry.id);
        let Some(here) = here else {
            return Ok(Test::not_run(
                TEST,
                "it does not load beside the shipped entries",
            ));
        };
        let shows = ["exact", "simulated"].contains(&here.preview.as_str());
        if here.tier != Tier::Zero && !shows {
            let why = match (wish.may_run(entry), entry.fidelity_because()) {
                (false, Some(why)) => format!("{}; {why}", not_accepted(entry)),
                (false, None) => not_accepted(entry),
                (true, why) => {
                    why.unwrap_or_else(|| "what a check run would do is not known".to_owned())
                }
            };
            return Ok(Test::not_run(TEST, why));
        }
        let guessed: Vec<String> = parameters
            .iter()
            .filter(|(name, _)| !given.contains_key(*name))
            .map(|(name, value)| format!("{name}={}", plain(value)))
            .collect();
        let run = EntryRun {
            hosts: vec!["localhost".to_owned()],
            parameters,
            ..EntryRun::default()
        };
        let request = match self.client.run_entry(&entry.id, &run, None).await {
            Ok(taken) => self.stands(context, taken.request_id).await?,
            Err(failure) => return Ok(Test::of(TEST, vec![failure.what])),
        };
        let mut found = what_failed(&request);
        if !found.is_empty() && !guessed.is_empty() {
            found.push(format!(
                "values were guessed ({}); give others as NAME=VALUE",
                guessed.join(", ")
            ));
        }
        Ok(Test::of(TEST, found))
    }

    /// The request once its check runs have ended; a plan that waits for approval is refused.
    async fn stands(
        &self,
        context: &mut Context<'_>,
        id: chiffon_common::RequestId,
    ) -> Result<RequestView, Failure> {
        let until = Instant::now() + LIMIT;
        let (mut after, mut version) = (0, 0);
        loop {
            let follow = tokio::select! {
                follow = self.client.follow(id, after, version) => follow?,
                () = context.interrupt.wait() => return Err(interrupted()),
            };
            (after, version) = (follow.last_line, follow.version);
            let request = follow.request;
            if request.state == "awaiting_approval" {
                let question = request.decisions.iter().find(|one| one.kind == "approval");
                if let Some(question) = question {
                    let said = Said {
                        comment: Some(
                            "a test of the catalogue: only the check run was wanted".to_owned(),
                        ),
                        ..Said::default()
                    };
                    self.client
                        .answer(&answer(question, "reject", None, &said))
                        .await?;
                }
                return Ok(request);
            }
            if request.ended || request.waits_for_person {
                return Ok(request);
            }
            if Instant::now() > until {
                let what = format!("The check run has not ended within {} s.", LIMIT.as_secs());
                return Err(Failure::internal(what));
            }
        }
    }

    pub(super) async fn stop(self) {
        self.fleet.stop(GRACE).await;
    }
}

/// What of its runs failed; all of them where it never came to one.
fn what_failed(request: &RequestView) -> Vec<String> {
    let failed = request
        .tasks
        .iter()
        .filter(|task| task.state != "completed");
    let failed = failed.filter(|task| task.mode == "check" || request.ended);
    let mut found: Vec<String> = failed
        .map(|task| {
            let why = task
                .problem
                .as_ref()
                .map_or(&task.because, |problem| &problem.detail);
            why.clone()
        })
        .collect();
    let ran = request
        .tasks
        .iter()
        .any(|task| task.mode == "check" || task.state == "completed");
    let stands = request.state == "awaiting_approval" || request.state == "completed";
    if found.is_empty() && (!ran || !stands) {
        let problem = request.problem.as_ref();
        found.push(
            problem.map_or_else(|| request.because.clone(), |problem| problem.detail.clone()),
        );
    }
    found
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn no_folder(error: &std::io::Error) -> Failure {
    Failure::internal(format!("no folder for a test can be made: {error}"))
}
