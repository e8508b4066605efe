//! Key and token of the data folder: drawn from the operating system, kept 0600, refused when wider.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::{ErrorCode, Problem, Signer, SshSigner};

use super::{Home, create::write_private};

/// Below the data folder.
const ORCHESTRATOR_KEY: &str = "keys/orchestrator.key";
const LEDGER_KEY: &str = "keys/ledger.key";
/// What `git verify-commit` is told to trust.
const LEDGER_SIGNERS: &str = "keys/ledger.allowed_signers";
/// Who the ledger's commits are by.
const LEDGER_AUTHOR: &str = "chiffon@localhost";

/// What every token begins with, so that one is known where it has leaked.
const TOKEN_PREFIX: &str = "chf_";

/// The orchestrator's key.
///
/// # Errors
/// 5701 where the file is missing, malformed or open to others.
pub fn signer(home: &Home) -> Result<Signer, Problem> {
    let todo = "Restore it from a backup. Without it, remove it and keys/orchestrators.pub: new ones are made.";
    secret(&home.path().join(ORCHESTRATOR_KEY), todo).map(Signer::from_secret)
}

/// The key that signs the ledger's commits.
///
/// # Errors
/// 5701 where the file is missing, malformed or open to others.
pub fn ledger_signer(home: &Home) -> Result<SshSigner, Problem> {
    let todo = "Restore it from a backup: commits that it signed can only be verified with it.";
    secret(&home.path().join(LEDGER_KEY), todo).map(SshSigner::from_secret)
}

fn secret(path: &Path, todo: &str) -> Result<[u8; 32], Problem> {
    let text = read_private(path)?;
    let bytes = BASE64_STANDARD.decode(text.trim()).ok();
    bytes
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or_else(|| {
            let shown = path.display();
            let what = format!("{shown} is no key: it must hold 32 bytes in base64.");
            key_fault(what, todo)
        })
}

/// The token that every call of the HTTP API carries.
///
/// # Errors
/// 5701 where the file is missing, malformed or open to others.
pub fn read_token(home: &Home) -> Result<String, Problem> {
    let path = home.path().join("token");
    let token = read_private(&path)?.trim().to_owned();
    let digits = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(token);
    }
    Err(key_fault(
        format!("{} holds no token.", path.display()),
        "Stop `chiffon up` and remove the file: the next start makes a new token.",
    ))
}

impl Home {
    /// Draws the orchestrator's key where it is missing: agents are given its public half before they are started.
    ///
    /// # Errors
    /// 5701 where there is no chance, 5803 where the folder cannot be written.
    pub fn draw_key(&self) -> Result<(), Problem> {
        let key = self.path().join(ORCHESTRATOR_KEY);
        if key.exists() {
            return Ok(());
        }
        super::create::folder(&self.path().join("keys"))?;
        let drawn = BASE64_STANDARD.encode(draw()?);
        write_private(&key, format!("{drawn}\n").as_bytes())
    }
}

/// Draws what is missing, and looks at what is there.
pub(super) fn make_missing(home: &Home, progress: &dyn Fn(&str)) -> Result<(), Problem> {
    for (key, whose) in [
        (ORCHESTRATOR_KEY, "orchestrator's key"),
        (LEDGER_KEY, "ledger's key"),
    ] {
        let key = home.path().join(key);
        if !key.exists() {
            match home.has_records() {
                false => progress(&format!("Drawing the {whose}")),
                true => progress(&format!(
                    "{} is missing, though this data folder has records: a new one is drawn. Put the old one back if \
                     there is a backup of it",
                    key.display()
                )),
            }
            let drawn = BASE64_STANDARD.encode(draw()?);
            write_private(&key, format!("{drawn}\n").as_bytes())?;
        }
    }
    match ledger_signer(home) {
        Ok(key) => name_signer(home, &key)?,
        // The ledger waits until it is put right; nothing else has to.
        Err(fault) => progress(&fault.detail),
    }
    let signer = signer(home)?;
    let trusted = home.trusted_keys();
    if !trusted.exists() {
        let text = format!(
            "# Orchestrators that the agents of this folder obey: one public key a line.\n{}\n",
            signer.public()
        );
        write_private(&trusted, text.as_bytes())?;
    } else if !fs::read_to_string(&trusted)
        .is_ok_and(|text| text.contains(&signer.public().to_string()))
    {
        return Err(untrusted(&home.path().join(ORCHESTRATOR_KEY), &trusted));
    }
    let token = home.path().join("token");
    if !token.exists() {
        progress("Drawing the token of the HTTP API");
        write_private(
            &token,
            format!("{TOKEN_PREFIX}{}\n", hex(&draw()?)).as_bytes(),
        )?;
    }
    read_token(home).map(drop)
}

/// Has `git verify-commit` trust the ledger's key.
fn name_signer(home: &Home, key: &SshSigner) -> Result<(), Problem> {
    let signers = home.path().join(LEDGER_SIGNERS);
    let public = key.public();
    let line = format!("{LEDGER_AUTHOR} namespaces=\"git\" {public}\n");
    // Lines that somebody added stay, and those of keys that were replaced: what they signed is still good.
    let known = fs::read_to_string(&signers).unwrap_or_default();
    if !known.contains(&public) {
        write_private(&signers, format!("{known}{line}").as_bytes())?;
    }
    Ok(())
}

/// Every start would be refused, one by one, by agents that know another key.
fn untrusted(key: &Path, trusted: &Path) -> Problem {
    key_fault(
        format!(
            "{} is not named in {}, so the agents of this folder would refuse everything: it was lost and drawn anew, or \
             another backup was put back.",
            key.display(),
            trusted.display()
        ),
        "Put the old key back from a backup. If it is lost for good, remove the file that does not name the new one: it is made anew, and what was sealed and not begun is sealed again.",
    )
}

fn draw() -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(key_fault(
            format!("The operating system gives no random numbers: {error}."),
            "Try again when the machine is up.",
        )),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_private(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let fault = |error: io::Error| {
        key_fault(
            format!("{shown} cannot be read: {error}."),
            "Start `chiffon up` or `chiffon run` once: a missing file is made.",
        )
    };
    let mode = fs::metadata(path).map_err(fault)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(key_fault(
            format!("{shown} is open to others (mode {mode:04o}), so others may have it."),
            &format!("Run: chmod 600 {shown}, or remove it to have a new one made."),
        ));
    }
    fs::read_to_string(path).map_err(fault)
}

fn key_fault(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::KeyFault, detail, todo)
}
