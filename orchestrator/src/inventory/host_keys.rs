//! Pinned host keys in OpenSSH's `known_hosts` form (S12). A first key comes only from an explicit act of a
//! person; asking the network for it is left to the command that does so.

use std::{collections::BTreeSet, fs, io::Write as _, path::Path};

use chiffon_common::{ErrorCode, Problem};

use super::read::problem;
use crate::catalogue::yaml::Fault;

const FILE: &str = "known_hosts";
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Where a host answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Address {
    /// As `known_hosts` writes it.
    fn token(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match self.port {
            22 => name,
            port => format!("[{name}]:{port}"),
        }
    }
}

/// One public key of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    /// Such as `ssh-ed25519`.
    pub kind: String,
    /// The key in base64.
    pub key: String,
}

/// One line that is no comment.
#[derive(Debug, Clone)]
struct Line {
    revoked: bool,
    names: Vec<String>,
    key: HostKey,
}

/// The pinned keys of a folder.
#[derive(Debug, Default)]
pub struct HostKeys {
    lines: Vec<Line>,
}

impl HostKeys {
    /// Reads `known_hosts`; without the file no key is pinned.
    ///
    /// # Errors
    /// 5109 with the line that is not understood: passing over a line would unpin a host in silence.
    pub fn load(dir: &Path) -> Result<Self, Problem> {
        let path = dir.join(FILE);
        let text = read_text(&path)?;
        let mut lines = Vec::new();
        for (n, text) in text.lines().enumerate() {
            let number = u32::try_from(n + 1).unwrap_or_default();
            let line =
                Line::read(text).map_err(|reason| problem(&path, &Fault::at(number, reason)))?;
            lines.extend(line);
        }
        Ok(Self { lines })
    }

    /// Whether a usable key is pinned.
    pub(super) fn has(&self, address: &Address) -> bool {
        let token = address.token();
        self.lines
            .iter()
            .any(|line| !line.revoked && line.names.contains(&token))
    }

    /// The usable keys of one address.
    pub(super) fn of(&self, address: &Address) -> Vec<HostKey> {
        let token = address.token();
        let usable = |line: &&Line| !line.revoked && line.names.contains(&token);
        let lines = self.lines.iter().filter(usable);
        lines.map(|line| line.key.clone()).collect()
    }

    /// The lines of one address, without other names and without comments.
    pub(super) fn lines_of(&self, address: &Address) -> Vec<String> {
        let token = address.token();
        let own = self.lines.iter().filter(|line| line.names.contains(&token));
        let write = |line: &Line| {
            let marker = if line.revoked { "@revoked " } else { "" };
            format!("{marker}{token} {} {}", line.key.kind, line.key.key)
        };
        own.map(write).collect()
    }
}

impl Line {
    /// Nothing for a comment or an empty line.
    fn read(text: &str) -> Result<Option<Self>, &'static str> {
        let mut words = text.split_whitespace().peekable();
        let revoked = match words.peek() {
            None => return Ok(None),
            Some(word) if word.starts_with('#') => return Ok(None),
            Some(&"@revoked") => words.next().is_some(),
            Some(word) if word.starts_with('@') => {
                return Err("certificate authorities come later: pin the key of each host");
            }
            Some(_) => false,
        };
        let (Some(names), Some(kind), Some(key)) = (words.next(), words.next(), words.next())
        else {
            return Err("a line has names, the type of the key, and the key");
        };
        if names.contains("|1|") {
            return Err(
                "hashed names come later: write the name out, or pin the host again with `chiffon inventory trust`",
            );
        }
        if names.contains(['*', '?', '!']) {
            return Err("patterns come later: write the names out");
        }
        let key = HostKey {
            kind: kind.to_owned(),
            key: key.to_owned(),
        };
        if !key.is_well_formed() {
            return Err("this is no public key");
        }
        let names = names
            .split(',')
            .map(|name| normal(&name.to_ascii_lowercase()));
        Ok(Some(Self {
            revoked,
            names: names.collect(),
            key,
        }))
    }
}

/// `[name]:22` and `name` are the same.
fn normal(name: &str) -> String {
    let plain = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix("]:22"));
    plain.unwrap_or(name).to_owned()
}

impl HostKey {
    fn is_well_formed(&self) -> bool {
        let is_kind = |c: char| c.is_ascii_alphanumeric() || "-@.".contains(c);
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let has_kind =
            !self.kind.is_empty() && self.kind.len() <= 64 && self.kind.chars().all(is_kind);
        has_kind && (16..=16_384).contains(&self.key.len()) && self.key.chars().all(is_base64)
    }
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let wrong = |reason: String| problem(path, &Fault::whole(reason));
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(wrong("is larger than 16 MiB".to_owned()));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".to_owned()))
}

/// Pins these keys for an address and forgets every other key of it; other lines and comments stay. The
/// file is replaced as a whole, so a reader sees the old one or the new one.
///
/// # Errors
/// 5109 for an address or key of no permitted form, or an unreadable file; 5503 where it cannot be written.
pub fn pin(dir: &Path, address: &str, port: u16, keys: &[HostKey]) -> Result<(), Problem> {
    let path = dir.join(FILE);
    let is_address = |c: char| c.is_ascii_alphanumeric() || ".-:_%".contains(c);
    if address.is_empty() || !address.chars().all(is_address) {
        return Err(problem(
            &path,
            &Fault::whole("the address has no permitted form"),
        ));
    }
    if keys.is_empty() || !keys.iter().all(HostKey::is_well_formed) {
        return Err(problem(
            &path,
            &Fault::whole("there is no well-formed public key to pin"),
        ));
    }
    let token = Address {
        name: address.to_owned(),
        port,
    }
    .token();
    let mut text = String::new();
    for line in read_text(&path)?.lines() {
        if let Some(kept) = without(line, &token) {
            text.push_str(&kept);
            text.push('\n');
        }
    }
    let lines = keys
        .iter()
        .map(|key| format!("{token} {} {}\n", key.kind, key.key));
    let lines: BTreeSet<String> = lines.collect();
    text.extend(lines);
    replace(&path, &text).map_err(|error| {
        let detail = format!("{} cannot be written: {error}", path.display());
        Problem::new(
            ErrorCode::StoreReadOnly,
            detail,
            "make the data folder writable",
        )
    })
}

/// The line without this name; nothing where no other name is left. What was revoked stays revoked.
fn without(text: &str, token: &str) -> Option<String> {
    let Ok(Some(line)) = Line::read(text) else {
        return Some(text.to_owned());
    };
    if line.revoked || !line.names.iter().any(|name| name == token) {
        return Some(text.to_owned());
    }
    let names: Vec<&str> = line
        .names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != token)
        .collect();
    let left = format!("{} {} {}", names.join(","), line.key.kind, line.key.key);
    (!names.is_empty()).then_some(left)
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_file_name(format!(".{FILE}.new"));
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
