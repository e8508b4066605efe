//! The audit files: append-only lines of JSON, chained by SHA-256, on the disk before an answer leaves. With the memory
//! store they are the truth that `restore` reads back; with a database they follow what it has decided.

mod line;
mod open;
mod ours;
mod scan;
mod seen;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use line::Head;
pub(crate) use open::{OpenError, Opened, Torn, open, unused};
pub(crate) use scan::{Line, Lines, files, files_from, first_of, follow, record_at};
#[cfg(test)]
pub(crate) use verify::Unverified;
pub(crate) use verify::{Anchor, Beginning, Verified, verify};
pub(crate) use writer::{
    Audit, Durable, Needs, Newest, Place, Reached, Rotation, Unwritten, Weak, Writing, start,
};
