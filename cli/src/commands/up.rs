//! `chiffon up`: the fleet in the foreground until Ctrl-C or SIGTERM, then drained.

use std::time::Duration;

use chiffon_program::settings::Flag;

use super::Context;
use crate::{
    args::Up,
    client::Client,
    exit::Exit,
    failure::Failure,
    fleet::{Agents, Fleet, Ports, first_ansible},
    home::{Kind, Lock, read_token},
    logging,
    progress::Steps,
    session::{lock_to_stay, running},
    settings::Settings,
    terminal::Format,
};

/// What runs may take to end by themselves after Ctrl-C.
const GRACE: Duration = Duration::from_secs(30);

pub async fn up(context: &mut Context<'_>, args: &Up) -> Result<Exit, Failure> {
    let listen = args.listen.as_ref().map(|value| Flag {
        key: "http.listen".to_owned(),
        flag: "--listen",
        value: value.clone(),
    });
    context.home.check()?;
    let settings = context.settings(listen.as_slice())?;
    logging::begin(&settings, context.terminal, context.verbose, true);
    let lock = prepare(context).await?;
    let fleet = Fleet::start(&context.home, &settings, Ports::Configured, Agents::All).await?;
    let told = lock.tell(&running(&fleet, Kind::Up));
    if told.is_ok() {
        welcome(context, &fleet, &settings);
        tell_broken_entries(context, &fleet).await;
        context.interrupt.wait().await;
        context
            .terminal
            .say("\nDraining: nothing new is begun. Ctrl-C once more ends at once.");
    }
    fleet.stop(GRACE).await;
    drop(lock);
    told?;
    Ok(Exit::Ok)
}

/// The data folder, and on the first start an Ansible, with visible progress.
async fn prepare(context: &mut Context<'_>) -> Result<Lock, Failure> {
    let steps = Steps::new(context.terminal);
    context.home.make_folder(&|what| steps.step(what))?;
    let lock = lock_to_stay(context).await?;
    context.home.fill(&|what| steps.step(what))?;
    let found = first_ansible(&context.home, &steps, &mut context.interrupt).await;
    drop(steps);
    match found {
        // Everything but playbooks works without it, and the agent looks again when it needs one.
        Err(failure) if failure.exit != Exit::Interrupted => {
            crate::output::failure(context.terminal, &failure);
        }
        other => other?,
    }
    Ok(lock)
}

/// The log is silent about them: each is named by the command that is named here.
async fn tell_broken_entries(context: &Context<'_>, fleet: &Fleet) {
    let token = read_token(&context.home).map_err(Failure::from);
    let client = token.and_then(|token| Client::new(fleet.address(), token));
    let Ok(client) = client else {
        return; // Whoever asks next is told why.
    };
    let broken = match client.catalogue().await {
        Ok(catalogue) => catalogue.broken.len(),
        Err(_) => return,
    };
    if broken > 0 {
        let files = if broken == 1 { "file" } else { "files" };
        context.terminal.say(&format!(
            "{broken} {files} of the catalogue did not load; the rest works. See: chiffon catalogue check"
        ));
    }
}

fn welcome(context: &Context<'_>, fleet: &Fleet, settings: &Settings) {
    let address = fleet.address();
    if context.terminal.format != Format::Table {
        let ready = serde_json::json!({"address": address, "pid": std::process::id()});
        context.terminal.data(&ready.to_string());
        return;
    }
    let paint = context.terminal.out;
    let mut text = format!(
        "{} on {}\n  data folder  {}\n  ask          chiffon run \"How full are the disks on this machine?\"\n  look         chiffon status\n  stop         Ctrl-C",
        paint.bold("Chiffon listens"),
        paint.mark(&format!("http://{address}")),
        context.home.path().display(),
    );
    if address.port() != settings.listen.port() {
        text += &format!(
            "\n  (a free port was asked for by port {})",
            settings.listen.port()
        );
    }
    context.terminal.data(&text);
}
