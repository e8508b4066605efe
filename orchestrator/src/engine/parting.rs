//! A database and a ledger that do not belong together though nobody else touched either, as after a restored backup: what
//! each has that the other lacks, and the ways out. Until a person has taken one, nothing stands on either (`Ground`).

use std::collections::HashMap;

use chiffon_store::LedgerBatchRow;
use jiff::Timestamp;

use super::{
    Shared,
    scribe::{PAGE, ScribeError},
};
use crate::ledger::{Beyond, CommitId, LedgerError, Parting};

/// Where the two part.
pub(super) struct Parted {
    /// The last batch that both know; 0 where there is none.
    pub(super) fork: u64,
    pub(super) how: Parting,
    words: String,
}

impl From<Parted> for LedgerError {
    fn from(parted: Parted) -> Self {
        Self::Parted {
            how: parted.how,
            words: parted.words,
        }
    }
}

impl Shared {
    /// The same fault, or that the two have parted, where the ledger's own keys signed what the database lacks.
    pub(super) async fn or_parted(&self, fault: LedgerError) -> LedgerError {
        if !matches!(fault, LedgerError::Foreign(_)) {
            return fault;
        }
        match self.parted().await {
            Ok(Some(parted)) => parted.into(),
            Ok(None) => fault,
            Err(error) => {
                tracing::warn!(%error, "whether database and ledger belong together cannot be told");
                fault
            }
        }
    }

    /// Whether the ledger's own keys signed commits on `main` that no row knows. What is decided and not known to be
    /// written counts as unknown: whoever asks has looked at that.
    pub(super) async fn parted(&self) -> Result<Option<Parted>, ScribeError> {
        let way = self.on_ledger(|place| place.read()?.way_back()).await?;
        let Some(way) = way else {
            return Ok(None);
        };
        let tenant = &self.settings.tenant;
        let last = self.store.last_ledger_batch(tenant).await?;
        let written = match &last {
            Some(last) => self.last_written(last).await?,
            None => None,
        };
        let fork = self.fork(&way.commits, written.as_ref()).await?;
        let fork_at = fork.as_ref().map(|(_, at)| *at);
        // What lies further back than was walked is not known to be missing in the database.
        let count = fork_at.unwrap_or(way.commits.len());
        let fork = fork.map(|(row, _)| row);
        let own = self.own_keys([written.as_ref(), fork.as_ref()]).await?;
        let beyond: Vec<CommitId> = way.commits.into_iter().take(count).collect();
        let beyond = self
            .on_ledger(move |place| Ok(place.read()?.beyond(&beyond, &own)))
            .await?;
        if beyond.own == 0 {
            return Ok(None);
        }
        let fork_no = fork.as_ref().map_or(0, |row| row.batch_no);
        let lacks = match written {
            Some(written) if written.batch_no > fork_no => {
                let next = self.store.ledger_batches(tenant, fork_no, 1).await?;
                let from = next.first().map_or(written.time, |row| row.time);
                Some((written.batch_no - fork_no, from, written.time))
            }
            _ => None,
        };
        let how = match lacks {
            Some(_) => Parting::Apart,
            None => Parting::Older,
        };
        let words = match lacks {
            None => older_words(&beyond),
            Some(lacks) => {
                let is_known = fork.is_some() || way.to_its_beginning;
                apart_words(fork.as_ref(), &beyond, Some(lacks).filter(|_| is_known))
            }
        };
        Ok(Some(Parted {
            fork: fork_no,
            how,
            words,
        }))
    }

    /// The newest batch that is among these commits, and its place there. From the newest on, because that is where
    /// database and ledger part, if they do.
    async fn fork(
        &self,
        commits: &[CommitId],
        written: Option<&LedgerBatchRow>,
    ) -> Result<Option<(LedgerBatchRow, usize)>, ScribeError> {
        let places: HashMap<String, usize> =
            commits.iter().map(ToString::to_string).zip(0..).collect();
        let mut end = written.map_or(0, |row| row.batch_no);
        while end > 0 {
            let page = u64::from(PAGE).min(end);
            let rows = self
                .store
                .ledger_batches(&self.settings.tenant, end - page, PAGE)
                .await?;
            let of_page = rows.into_iter().filter(|row| row.batch_no <= end).rev();
            let mut known = of_page.filter_map(|row| {
                let at = places.get(row.commit.as_ref()?)?;
                Some((row, *at))
            });
            if let Some(found) = known.next() {
                return Ok(Some(found));
            }
            end -= page;
        }
        Ok(None)
    }

    /// The keys that have signed what the database knows, and may sign.
    async fn own_keys(
        &self,
        rows: [Option<&LedgerBatchRow>; 2],
    ) -> Result<Vec<String>, ScribeError> {
        let signers = rows.into_iter().flatten();
        let mut own: Vec<String> = signers.filter_map(|row| row.signer.clone()).collect();
        own.extend(self.key_in_force().await?);
        own.extend(self.ledger_key());
        Ok(own)
    }
}

/// What the ledger has and the database lacks.
fn signed(beyond: &Beyond) -> String {
    let commits = lie(beyond.own as u64, beyond.times);
    let last = &beyond.last;
    let stranger = match &beyond.stranger {
        Some(stranger) => format!("; with them lies the foreign commit {stranger}"),
        None => String::new(),
    };
    format!(
        "{commits} in the ledger and not in the database, signed by the ledger's own key; the last is \
         {last}{stranger}"
    )
}

fn older_words(beyond: &Beyond) -> String {
    let (begin, signed) = (Parting::Older.words(), signed(beyond));
    format!(
        "{begin}, as a restored backup is: {signed}. Put back the database that belongs to this ledger, or a backup of both; \
         to go on without what those commits tell, move the folder ledger away: it is made anew from the database"
    )
}

/// `lacks` is what the database has and the ledger lacks, where that can be told.
fn apart_words(
    fork: Option<&LedgerBatchRow>,
    beyond: &Beyond,
    lacks: Option<(u64, Timestamp, Timestamp)>,
) -> String {
    let (begin, signed) = (Parting::Apart.words(), signed(beyond));
    let since = match (fork, lacks) {
        (Some(row), _) => format!(" after batch {} of {}", row.batch_no, row.time),
        (None, Some(_)) => " from the beginning".to_owned(),
        (None, None) => String::new(),
    };
    let lacks = match lacks {
        Some((count, from, to)) => {
            lie(count, Some((from, to))) + " in the database and not in the ledger"
        }
        None => "what the ledger lacks cannot be read there".to_owned(),
    };
    format!(
        "{begin}{since}, as where backups of different times were put back: {signed}; and {lacks}. Put back the database that \
         belongs to this ledger, or the ledger that belongs to this database; to go on with this database, without what \
         those commits of the ledger tell, move the folder ledger away: it is made anew from the database"
    )
}

/// So many commits of these times lie: the beginning of a sentence.
fn lie(count: u64, times: Option<(Timestamp, Timestamp)>) -> String {
    let when = match times {
        Some((from, to)) if from != to => format!(" from {from} to {to}"),
        Some((_, at)) => format!(" of {at}"),
        None => String::new(),
    };
    match count {
        1 => format!("one commit{when} lies"),
        count => format!("{count} commits{when} lie"),
    }
}
