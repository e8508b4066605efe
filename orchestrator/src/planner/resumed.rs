//! A sentence once the question about its host is answered. The answer stands where the unknown name stood, and the sentence
//! is planned as if it had been said so: whatever would have been asked about that is asked now.

use chiffon_common::{ErrorCode, HostName};

use super::{
    Given, Planned, Planner,
    propose::{self, Asked, Refusal, ask},
    sentence,
};
use crate::inventory::Inventory;

pub(super) fn propose(
    planner: &Planner,
    text: &str,
    given: &Given,
    inventory: &Inventory,
) -> Asked<Planned> {
    let open = Given {
        hosts: Vec::new(),
        ..given.clone()
    };
    let asked = match given.hosts.is_empty() {
        true => None,
        false => propose::propose(planner, text, &open, inventory).err(),
    };
    let put_in = asked.and_then(|refusal| with_hosts(text, &refusal, &given.hosts, inventory));
    // A sentence that named none at all goes on with what was answered.
    let Some(text) = put_in else {
        return propose::propose(planner, text, given, inventory);
    };
    match propose::propose(planner, &text, &open, inventory) {
        Err(refusal) if about_host(&refusal) => Err(ask(
            ErrorCode::NothingMatches,
            "more than one host of that is unknown; what exactly should be done, and where?",
            "say all of it with hosts that `chiffon inventory show` lists",
            &[],
        )),
        planned => planned,
    }
}

fn about_host(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Ask(question) => question.problem.code == ErrorCode::UnknownHost,
        Refusal::Nothing(_) => false,
    }
}

/// The sentence with the hosts in place of the name that was asked about; nothing where it was about no name.
fn with_hosts(
    text: &str,
    refusal: &Refusal,
    hosts: &[HostName],
    inventory: &Inventory,
) -> Option<String> {
    let Refusal::Ask(question) = refusal else {
        return None;
    };
    let problem = &question.problem;
    let tokens = sentence::tokens(text)?;
    let is_asked = |word: &str| {
        let unknown = inventory.unknown_host(word);
        (unknown.code, &unknown.detail) == (problem.code, &problem.detail)
    };
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    let (mut said, mut from) = (String::new(), 0);
    for token in tokens.iter().filter(|token| is_asked(token.written)) {
        said.push_str(text.get(from..token.start)?);
        said.push_str(&hosts.join(", "));
        from = token.end;
    }
    if from == 0 {
        return None;
    }
    said.push_str(text.get(from..)?);
    Some(said)
}
