//! Signatures in the form of OpenSSH (`SSHSIG`, PROTOCOL.sshsig), by which `git verify-commit` and `ssh-keygen -Y
//! verify` know who made a commit. Ed25519 is deterministic: the same bytes always give the same signature, so a
//! signed commit still follows from its row.
//!
//! Reading and keeping the key is left to the shells.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
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
        let blob = public_blob(&self.key.verifying_key());
        let digest = sha2::Sha256::digest(blob);
        let text = BASE64_STANDARD.encode(digest);
        format!("SHA256:{}", text.trim_end_matches('='))
    }

    /// The armoured signature over these bytes in a namespace (`git` for commits), ending in a line break.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> String {
        let hashed = Sha512::digest(message);
        let mut signed = MAGIC.to_vec();
        for part in [namespace.as_bytes(), b"", HASH, &hashed] {
            put(&mut signed, part);
        }
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
    fn the_armour_has_the_lines_that_openssh_writes() {
        let text = SshSigner::from_secret([7; 32]).sign("git", b"x");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN SSH SIGNATURE-----"));
        assert_eq!(lines.last(), Some(&"-----END SSH SIGNATURE-----"));
        assert!(lines[1..lines.len() - 2].iter().all(|l| l.len() == 70));
    }
}
