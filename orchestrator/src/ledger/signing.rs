//! Who signs commits, and who has signed one. A key that was replaced signs nothing anew: what it signed is taken from the
//! commit itself, and must be its good signature over what the row gives. Which key may sign from which batch on is left
//! to the engine, which knows the records.

use chiffon_common::{SshSigner, signed_by};
use gix::{
    ObjectId, Repository,
    objs::{Commit, WriteTo as _},
};

use super::{CommitId, LedgerError};

/// What commits are signed for, in the words of OpenSSH.
const NAMESPACE: &str = "git";

/// By what commits are signed.
#[derive(Clone, Default)]
pub(super) struct Signing {
    /// The key that is here.
    pub(super) key: Option<SshSigner>,
    /// A repository beside the one in hand that may hold what keys of before have signed.
    pub(super) beside: Option<Repository>,
}

impl Signing {
    /// What `git verify-commit` holds against the commit without this header. `stored` is the commit's hash, where it
    /// was written before.
    pub(super) fn signature(
        &self,
        repository: &Repository,
        commit: &Commit,
        stored: Option<&str>,
        signer: &str,
    ) -> Result<String, LedgerError> {
        let mut bytes = Vec::new();
        let written = commit.write_to(&mut bytes);
        written.map_err(|error| LedgerError::io("sign the commit", &error))?;
        let ours = self.key.as_ref().map(SshSigner::fingerprint);
        let key = self.key.as_ref();
        if let Some(key) = key.filter(|_| ours.as_deref() == Some(signer)) {
            return Ok(key.sign(NAMESPACE, &bytes).trim_end().to_owned());
        }
        let stored = stored.ok_or_else(|| LedgerError::Key {
            signer: signer.to_owned(),
            ours: ours.unwrap_or_else(|| "missing".to_owned()),
        })?;
        let stored: CommitId = stored.parse()?;
        let places = [Some(repository), self.beside.as_ref()];
        let mut kept = places
            .into_iter()
            .flatten()
            .filter_map(|place| signature_in(place, stored.0));
        let fits = |kept: &String| signed_by(NAMESPACE, &bytes, kept).as_deref() == Some(signer);
        kept.find(fits).ok_or_else(|| LedgerError::Lost {
            commit: stored.to_string(),
            signer: signer.to_owned(),
        })
    }
}

fn signature_in(repository: &Repository, commit: ObjectId) -> Option<String> {
    let commit = repository.find_commit(commit).ok()?;
    let (signature, _) = commit.signature().ok()??;
    Some(signature.to_string().trim_end().to_owned())
}

/// The fingerprint of the key that signed this commit, if its signature is good.
pub(super) fn signer_of(repository: &Repository, commit: ObjectId) -> Option<String> {
    let commit = repository.find_commit(commit).ok()?;
    let (signature, signed) = commit.signature().ok()??;
    signed_by(NAMESPACE, &signed.to_bstring(), &signature.to_string())
}
