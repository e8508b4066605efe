//! `config.yaml` (RFC-ARB-0001, section 14): which keys there are, what their values may be, and what does not fit
//! together. Every fault is told at once, each with its key and what is permitted.
//!
//! Adding a key: 1. its line in the function of its section, 2. its line in docs/arbiter.md (a test holds that each
//! key stands there).

mod file;
mod policy;
mod section;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::Read,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use chiffon_arbiter::Policy;
use chiffon_authorizer::{Authorizer, ENDPOINT, Endpoint};
use chiffon_common::{ErrorCode, Problem};
use chiffon_tls::Trust;
use serde_json::{Map, Value};

use self::section::{Faults, Section};
use crate::audit::Rotation;

/// Shorter ones are guessed.
const LEAST_TOKEN: usize = 16;
/// Larger ones are no tokens.
const MOST_SECRET: u64 = 64 * 1024;
const MIB: u64 = 1 << 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Everything that `arbiter` goes by.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where it listens; loopback unless there is a token.
    pub(crate) listen: SocketAddr,
    /// What callers must show.
    pub(crate) token: Option<String>,
    pub(crate) store: Store,
    pub(crate) audit: Audit,
    /// The external authoriser, where the policy asks one.
    pub(crate) authorizer: Option<Authorizer>,
    pub(crate) limits: Limits,
    /// What the arbiter judges by.
    pub(crate) policy: Policy,
    /// What has no effect, in words.
    pub(crate) warnings: Vec<String>,
}

/// Where answers and states are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    /// In this process; brought back from the audit files at a start.
    Memory {
        /// Answers that are remembered.
        plans: usize,
        /// Rooms and tenants whose state means something.
        rooms: usize,
    },
    /// In one file.
    Sqlite { path: PathBuf, keep: Duration },
    /// In a database that several replicas may share.
    Postgres {
        url: String,
        /// Whom its certificate may be from; TLS is spoken then.
        ca_file: Option<PathBuf>,
        keep: Duration,
    },
}

/// Where and how audit files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Rotation,
}

/// Bounds of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
}

impl Config {
    /// Reads a file; every fault of it.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let map = file::read(path).map_err(|problem| vec![problem])?;
        let folder = path.parent().unwrap_or(Path::new(""));
        taken(map, folder).0
    }

    /// What is in force without any file.
    pub(crate) fn of_nothing() -> Result<Self, Vec<Problem>> {
        taken(Map::new(), Path::new("")).0
    }

    /// Refuses to serve others without a token.
    pub(crate) fn listen_on(mut self, listen: Option<SocketAddr>) -> Result<Self, Problem> {
        self.listen = listen.unwrap_or(self.listen);
        if self.token.is_some() || self.listen.ip().is_loopback() {
            return Ok(self);
        }
        let detail = format!(
            "{} is reached by other machines, and no token is set",
            self.listen
        );
        let todo = "set token_file to a file that only its owner can read, or listen on 127.0.0.1";
        Err(Problem::new(ErrorCode::OpenWithoutToken, detail, todo))
    }
}

/// Takes the whole file apart; beside the result, the names of all keys. Paths are relative to the file's folder.
fn taken(map: Map<String, Value>, folder: &Path) -> (Result<Config, Vec<Problem>>, Vec<String>) {
    let mut faults = Faults::default();
    let mut whole = Section::whole(map);
    let permitted = "an address of this machine with a port, such as 127.0.0.1:8440";
    let listen = whole.parsed("listen", permitted, |text| text.parse().ok(), &mut faults);
    let token = token(&mut whole, folder, &mut faults);
    let store = store(&mut whole, folder, &mut faults);
    let audit = audit(&mut whole, folder, &mut faults);
    let (authz, authorizer) = authz(&mut whole, folder, &mut faults);
    let policy = policy::read(&mut whole, authz, &mut faults);
    let limits = limits(&mut whole, &mut faults);
    faults.warnings.extend(shares(authorizer.as_ref(), limits));
    whole.finish(&mut faults);
    faults.place_strange();
    let Faults {
        found,
        warnings,
        known,
        ..
    } = faults;
    let config = match policy {
        Some(policy) if found.is_empty() => Ok(Config {
            listen: listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8440))),
            token,
            store,
            audit,
            authorizer,
            limits,
            policy,
            warnings,
        }),
        _ => Err(found),
    };
    (config, known)
}

fn token(whole: &mut Section, folder: &Path, faults: &mut Faults) -> Option<String> {
    let plain = whole.secret("token", faults);
    let file = whole.text("token_file", faults);
    secret("token", plain, file, folder, faults)
}

/// A secret, in the file itself or in one of its own.
fn secret(
    name: &str,
    plain: Option<String>,
    file: Option<String>,
    folder: &Path,
    faults: &mut Faults,
) -> Option<String> {
    let token = match (plain, file) {
        (Some(_), Some(_)) => {
            let detail = format!("{name} and {name}_file are both set");
            faults.contradiction(detail, "keep one of the two");
            return None;
        }
        (Some(plain), None) => plain,
        (None, Some(file)) => secret_in(name, &file, folder, faults)?,
        (None, None) => return None,
    };
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.len() < LEAST_TOKEN || !is_plain {
        let permitted = "at least 16 characters of ASCII without spaces";
        faults.invalid(name, "too short or no plain text", permitted);
        return None;
    }
    Some(token)
}

/// What a file of its own holds.
fn secret_in(name: &str, file: &str, folder: &Path, faults: &mut Faults) -> Option<String> {
    let path = folder.join(file);
    let read = File::open(&path).and_then(|open| {
        let mode = open.metadata()?.permissions().mode();
        let mut text = String::new();
        // One that has no end is no token.
        open.take(MOST_SECRET + 1).read_to_string(&mut text)?;
        Ok((text, mode))
    });
    let (text, mode) = match read {
        Ok(read) => read,
        Err(error) => {
            let found = format!("{file:?}, which cannot be read: {error}");
            faults.invalid(&format!("{name}_file"), found, "a readable text file");
            return None;
        }
    };
    if text.len() as u64 > MOST_SECRET {
        let found = format!("{file:?}, which has more than {MOST_SECRET} bytes");
        let permitted = "a text file with the token and nothing else";
        faults.invalid(&format!("{name}_file"), found, permitted);
        return None;
    }
    if mode & 0o006 != 0 {
        let path = path.display();
        faults.warnings.push(format!(
            "{name}_file: everybody on this machine may read or change {path}: chmod 600 {path}"
        ));
    }
    Some(text.trim().to_owned())
}

fn store(whole: &mut Section, folder: &Path, faults: &mut Faults) -> Store {
    let mut section = whole.section("store", faults);
    let kind = section.parsed(
        "type",
        "memory, sqlite or postgres",
        |text| match text {
            "memory" | "sqlite" | "postgres" => Some(text.to_owned()),
            _ => None,
        },
        faults,
    );
    let path = section.text("path", faults);
    // It may hold a password.
    let url = section.secret("url", faults);
    let ca_file = authorities(&mut section, folder, faults);
    let has = |key: &str| section.has(key);
    let (for_memory, for_databases) = (
        ["remembered_plans", "rooms"].map(|key| has(key).then_some(key)),
        has("retention_days"),
    );
    let plans = section.number("remembered_plans", 1..=100_000_000, 200_000, faults);
    let rooms = section.number("rooms", 1..=100_000_000, 200_000, faults);
    let days = section.number("retention_days", 1..=36_500, 400, faults);
    section.finish(faults);
    let keep = Duration::from_secs(days * 24 * 60 * 60);
    let only_for = |what: &str, key: &str| {
        (
            format!("store.{key} is set, and store.type is not {what}"),
            format!("set store.type to {what}, or take store.{key} away"),
        )
    };
    let kind = kind.as_deref().unwrap_or("memory");
    if path.is_some() && kind != "sqlite" {
        let (detail, todo) = only_for("sqlite", "path");
        faults.contradiction(detail, todo);
    }
    if url.is_some() && kind != "postgres" {
        let (detail, todo) = only_for("postgres", "url");
        faults.contradiction(detail, todo);
    }
    if ca_file.is_some() && kind != "postgres" {
        let (detail, todo) = only_for("postgres", "ca_file");
        faults.contradiction(detail, todo);
    }
    if kind != "memory" {
        for key in for_memory.into_iter().flatten() {
            let (detail, todo) = only_for("memory", key);
            faults.contradiction(detail, todo);
        }
    } else if for_databases {
        let (detail, todo) = only_for("sqlite or postgres", "retention_days");
        faults.contradiction(detail, todo);
    }
    match (kind, path, url) {
        ("sqlite", path, _) => Store::Sqlite {
            path: folder.join(path.unwrap_or_else(|| "arbiter.db".to_owned())),
            keep,
        },
        ("postgres", _, url) => Store::Postgres {
            url: database(url, faults),
            ca_file,
            keep,
        },
        _ => Store::Memory {
            plans: count(plans),
            rooms: count(rooms),
        },
    }
}

/// The address of a database.
fn database(url: Option<String>, faults: &mut Faults) -> String {
    // `host=... user=...` is an address too, which the database's own reader judges.
    let is_postgres = |url: &String| match url.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            matches!(scheme, "postgres" | "postgresql")
        }
        _ => true,
    };
    match &url {
        None => {
            let todo = "set store.url, such as postgres://arbiter@127.0.0.1/arbiter";
            faults.contradiction("store.type is postgres, and store.url is missing", todo);
        }
        Some(url) if !is_postgres(url) => {
            let permitted = "such as postgres://arbiter@127.0.0.1/arbiter";
            faults.invalid("store.url", "no address of a Postgres database", permitted);
        }
        Some(_) => {}
    }
    url.unwrap_or_default()
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn audit(whole: &mut Section, folder: &Path, faults: &mut Faults) -> Audit {
    let mut section = whole.section("audit", faults);
    let path = section.text("path", faults);
    if let Some(path) = path.as_deref().filter(|path| path.starts_with('~')) {
        let todo = "a path that no shell has to expand";
        faults.invalid("audit.path", path, todo);
    }
    let bytes = section.number(
        "rotate_bytes",
        64 * 1024..=64 * 1024 * MIB,
        256 * MIB,
        faults,
    );
    let keep = section.number("keep", 0..=1_000_000, 0, faults);
    section.finish(faults);
    if keep == 1 {
        // The moment after a rotation, the one file would hold nothing but the rules.
        faults.contradiction("audit.keep is 1", "keep at least 2 files, or 0 for all");
    }
    Audit {
        path: folder.join(path.unwrap_or_else(|| "audit".to_owned())),
        rotation: Rotation {
            bytes,
            keep: count(keep),
        },
    }
}

/// Who answers what may be done, as far as the policy has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Builtin,
    External { allows_on_failure: bool },
}

fn authz(whole: &mut Section, folder: &Path, faults: &mut Faults) -> (Asked, Option<Authorizer>) {
    let mut section = whole.section("authz", faults);
    let has_mode = section.has("mode");
    let is_external = section.parsed(
        "mode",
        "builtin or external_http",
        |text| match text {
            "builtin" => Some(false),
            "external_http" => Some(true),
            _ => None,
        },
        faults,
    );
    let only_external = ["endpoint", "ca_file", "fail_mode", "token", "token_file"]
        .into_iter()
        .chain(["timeout_ms", "max_in_flight", "cache"]);
    let given: Vec<&str> = only_external.filter(|key| section.has(key)).collect();
    // A wrong one may hold a password.
    let address = section.secret("endpoint", faults);
    let endpoint = address
        .as_deref()
        .and_then(|text| text.parse::<Endpoint>().ok());
    if address.is_some() && endpoint.is_none() {
        faults.invalid("authz.endpoint", "no such address", ENDPOINT);
    }
    let ca_file = authorities(&mut section, folder, faults);
    let fail_mode = fail_mode(&mut section, faults);
    let plain = section.secret("token", faults);
    let token_file = section.text("token_file", faults);
    let timeout = section.number("timeout_ms", 1..=60_000, 2_000, faults);
    let in_flight = section.number("max_in_flight", 1..=10_000, 32, faults);
    let cached = section.number("cache", 0..=1_000_000, 0, faults);
    section.finish(faults);
    let token = secret("authz.token", plain, token_file, folder, faults);
    // Where the mode was given and refused, nothing is known to contradict it.
    let is_unknown = has_mode && is_external.is_none();
    let is_external = is_external.unwrap_or_default();
    if !is_external {
        for key in given.into_iter().filter(|_| !is_unknown) {
            let detail = format!("authz.{key} is set, and authz.mode is builtin");
            let todo = format!("set authz.mode to external_http, or take authz.{key} away");
            faults.contradiction(detail, todo);
        }
        return (Asked::Builtin, None);
    }
    let Some(endpoint) = endpoint else {
        // One that was given and refused has been told already.
        if !given.contains(&"endpoint") {
            let detail = "authz.mode is external_http, and authz.endpoint is missing";
            faults.contradiction(
                detail,
                "set authz.endpoint, such as http://authz:8081/v0/authorize",
            );
        }
        return (Asked::Builtin, None);
    };
    let asked = Asked::External {
        allows_on_failure: fail_mode.unwrap_or_default(),
    };
    if ca_file.is_some() && !endpoint.is_https() {
        let detail = "authz.ca_file is set, and authz.endpoint is plain http";
        faults.contradiction(detail, "ask https://..., or take authz.ca_file away");
    }
    let authorizer = Authorizer {
        endpoint,
        ca_file,
        token,
        timeout: Duration::from_millis(timeout),
        in_flight: count(in_flight),
        cached: count(cached),
    };
    (asked, Some(authorizer))
}

/// Whether what nobody decides is allowed.
fn fail_mode(section: &mut Section, faults: &mut Faults) -> Option<bool> {
    section.parsed(
        "fail_mode",
        "allow or deny",
        |text| match text {
            "allow" => Some(true),
            "deny" => Some(false),
            _ => None,
        },
        faults,
    )
}

/// The file of those whose word on a certificate is believed.
fn authorities(section: &mut Section, folder: &Path, faults: &mut Faults) -> Option<PathBuf> {
    let file = folder.join(section.text("ca_file", faults)?);
    if let Err(error) = Trust::of(Some(&file)) {
        let name = format!("{}.ca_file", section.name());
        let found = format!("no file of authorities: {error}");
        faults.invalid(&name, found, "a file of certificates in PEM");
    }
    Some(file)
}

fn limits(whole: &mut Section, faults: &mut Faults) -> Limits {
    let mut section = whole.section("limits", faults);
    let connections = section.number("connections", 1..=65_536, 2_048, faults);
    section.finish(faults);
    Limits {
        connections: count(connections),
    }
}

/// That a tenant's places promise more than the connections that all share can hold.
fn shares(authorizer: Option<&Authorizer>, limits: Limits) -> Option<String> {
    let places = authorizer?.in_flight;
    let wanted = chiffon_authorizer::waiting_of_one(places);
    let connections = limits.connections;
    let most = chiffon_authorizer::waiting(connections).div_ceil(2);
    (wanted > most).then(|| {
        format!(
            "authz.max_in_flight is {places}, by which {wanted} events of one tenant may wait for the authoriser, but with limits.connections {connections} no tenant gets more than {most}, so that others find a place: raise limits.connections, or lower authz.max_in_flight"
        )
    })
}
