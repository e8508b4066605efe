//! `arbiter audit verify`: every line of a file or folder against its hash and the line before it, and the whole against
//! heads that were noted elsewhere. The first fault is named.
//!
//! A chain shows what was edited, taken out, put in or moved. It cannot show that its end was cut off, nor whether whole
//! files of its beginning were removed by right: for that, the head is noted where nobody who can write the files gets
//! at it, and given as an anchor. An anchor holds only where its record is there, or the one that follows it.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use chiffon_common::Digest;

use super::{
    line::{Head, Link},
    scan::{Fault, Lines, files, first_of, follow},
};

/// A head that was noted: `NUMBER:sha256:...`, as `verify` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor(pub(crate) Head);

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (seq, hash) = text.split_once(':')?;
            let (seq, hash) = (seq.parse().ok()?, hash.parse().ok()?);
            Some(Self(Head { seq, hash }))
        };
        read().ok_or_else(|| {
            "an anchor is what `arbiter audit verify` prints as head: NUMBER:sha256:HEX".to_owned()
        })
    }
}

/// What was held against each other and fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) files: usize,
    pub(crate) lines: u64,
    /// Number of the first line; more than 1 where older files were removed.
    pub(crate) first: u64,
    pub(crate) head: Head,
}

/// Why it does not verify.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("{} line {}: {}", .0.file.display(), .0.line, .0.why)]
    Fault(Fault),
    #[error("record {seq} is not the one that was noted (it has {found}, noted was {noted})")]
    OtherThanNoted {
        seq: u64,
        found: Digest,
        noted: Digest,
    },
    #[error("record {seq} was noted, but the chain ends at {end}: its end was cut off")]
    CutOff { seq: u64, end: u64 },
    #[error(
        "record {seq} was noted, but the chain begins at {first}: what was before is not there; where audit.keep has removed it, give a later anchor"
    )]
    Removed { seq: u64, first: u64 },
    #[error(
        "the chain begins at record {first} in {}: what was before it is not there; where audit.keep has removed it, name that configuration with --config",
        file.display()
    )]
    NotWhole { first: u64, file: PathBuf },
    #[error("there is no audit file in {}", .0.display())]
    Nothing(PathBuf),
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// What is taken for a whole chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It begins with the first record of all.
    First,
    /// So does a folder's; a file alone is a part of one.
    FirstOfFolder,
    /// Older files may have been removed by right.
    Any,
}

/// Verifies a file or all files of a folder.
pub(crate) fn verify(
    path: &Path,
    anchors: &[Anchor],
    beginning: Beginning,
) -> Result<Verified, Unverified> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Unverified::Unreadable { path, source }
    };
    let files = files(path).map_err(unreadable(path))?;
    let (mut head, mut first, mut count) = (None, 0, 0);
    for file in &files {
        let mut lines = Lines::open(file).map_err(unreadable(file))?;
        let begins_at = count;
        while let Some(line) = lines.next().map_err(unreadable(file))? {
            let link = follow(head, &line).map_err(|why| {
                Unverified::Fault(Fault {
                    file: file.clone(),
                    line: line.number,
                    offset: line.offset,
                    why,
                })
            })?;
            if head.is_none() {
                first = link.seq;
                begins(anchors, &link)?;
            }
            let now = Head {
                seq: link.seq,
                hash: link.hash,
            };
            holds(anchors, now)?;
            (head, count) = (Some(now), count + 1);
        }
        if count == begins_at {
            is_next(file, head)?;
        }
    }
    let head = head.ok_or_else(|| Unverified::Nothing(path.to_owned()))?;
    let wants_first = match beginning {
        Beginning::First => true,
        Beginning::FirstOfFolder => path.is_dir(),
        Beginning::Any => false,
    };
    if wants_first && first > 1 {
        let file = files.first().cloned().unwrap_or_default();
        return Err(Unverified::NotWhole { first, file });
    }
    let beyond = anchors.iter().find(|anchor| anchor.0.seq > head.seq);
    if let Some(Anchor(noted)) = beyond {
        let (seq, end) = (noted.seq, head.seq);
        return Err(Unverified::CutOff { seq, end });
    }
    Ok(Verified {
        files: files.len(),
        lines: count,
        first,
        head,
    })
}

/// A file without a record is the last one, which was made and not written yet.
fn is_next(file: &Path, head: Option<Head>) -> Result<(), Unverified> {
    let (Some(named), Some(head)) = (first_of(file), head) else {
        return Ok(());
    };
    if named == head.seq + 1 {
        return Ok(());
    }
    let why = format!(
        "it has no record and is named after record {named}, but record {} must come next",
        head.seq + 1
    );
    Err(Unverified::Fault(Fault {
        file: file.to_owned(),
        line: 1,
        offset: 0,
        why,
    }))
}

/// The beginning against what was noted: the first record names the hash of the one before it.
fn begins(anchors: &[Anchor], link: &Link) -> Result<(), Unverified> {
    let (first, before) = (link.seq, link.seq.saturating_sub(1));
    let lost = anchors.iter().find(|anchor| anchor.0.seq < before);
    if let Some(Anchor(noted)) = lost {
        let seq = noted.seq;
        return Err(Unverified::Removed { seq, first });
    }
    let (seq, hash) = (before, link.prev);
    holds(anchors, Head { seq, hash })
}

fn holds(anchors: &[Anchor], now: Head) -> Result<(), Unverified> {
    let other = anchors
        .iter()
        .find(|anchor| anchor.0.seq == now.seq && anchor.0.hash != now.hash);
    match other {
        Some(Anchor(noted)) => Err(Unverified::OtherThanNoted {
            seq: now.seq,
            found: now.hash,
            noted: noted.hash,
        }),
        None => Ok(()),
    }
}
