//! What can be seen without a fleet: the data folder, its secrets, the configuration, and the programs
//! that runs need.

use std::{net::TcpListener, process::Stdio, time::Duration};

use chiffon_agent_infra::{Ansible, AnsibleLocator, Isolation, Origin};
use jiff::Timestamp;
use tokio::{process::Command, time::timeout};

use super::{Context, Finding};
use crate::home::{Held, Lock, read_token, signer};

/// A cold start from a slow disk.
const LIMIT: Duration = Duration::from_secs(20);

/// No clock that is right shows less: 2026-01-01, before the first release.
const FIRST_RELEASE: i64 = 1_767_225_600;

pub(super) fn home(context: &Context<'_>) -> Vec<Finding> {
    let home = &context.home;
    let shown = home.path().display();
    if let Err(problem) = home.check() {
        return vec![Finding::failed("data folder", problem)];
    }
    if !home.exists() {
        let found = format!("{shown} is not set up yet");
        let todo = "The first `chiffon run` or `chiffon up` makes it.";
        return vec![Finding::warn("data folder", found, todo), config(context)];
    }
    let key = match signer(home) {
        Ok(signer) => {
            let public = signer.public().to_string();
            let trusted = std::fs::read_to_string(home.trusted_keys()).unwrap_or_default();
            match trusted.contains(&public) {
                true => Finding::ok("key", "readable by you only, and trusted by the agents"),
                false => Finding::fail(
                    "key",
                    "keys/orchestrators.pub does not hold the orchestrator's key",
                    "Remove keys/orchestrators.pub: the next start writes it.",
                ),
            }
        }
        Err(problem) => Finding::failed("key", problem),
    };
    let token = match read_token(home) {
        Ok(_) => Finding::ok("token", "readable by you only"),
        Err(problem) => Finding::failed("token", problem),
    };
    vec![
        Finding::ok("data folder", format!("{shown}, closed to others")),
        key,
        token,
        config(context),
    ]
}

fn config(context: &Context<'_>) -> Finding {
    match context.settings(&[]) {
        Ok(_) => Finding::ok("config", context.home.config().display().to_string()),
        Err(failure) => Finding::failed("config", failure),
    }
}

pub(super) async fn tools(context: &Context<'_>) -> Vec<Finding> {
    let python = program("python", "python3", "Install Python 3 with venv.").await;
    let git = program(
        "git",
        "git",
        "Install git; without it only `chiffon log` reads the ledger.",
    );
    let (ansible, found) = ansible(context).await;
    vec![
        ansible,
        python,
        git.await,
        isolation(context, found).await,
        clock(),
        port(context),
    ]
}

/// What runs are kept in, tried as the agent tries it.
async fn isolation(context: &Context<'_>, ansible: Option<Ansible>) -> Finding {
    let Ok(settings) = context.settings(&[]) else {
        return Finding::warn("isolation", "not known without a configuration", "");
    };
    let config = settings.isolation;
    let look = move || Isolation::look(config, ansible.as_ref());
    let isolation = match tokio::task::spawn_blocking(look).await {
        Ok(isolation) => isolation,
        Err(error) => {
            return Finding::fail("isolation", format!("the look for it failed: {error}"), "");
        }
    };
    if let Some(problem) = isolation.refuses() {
        return Finding::failed("isolation", problem);
    }
    match isolation.advice() {
        Some(todo) => Finding::warn("isolation", isolation.words(), todo),
        None => Finding::ok("isolation", isolation.words()),
    }
}

async fn ansible(context: &Context<'_>) -> (Finding, Option<Ansible>) {
    let locator = AnsibleLocator::new(context.home.path());
    let looked = tokio::task::spawn_blocking(move || locator.find()).await;
    match looked {
        Ok(Ok(ansible)) => {
            let origin = match ansible.origin {
                Origin::Path => "found on the PATH",
                Origin::Private => "private",
            };
            let found = format!(
                "ansible-core {} on Python {}, {origin}: {}",
                ansible.version,
                ansible.python,
                ansible.playbook.display()
            );
            (Finding::ok("ansible", found), Some(ansible))
        }
        Ok(Err(problem)) => {
            let finding = Finding::warn("ansible", problem.detail, problem.todo);
            (finding, None)
        }
        Err(error) => {
            let found = format!("the look for it failed: {error}");
            (Finding::fail("ansible", found, ""), None)
        }
    }
}

async fn program(what: &'static str, name: &str, todo: &str) -> Finding {
    let mut command = Command::new(name);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            Finding::ok(what, said.trim().to_owned())
        }
        Ok(Ok(output)) => Finding::warn(what, format!("{name} ended with {}", output.status), todo),
        Ok(Err(error)) => Finding::warn(what, format!("{name} cannot be run: {error}"), todo),
        Err(_) => Finding::warn(what, format!("{name} does not answer"), todo),
    }
}

fn clock() -> Finding {
    let now = Timestamp::now();
    let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    match now.as_second() > FIRST_RELEASE {
        true => Finding::ok("clock", shown),
        false => Finding::fail("clock", format!("it shows {shown}"), "Set the clock."),
    }
}

fn port(context: &Context<'_>) -> Finding {
    let Ok(settings) = context.settings(&[]) else {
        return Finding::warn("port", "not known without a configuration", "");
    };
    if context.home.exists()
        && let Ok(Held::Theirs(Some(running))) = Lock::try_take(&context.home)
    {
        let found = format!("http://{} (pid {})", running.address, running.pid);
        return Finding::ok("port", found);
    }
    match TcpListener::bind(settings.listen) {
        Ok(_) => Finding::ok(
            "port",
            format!("{} is free for `chiffon up`", settings.listen),
        ),
        Err(error) => Finding::warn(
            "port",
            format!("{}: {error}", settings.listen),
            "Choose another: http.listen in chiffon.yaml, or chiffon up --listen 127.0.0.1:PORT",
        ),
    }
}
