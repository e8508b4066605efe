//! What makes a lease one that is held, in whichever database it stands (R5). Rows and their locks are left to the stores.

use jiff::Timestamp;

use crate::{Error, LeaseRow};

/// Whether nobody else may take it at this time. Times are kept to the microsecond, and compared so.
pub(crate) fn is_held(lease: &LeaseRow, now: Timestamp) -> bool {
    !chiffon_failpoint::mutant!("no-lease")
        && lease
            .expires_at
            .is_none_or(|end| end.as_microsecond() > now.as_microsecond())
}

/// What somebody else hears who wants it.
pub(crate) fn held(lease: LeaseRow) -> Error {
    Error::LeaseHeld {
        name: lease.name,
        owner: lease.owner,
        since: lease.since,
    }
}
