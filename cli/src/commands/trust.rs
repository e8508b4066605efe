//! `chiffon inventory trust`: the explicit act of a person by which a host's SSH key becomes known (S12).
//! It asks the host for its keys, shows their fingerprints, and pins them in `inventory/known_hosts`.

use std::{path::PathBuf, process::Stdio, time::Duration};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use chiffon_common::{Digest, ErrorCode, HostName, Problem, visible};
use chiffon_orchestrator::inventory::{Here, HostKey, Inventory, pin};
use serde::Serialize;
use tokio::{process::Command, time::timeout};

use super::Context;
use crate::{
    args::Trust,
    exit::Exit,
    failure::Failure,
    home::hostname,
    output,
    session::interrupted,
    terminal::{Answered, ask},
};

/// `ssh-keyscan` itself gives up after ten seconds a key type.
const SCAN: Duration = Duration::from_secs(60);

/// Where a host answers, and by which keys it is known so far.
#[derive(Debug, PartialEq, Eq)]
struct At {
    address: String,
    port: u16,
    known: Vec<String>,
}

#[derive(Serialize)]
struct Pinned {
    host: String,
    address: String,
    port: u16,
    keys: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    kind: String,
    fingerprint: String,
}

pub async fn trust(context: &mut Context<'_>, args: &Trust) -> Result<Exit, Failure> {
    context.home.check()?;
    let folder = context.home.inventory();
    let at = where_is(context, &args.host)?;
    let port = at.port;
    let who = format!(
        "{} ({} port {port})",
        visible(&args.host),
        visible(&at.address)
    );
    context.terminal.say(&format!("Asking {who} for its keys"));
    let scanned = tokio::select! {
        keys = scan(&at) => keys?,
        () = context.interrupt.wait() => return Err(interrupted()),
    };
    let keys = match &args.fingerprint {
        Some(wanted) => vec![the_one(scanned, wanted, &who)?],
        None => scanned,
    };
    for key in &keys {
        let line = format!("  {:<20} {}", key.kind, fingerprint(key)?);
        context.terminal.say(&line);
    }
    if args.fingerprint.is_none() {
        agreed(context, args, &at, &keys, &who).await?;
    }
    pin(&folder, &at.address, at.port, &keys)?;
    tell(context, args, at, &keys)
}

/// Without a fingerprint somebody has to say yes.
async fn agreed(
    context: &mut Context<'_>,
    args: &Trust,
    at: &At,
    keys: &[HostKey],
    who: &str,
) -> Result<(), Failure> {
    let is_known = |key: &HostKey| at.known.contains(&key.key);
    let has_changed = !at.known.is_empty() && !keys.iter().any(is_known);
    match (args.yes, has_changed) {
        (true, false) => return Ok(()),
        // A first key may be taken on trust, never another one in its place.
        (true, true) => return Err(changed(who)),
        (false, true) => context.terminal.say("This is not the key that is pinned!"),
        (false, false) => {}
    }
    consent(context, &args.host).await
}

fn tell(context: &Context<'_>, args: &Trust, at: At, keys: &[HostKey]) -> Result<Exit, Failure> {
    let show = |key: &HostKey| {
        Ok(Shown {
            kind: key.kind.clone(),
            fingerprint: fingerprint(key)?,
        })
    };
    let pinned = Pinned {
        host: args.host.clone(),
        address: at.address,
        port: at.port,
        keys: keys.iter().map(show).collect::<Result<_, Failure>>()?,
    };
    output::one(context.terminal, &pinned, || {
        format!(
            "Pinned {} of {}.",
            keys_in_words(pinned.keys.len()),
            pinned.host
        )
    });
    Ok(Exit::Ok)
}

fn keys_in_words(count: usize) -> String {
    match count {
        1 => "one key".to_owned(),
        count => format!("{count} keys"),
    }
}

async fn consent(context: &mut Context<'_>, host: &str) -> Result<(), Failure> {
    if !context.terminal.may_ask {
        return Err(Failure::usage(
            "Pinning a key without a prompt needs --fingerprint or --yes.",
            format!(
                "Read the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: chiffon inventory trust {} --fingerprint SHA256:...",
                visible(host)
            ),
        ));
    }
    let question = "Compare with what the host itself says. Pin these keys? [y/N]";
    match ask(question, &mut context.interrupt).await {
        Answered::Line(line) if ["y", "yes"].contains(&line.to_ascii_lowercase().as_str()) => {
            Ok(())
        }
        Answered::Line(_) | Answered::NoMore => {
            Err(Failure::plain(Exit::Denied, "Nothing was pinned.", ""))
        }
        Answered::Interrupted => Err(interrupted()),
    }
}

/// By the inventory: the address that has no key yet, or the one that its pinned keys stand under.
fn where_is(context: &Context<'_>, host: &str) -> Result<At, Failure> {
    let here = Here {
        hostname: hostname(),
        home: context
            .env
            .absolute("HOME")
            .unwrap_or_else(|| PathBuf::from("/")),
    };
    let inventory = Inventory::load(&context.home.inventory(), &here)?;
    let name = host.parse::<HostName>();
    let name = name.map_err(|error| {
        Failure::usage(
            format!("{error}."),
            "`chiffon inventory show` lists the hosts.",
        )
    })?;
    let Some(known) = inventory.host(&name) else {
        return Err(Failure {
            // The host is what the command is about, not a word of a sentence.
            exit: Exit::NotFound,
            ..Failure::from(inventory.unknown_host(host))
        });
    };
    if known.is_local() {
        return Err(Failure::usage(
            format!("{name} is this machine itself, reached without SSH: it needs no key."),
            "Nothing has to be done; `chiffon inventory show` lists the hosts that need one.",
        ));
    }
    let one = [name];
    if let Some(unpinned) = inventory.unpinned(&one)?.into_iter().next() {
        return Ok(At {
            address: unpinned.address,
            port: unpinned.port,
            known: Vec::new(),
        });
    }
    let bundle = inventory.resolve(&one)?;
    let files = bundle
        .files()
        .filter(|(path, _)| path.ends_with("known_hosts"));
    let text: Vec<String> = files
        .map(|(_, file)| String::from_utf8_lossy(&file.content).into_owned())
        .collect();
    let lines = || text.iter().flat_map(|text| text.lines());
    let Some(mut at) = lines().find_map(address_of) else {
        let what = format!("{} is not reached by SSH.", one[0]);
        return Err(Failure::usage(what, ""));
    };
    let keys = lines().filter_map(|line| line.split_whitespace().last());
    at.known = keys.map(str::to_owned).collect();
    Ok(at)
}

/// `name kind key` or `[name]:port kind key`.
fn address_of(line: &str) -> Option<At> {
    let line = line.trim_start_matches("@revoked ");
    let token = line.split_whitespace().next()?;
    let Some(rest) = token.strip_prefix('[') else {
        return Some(At {
            address: token.to_owned(),
            port: 22,
            known: Vec::new(),
        });
    };
    let (name, port) = rest.split_once("]:")?;
    Some(At {
        address: name.to_owned(),
        port: port.parse().ok()?,
        known: Vec::new(),
    })
}

fn changed(who: &str) -> Failure {
    Problem::new(
        ErrorCode::HostKeyChanged,
        format!("{who} has another key than the one that is pinned."),
        "Read the new fingerprint on the host itself and give it with --fingerprint.",
    )
    .into()
}

async fn scan(at: &At) -> Result<Vec<HostKey>, Failure> {
    let mut command = Command::new("ssh-keyscan");
    command
        .args(["-T", "10", "-p", &at.port.to_string(), "--", &at.address])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match timeout(SCAN, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let what = format!("ssh-keyscan cannot be run: {error}.");
            return Err(Failure::plain(
                Exit::Failure,
                what,
                "Install the OpenSSH client.",
            ));
        }
        Err(_) => return Err(silent(at)),
    };
    let keys = keys_in(&String::from_utf8_lossy(&output.stdout));
    match keys.is_empty() {
        true => Err(silent(at)),
        false => Ok(keys),
    }
}

fn silent(at: &At) -> Failure {
    Problem::new(
        ErrorCode::HostUnreachable,
        format!(
            "No SSH server gave a key at {} port {}.",
            at.address, at.port
        ),
        "Check address and port in inventory/hosts.yml, and that the host is on.",
    )
    .into()
}

fn keys_in(text: &str) -> Vec<HostKey> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        Some(HostKey {
            kind: words.next()?.to_owned(),
            key: words.next()?.to_owned(),
        })
    };
    lines.filter_map(read).collect()
}

/// As `ssh-keygen -l` writes it.
fn fingerprint(key: &HostKey) -> Result<String, Failure> {
    let bytes = BASE64_STANDARD.decode(&key.key).map_err(|_| {
        Failure::plain(Exit::Failure, "The host sent something that is no key.", "")
    })?;
    let digest = Digest::of_bytes(&bytes);
    Ok(format!(
        "SHA256:{}",
        BASE64_STANDARD_NO_PAD.encode(digest.as_bytes())
    ))
}

/// Only the key that was read on the host itself: the others may be anybody's.
fn the_one(keys: Vec<HostKey>, wanted: &str, who: &str) -> Result<HostKey, Failure> {
    let wanted = wanted.trim().trim_end_matches('=');
    let mut others = Vec::new();
    for key in keys {
        let found = fingerprint(&key)?;
        if found == wanted {
            return Ok(key);
        }
        others.push(found);
    }
    Err(Problem::new(
        ErrorCode::HostKeyChanged,
        format!(
            "{who} has no key {}; it has {}.",
            visible(wanted),
            others.join(", ")
        ),
        "Compare with what the host itself says; if they differ, something stands in between.",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn a_fingerprint_is_written_as_ssh_keygen_writes_it() {
        let scanned = format!("# nas:22 SSH-2.0\nnas ssh-ed25519 {KEY}\n");
        let keys = keys_in(&scanned);
        assert_eq!(keys.len(), 1);
        // GitHub's published key and fingerprint.
        let expected = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
        assert_eq!(fingerprint(&keys[0]).unwrap(), expected);
        assert!(the_one(keys.clone(), expected, "nas").is_ok());
        let other = the_one(keys, "SHA256:other", "nas").unwrap_err();
        assert_eq!(other.code, Some(ErrorCode::HostKeyChanged));
    }

    #[test]
    fn the_address_of_a_pinned_host_is_read_from_its_line() {
        let at = |address: &str, port| {
            Some(At {
                address: address.to_owned(),
                port,
                known: Vec::new(),
            })
        };
        assert_eq!(address_of(&format!("nas ssh-ed25519 {KEY}")), at("nas", 22));
        assert_eq!(
            address_of(&format!("[::1]:2222 ssh-ed25519 {KEY}")),
            at("::1", 2222)
        );
    }
}
