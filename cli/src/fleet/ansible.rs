//! The first look for Ansible, before anything is asked: installing takes its time, and is seen. Later the
//! agent looks by itself.

use std::sync::Mutex;

use chiffon_agent_infra::AnsibleLocator;
use tokio::sync::mpsc;

use crate::{
    failure::Failure, home::Home, interrupt::Interrupt, progress::Steps, session::interrupted,
};

/// An installation says a dozen things; more would only make it wait for the terminal.
const WORDS: usize = 64;

/// Finds or installs an Ansible once a data folder.
///
/// # Errors
/// 5405 or 5406, and Ctrl-C.
pub async fn first_ansible(
    home: &Home,
    steps: &Steps<'_>,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    if home.ansible_seen().exists() {
        return Ok(());
    }
    steps.step("Looking for Ansible");
    let locator = AnsibleLocator::new(home.path());
    let (say, mut said) = mpsc::channel::<String>(WORDS);
    let say = Mutex::new(say);
    let mut looking = tokio::task::spawn_blocking(move || {
        locator.ensure(&|what| {
            let say = say.lock().unwrap_or_else(|held| held.into_inner());
            // A line that finds no room is only a line.
            let _unheard = say.try_send(what.to_owned());
        })
    });
    let found = loop {
        tokio::select! {
            biased;
            Some(what) = said.recv() => steps.step(&what),
            found = &mut looking => break found,
            () = interrupt.wait() => return Err(interrupted()),
        }
    };
    while let Ok(what) = said.try_recv() {
        steps.step(&what);
    }
    let ansible =
        found.map_err(|error| Failure::internal(format!("no look for Ansible: {error}")))??;
    steps.step(&format!("Ansible: ansible-core {}", ansible.version));
    // Without the mark the next start only looks again.
    let _unmarked = std::fs::write(home.ansible_seen(), format!("{}\n", ansible.version));
    Ok(())
}
