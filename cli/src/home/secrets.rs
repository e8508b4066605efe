//! Key and token of the data folder: drawn from the operating system, kept 0600, refused when wider.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::{ErrorCode, Problem, Signer};

use super::{Home, create::write_private};

/// What every token begins with, so that one is known where it has leaked.
const TOKEN_PREFIX: &str = "chf_";

/// The orchestrator's key.
///
/// # Errors
/// 5701 where the file is missing, malformed or open to others.
pub fn signer(home: &Home) -> Result<Signer, Problem> {
    let path = home.path().join("keys/orchestrator.key");
    let text = read_private(&path)?;
    let bytes = BASE64_STANDARD.decode(text.trim()).ok();
    match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(secret) => Ok(Signer::from_secret(secret)),
        None => Err(key_fault(
            format!(
                "{} is no key: it must hold 32 bytes in base64.",
                path.display()
            ),
            "Restore it from a backup. Without it, remove it and keys/orchestrators.pub: new ones are made.",
        )),
    }
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

/// Draws what is missing, and looks at what is there.
pub(super) fn make_missing(home: &Home, progress: &dyn Fn(&str)) -> Result<(), Problem> {
    let key = home.path().join("keys/orchestrator.key");
    if !key.exists() {
        progress("Drawing the orchestrator's key");
        write_private(
            &key,
            format!("{}\n", BASE64_STANDARD.encode(draw()?)).as_bytes(),
        )?;
    }
    let signer = signer(home)?;
    let trusted = home.trusted_keys();
    if !trusted.exists() {
        let text = format!(
            "# Orchestrators that the agents of this folder obey: one public key a line.\n{}\n",
            signer.public()
        );
        write_private(&trusted, text.as_bytes())?;
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
