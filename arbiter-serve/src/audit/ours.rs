//! The file that is written to, as this process left it: only bytes that this process wrote are taken off it, what was cut off
//! or removed while it was not looked at is found before anything more is written, and nobody else writes to it meanwhile.

use std::{
    fs::{self, Metadata, TryLockError},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
};

use super::{
    line::{END, Head, chain},
    open::{LastFile, appending},
    scan::{Lines, follow, last_link},
};

impl LastFile {
    /// Nobody else writes to it as long as this lives, also where the lock of the folder was removed.
    pub(super) fn held(self) -> io::Result<Self> {
        match self.file.try_lock() {
            Ok(()) => Ok(self),
            Err(TryLockError::WouldBlock) => Err(io::Error::other(format!(
                "another arbiter writes to {}",
                self.path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether its name still leads to it.
    pub(super) fn is_there(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|held| in_place(self, &held).is_ok())
    }
}

/// Appends records durably: all of them, or the file and the head are as they were.
pub(super) fn append<'a>(
    to: &mut LastFile,
    head: &mut Head,
    records: impl IntoIterator<Item = &'a [u8]>,
    lines: &mut Vec<u8>,
) -> io::Result<()> {
    lines.clear();
    let mut end = *head;
    for record in records {
        end = chain(end, record, lines);
    }
    let about = as_left(to, *head)?;
    // Takes off what a failed try has left, and makes the kernel write the same bytes anew: after a failed fsync it
    // holds them for written.
    if about.len() > to.length {
        to.file.set_len(to.length)?;
    }
    let written = to.file.write_all(lines).and_then(|()| to.file.sync_data());
    if let Err(error) = written {
        std::mem::swap(&mut to.tried, lines);
        return Err(error);
    }
    to.tried = Vec::new();
    to.length += lines.len() as u64;
    *head = end;
    Ok(())
}

/// Whether a file that ends at `head` lies where it did, as this process left it.
pub(super) fn as_left(held: &LastFile, head: Head) -> io::Result<Metadata> {
    let about = held.file.metadata()?;
    in_place(held, &about)?;
    untouched(held, &about, head)?;
    Ok(about)
}

/// The file that lies in place of the one that is written to, where it has the same bytes, such as a copy that was brought
/// back.
pub(super) fn same_bytes(held: &LastFile, head: Head) -> io::Result<Option<LastFile>> {
    let Ok(found) = fs::metadata(&held.path) else {
        return Ok(None);
    };
    let about = held.file.metadata()?;
    let is_it = (found.dev(), found.ino()) == (about.dev(), about.ino());
    if is_it || !found.is_file() || found.len() != held.length {
        return Ok(None);
    }
    // The end alone first: it is looked at again and again.
    let ends = last_link(&held.path)?.is_some_and(|link| link.hash == head.hash);
    if !ends || !is_chain(held, head)? {
        return Ok(None);
    }
    let file = appending(&held.path)?;
    LastFile::of(file, held.path.clone(), held.length)
        .held()
        .map(Some)
}

/// Whether the file at this place is a chain up to the head, whose hash stands for all bytes before it.
fn is_chain(held: &LastFile, head: Head) -> io::Result<bool> {
    let mut lines = Lines::open(&held.path)?;
    let mut end = None;
    while let Some(line) = lines.next()? {
        let Ok(link) = follow(end, &line) else {
            return Ok(false);
        };
        let (seq, hash) = (link.seq, link.hash);
        end = Some(Head { seq, hash });
    }
    Ok(end == Some(head))
}

/// Whether the name still leads to the file that is held open. Records in one that was removed or moved away would be
/// found by nobody.
fn in_place(held: &LastFile, about: &Metadata) -> io::Result<()> {
    let why = match fs::metadata(&held.path) {
        Ok(found) if (found.dev(), found.ino()) == (about.dev(), about.ino()) => return Ok(()),
        Ok(_) => "a file with other bytes is in its place".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(io::Error::other(format!(
        "{} was removed or moved away ({why}); bring it back as it was, or a copy of it, then arbiter goes on by itself. \
         A start without it is refused, or forgets what was decided",
        held.path.display()
    )))
}

/// Whether the file is as this process left it: all that was written, and behind that nothing but what a try has left
/// that failed.
fn untouched(held: &LastFile, about: &Metadata, head: Head) -> io::Result<()> {
    let shown = held.path.display();
    let (found, known) = (about.len(), held.length);
    if found < known {
        return Err(io::Error::other(format!(
            "{shown} was cut off or emptied: it has {found} bytes, and {known} were written; nothing is added, because that \
             would make it unreadable. Copy back what it held, with `cp` onto the file as it is, then arbiter goes on by \
             itself, or stop arbiter and bring the file back"
        )));
    }
    if known > 0 {
        let end = format!("{}{END}\n", head.hash);
        let mut last = vec![0; end.len()];
        let at = known.checked_sub(end.len() as u64);
        held.file.read_exact_at(&mut last, at.unwrap_or_default())?;
        if last != end.as_bytes() {
            return Err(io::Error::other(format!(
                "{shown} was overwritten: record {} does not end where it was written; stop arbiter and bring the file back",
                head.seq
            )));
        }
    }
    let behind = usize::try_from(found - known).unwrap_or(usize::MAX);
    let mut strange = behind > held.tried.len();
    if behind > 0 && !strange {
        let mut left = vec![0; behind];
        held.file.read_exact_at(&mut left, known)?;
        // What never reached the disk is zeros there.
        let is_ours = |(left, tried): (&u8, &u8)| left == tried || *left == 0;
        strange = !left.iter().zip(&held.tried).all(is_ours);
    }
    if strange {
        return Err(io::Error::other(format!(
            "{shown} has {behind} bytes that arbiter did not write, so something else writes to it; end that, and take \
             them off with `truncate -s {known}` if nobody needs them: then arbiter goes on by itself"
        )));
    }
    Ok(())
}
