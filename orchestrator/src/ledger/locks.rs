//! Lock files that a crash left in the repository (R40). That nobody else writes is the caller's
//! knowledge: it holds the instance lock.

use std::{fs, path::Path};

use super::LedgerError;

/// Removes every `*.lock` outside the object folders, which hold none of git's locks but many files.
pub(super) fn remove_stale(folder: &Path) -> Result<(), LedgerError> {
    let failed = |error: std::io::Error| LedgerError::io("remove stale locks", &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // Not followed: a link could lead out of the ledger.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && entry.file_name() != "objects" {
            remove_stale(&path)?;
        } else if kind.is_file() && path.extension().is_some_and(|one| one == "lock") {
            fs::remove_file(&path).map_err(failed)?;
            tracing::warn!(path = %path.display(), "removed a lock that a crash left in the ledger");
        }
    }
    Ok(())
}
