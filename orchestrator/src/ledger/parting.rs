//! The way back from a `main` that is not where the rows leave it: which of its commits somebody else made, and which
//! the ledger's own keys signed. Whether the database knows one is the caller's to say.

use gix::ObjectId;
use jiff::Timestamp;

use super::{CommitId, Ledger, LedgerError, signing::signer_of, verify::described};

/// How many commits are walked over at most.
const FAR: usize = 10_000;

/// How a database and a ledger may not belong together, though nobody else touched either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The ledger goes on where the database ends.
    Older,
    /// Each has what the other lacks.
    Apart,
}

impl Parting {
    /// Both, for whoever looks for the words.
    pub const ALL: [Self; 2] = [Self::Older, Self::Apart];

    /// How its words begin.
    pub fn words(self) -> &'static str {
        match self {
            Self::Older => "the database is older than the ledger",
            Self::Apart => "the database and the ledger have gone separate ways",
        }
    }
}

/// The commits of `main`, newest first, as far as they can be read and were walked over.
pub struct WayBack {
    /// Their hashes.
    pub commits: Vec<CommitId>,
    /// Whether the first commit of all is among them.
    pub to_its_beginning: bool,
}

/// What lies on `main` behind what is known.
pub struct Beyond {
    /// How many commits the ledger's own keys signed.
    pub own: usize,
    /// The times of the first and the last of these.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The last of these in words.
    pub last: String,
    /// The first commit of somebody else in words, where there is one.
    pub stranger: Option<String>,
}

impl Ledger {
    /// The way back from `main`; nothing in an empty ledger.
    pub fn way_back(&self) -> Result<Option<WayBack>, LedgerError> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        let mut way = WayBack {
            commits: Vec::new(),
            to_its_beginning: false,
        };
        let mut next = Some(head.0);
        while let Some(commit) = next.filter(|_| way.commits.len() < FAR) {
            let Ok(found) = self.repository.find_commit(commit) else {
                return Ok(Some(way));
            };
            way.commits.push(CommitId(commit));
            next = found.parent_ids().next().map(|id| id.detach());
        }
        way.to_its_beginning = next.is_none();
        Ok(Some(way))
    }

    /// What these commits are, newest first; `own` are the fingerprints of the ledger's keys.
    pub fn beyond(&self, commits: &[CommitId], own: &[String]) -> Beyond {
        let mut beyond = Beyond {
            own: 0,
            times: None,
            last: String::new(),
            stranger: None,
        };
        for commit in commits {
            let signer = signer_of(&self.repository, commit.0);
            if !signer.is_some_and(|signer| own.contains(&signer)) {
                beyond.stranger = Some(described(&self.repository, commit.0));
                continue;
            }
            if beyond.own == 0 {
                beyond.last = described(&self.repository, commit.0);
            }
            beyond.own += 1;
            if let Some(at) = self.time_of(commit.0) {
                let last = beyond.times.map_or(at, |(_, last)| last);
                beyond.times = Some((at, last));
            }
        }
        beyond
    }

    fn time_of(&self, commit: ObjectId) -> Option<Timestamp> {
        let found = self.repository.find_commit(commit).ok()?;
        Timestamp::from_second(found.time().ok()?.seconds).ok()
    }
}
