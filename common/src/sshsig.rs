//! Signatures in the form of OpenSSH (`SSHSIG`, PROTOCOL.sshsig), by which `git verify-commit` and `ssh-keygen -Y
//! verify` know who made a commit. Ed25519 is deterministic: the same bytes always give the same signature, so a
//! signed commit still follows from its row.
//!
//! Reading and keeping the key is left to the shells.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const KIND: &[u8] = b"ssh-ed25519";
const HASH: &[u8] = b"sha512";
/// Characters a line, as OpenSSH writes them.
const LINE: usize = 70;

/// A key that signs as OpenSSH does. Shows nothing in `Debug`.
#[derive(Clone)]
pub struct SshSigner {
    key: SigningKey,
}

impl std::fmt::Debug for SshSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshSigner({})", self.fingerprint())
    }
}

impl SshSigner {
    /// From the 32 secret bytes, which the caller read from its key file or drew.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&secret),
        }
    }

    /// The public key as it stands in `authorized_keys` and `allowed_signers`: `ssh-ed25519 AAAA...`.
    pub fn public(&self) -> String {
        let blob = BASE64_STANDARD.encode(public_blob(&self.key.verifying_key()));
        format!("ssh-ed25519 {blob}")
    }

    /// The name of the key as `ssh-keygen -l` shows it: `SHA256:...`.
    pub fn fingerprint(&self) -> String {
        fingerprint(&public_blob(&self.key.verifying_key()))
    }

    /// The armoured signature over these bytes in a namespace (`git` for commits), ending in a line break.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> String {
        let signed = signed_part(namespace, message);
        let mut signature = Vec::new();
        put(&mut signature, KIND);
        put(&mut signature, &self.key.sign(&signed).to_bytes());

        let mut blob = MAGIC.to_vec();
        blob.extend(1_u32.to_be_bytes());
        put(&mut blob, &public_blob(&self.key.verifying_key()));
        for part in [namespace.as_bytes(), b"", HASH, &signature] {
            put(&mut blob, part);
        }
        armour(&blob)
    }
}

/// The fingerprint of the key whose good signature over these bytes this is; nothing if it is none, or of another kind
/// than Chiffon writes. Whether that key is one to trust is for the caller to know.
pub fn signed_by(namespace: &str, message: &[u8], armoured: &str) -> Option<String> {
    let lines = armoured.trim().lines();
    let text: String = lines.filter(|line| !line.starts_with('-')).collect();
    let blob = BASE64_STANDARD.decode(text).ok()?;
    let mut rest = blob
        .strip_prefix(MAGIC)?
        .strip_prefix(&1_u32.to_be_bytes())?;
    let public = take(&mut rest)?;
    for expected in [namespace.as_bytes(), b"", HASH] {
        take(&mut rest).filter(|part| *part == expected)?;
    }
    let mut signature = take(&mut rest)?;
    let mut key = public;
    take(&mut key).filter(|kind| *kind == KIND)?;
    let key = VerifyingKey::from_bytes(take(&mut key)?.try_into().ok()?).ok()?;
    take(&mut signature).filter(|kind| *kind == KIND)?;
    let signature = Signature::from_slice(take(&mut signature)?).ok()?;
    let signed = signed_part(namespace, message);
    key.verify_strict(&signed, &signature).ok()?;
    Some(fingerprint(public))
}

/// What is signed of a message: its hash, and for what it is signed.
fn signed_part(namespace: &str, message: &[u8]) -> Vec<u8> {
    let hashed = Sha512::digest(message);
    let mut signed = MAGIC.to_vec();
    for part in [namespace.as_bytes(), b"", HASH, &hashed] {
        put(&mut signed, part);
    }
    signed
}

/// The next string of the SSH wire format; see [`put`].
fn take<'b>(from: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (taken, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn fingerprint(public: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(sha2::Sha256::digest(public));
    format!("SHA256:{}", text.trim_end_matches('='))
}

fn public_blob(key: &VerifyingKey) -> Vec<u8> {
    let mut blob = Vec::new();
    put(&mut blob, KIND);
    put(&mut blob, key.as_bytes());
    blob
}

/// A string of the SSH wire format (RFC 4251, section 5): its length, then its bytes.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(bytes);
}

fn armour(blob: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(blob);
    let mut armoured = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, left) = rest.split_at(rest.len().min(LINE));
        // Writing into a String cannot fail.
        let _infallible = writeln!(armoured, "{line}");
        rest = left;
    }
    armoured + "-----END SSH SIGNATURE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_give_the_same_signature_and_the_debug_shows_no_secret() {
        let signer = SshSigner::from_secret([7; 32]);
        assert_eq!(signer.sign("git", b"x"), signer.sign("git", b"x"));
        assert_ne!(signer.sign("git", b"x"), signer.sign("file", b"x"));
        let shown = format!("{signer:?}");
        assert!(shown.starts_with("SshSigner(SHA256:"), "{shown}");
    }

    #[test]
    fn a_signature_names_its_key_and_fits_nothing_else() {
        let signer = SshSigner::from_secret([7; 32]);
        let good = signer.sign("git", b"x");
        assert_eq!(signed_by("git", b"x", &good), Some(signer.fingerprint()));
        assert_eq!(signed_by("git", b"y", &good), None);
        assert_eq!(signed_by("file", b"x", &good), None);
        let other = SshSigner::from_secret([8; 32]).sign("git", b"x");
        assert_ne!(signed_by("git", b"x", &other), Some(signer.fingerprint()));
        for cut in 0..good.len() {
            let _no_panic = signed_by("git", b"x", &good[..cut]);
        }
        assert_eq!(signed_by("git", b"x", "no signature"), None);
    }

    #[test]
    fn the_armour_has_the_lines_that_openssh_writes() {
        let text = SshSigner::from_secret([7; 32]).sign("git", b"x");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN SSH SIGNATURE-----"));
        assert_eq!(lines.last(), Some(&"-----END SSH SIGNATURE-----"));
        assert!(lines[1..lines.len() - 2].iter().all(|l| l.len() == 70));
    }
}
