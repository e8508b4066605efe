//! How a batch of numbered audit records is sealed: one form for every backend, and for whoever checks
//! it. When a batch ends is left to the backend.

use chiffon_common::{Digest, GENESIS};

use crate::AuditSeal;

impl AuditSeal {
    /// Seals the records numbered from `first_seq` on, whose hashes are given in order, behind the seal
    /// before (absent for the first).
    pub fn over(before: Option<&Self>, first_seq: u64, hashes: &[String]) -> Self {
        let last_seq = first_seq + (hashes.len() as u64).saturating_sub(1);
        let previous = before.map_or(GENESIS, |seal| &seal.hash).to_owned();
        let root = Self::root_of(hashes);
        Self {
            seal_no: before.map_or(1, |seal| seal.seal_no + 1),
            first_seq,
            last_seq,
            hash: Self::hash_of(&previous, first_seq, last_seq, &root),
            root,
            previous,
        }
    }

    /// Digest over the hashes of a batch's records in order.
    pub fn root_of(hashes: &[String]) -> String {
        Digest::of_parts(hashes.iter().map(String::as_bytes)).to_string()
    }

    /// Whether the hash fits what the seal says.
    pub fn is_intact(&self) -> bool {
        self.hash == Self::hash_of(&self.previous, self.first_seq, self.last_seq, &self.root)
    }

    fn hash_of(previous: &str, first_seq: u64, last_seq: u64, root: &str) -> String {
        let (first, last) = (first_seq.to_be_bytes(), last_seq.to_be_bytes());
        let parts: [&[u8]; 4] = [previous.as_bytes(), &first, &last, root.as_bytes()];
        Digest::of_parts(parts).to_string()
    }
}
