//! The seal: the orchestrator's signature over exactly what was approved, and the agent's last gate
//! (DESIGN section 6, S28, S41). Ed25519 over canonical JSON.
//!
//! Reading key files, and the clock that `not_after` is held against, are left to the shells.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, CanonicalError, DecisionId, Digest, EntryId, HostName, Incarnation, Mode, Parameters,
    TaskId, to_canonical,
};

/// What one seal permits: this attempt, on this agent, in this life of its journal, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealClaims {
    /// Version of this form; 1.
    pub v: u32,
    /// The approved plan.
    pub plan: Digest,
    /// The catalogue entry.
    pub action: EntryId,
    /// Playbook tree and resolved inventory.
    pub bundle: Digest,
    /// Parameters, whole.
    pub parameters: Parameters,
    /// Hosts, in order.
    pub hosts: Vec<HostName>,
    /// A seal for `check` is good for nothing else.
    pub mode: Mode,
    /// Longest run in seconds.
    pub timeout_seconds: u64,
    /// The task.
    pub task_id: TaskId,
    /// The fencing token.
    pub attempt: u32,
    /// The audience.
    pub agent: AgentId,
    /// The life of the agent's journal that this was minted for.
    pub incarnation: Incarnation,
    /// When it was minted, by the orchestrator's clock.
    pub issued_at: Timestamp,
    /// After this it must not start, by the orchestrator's clock.
    pub not_after: Timestamp,
    /// The decision that approved it; absent for tier 0 and for check runs.
    pub decision: Option<DecisionId>,
    /// Who approved it.
    pub approver: Option<String>,
}

/// Claims and their signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// What is permitted.
    pub claims: SealClaims,
    /// By whom.
    pub signature: Signature,
}

/// An Ed25519 signature and the name of the key that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// First 16 hexadecimal digits of the SHA-256 of the public key.
    pub key: String,
    /// The 64 bytes in base64.
    pub value: String,
}

/// Why a signature is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is none.
    #[error("message carries no signature")]
    Unsigned,
    /// The key is not among the trusted ones.
    #[error("signing key {0} is not trusted here")]
    UnknownKey(String),
    /// The signature does not fit the content.
    #[error("signature does not fit the content")]
    Mismatch,
    /// The public key is malformed.
    #[error("public key is malformed")]
    MalformedKey,
    /// No canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

/// Signs for one orchestrator. Shows nothing in `Debug`.
pub struct Signer {
    key: SigningKey,
    id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

impl Signer {
    /// From the 32 secret bytes, which the caller read from its key file or drew.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&secret);
        let id = key_id(&key.verifying_key());
        Self { key, id }
    }

    /// The public key, base64, as it stands in the agents' file.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// Signs these bytes.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature {
            key: self.id.clone(),
            value: BASE64_STANDARD.encode(self.key.sign(bytes).to_bytes()),
        }
    }

    /// Seals claims.
    pub fn seal(&self, claims: SealClaims) -> Result<Seal, CanonicalError> {
        let signature = self.sign(&to_canonical(&claims)?);
        Ok(Seal { claims, signature })
    }
}

/// An orchestrator's public key; written and read as base64 of its 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0.as_bytes()))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let bytes = BASE64_STANDARD
            .decode(text.trim())
            .map_err(|_| SealError::MalformedKey)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| SealError::MalformedKey)?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| SealError::MalformedKey)
    }
}

fn key_id(key: &VerifyingKey) -> String {
    Digest::of_bytes(key.as_bytes()).hex()[..16].to_owned()
}

/// The orchestrators that an agent obeys.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(BTreeMap<String, VerifyingKey>);

impl TrustedKeys {
    /// Adds a key.
    pub fn trust(&mut self, key: PublicKey) {
        self.0.insert(key_id(&key.0), key.0);
    }

    /// The ids of the keys, which is how seals name them.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads a file's text: one key a line, `#` begins a comment.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let mut keys = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                keys.trust(line.parse()?);
            }
        }
        Ok(keys)
    }

    /// Holds a signature against these bytes. Strict, so that no second signature fits the same text.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), SealError> {
        let key = self
            .0
            .get(&signature.key)
            .ok_or_else(|| SealError::UnknownKey(signature.key.clone()))?;
        let value = BASE64_STANDARD
            .decode(&signature.value)
            .map_err(|_| SealError::Mismatch)?;
        let value =
            ed25519_dalek::Signature::from_slice(&value).map_err(|_| SealError::Mismatch)?;
        key.verify_strict(bytes, &value)
            .map_err(|_| SealError::Mismatch)
    }

    /// Holds a seal's signature against its claims; what the claims permit is for the caller to compare.
    pub fn verify_seal(&self, seal: &Seal) -> Result<(), SealError> {
        self.verify(&to_canonical(&seal.claims)?, &seal.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_a_file_with_comments() {
        let signer = Signer::from_secret([1; 32]);
        let text = format!("# orchestrators\n{} # first\n\n", signer.public());
        let keys = TrustedKeys::parse(&text).unwrap();
        keys.verify(b"x", &signer.sign(b"x")).unwrap();
        assert!(matches!(
            keys.verify(b"y", &signer.sign(b"x")),
            Err(SealError::Mismatch)
        ));
        assert!(matches!(
            TrustedKeys::parse("AAAA"),
            Err(SealError::MalformedKey)
        ));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Signer::from_secret([9; 32]));
        assert_eq!(shown.len(), "Signer()".len() + 16);
    }
}
