//! Lock files that a crash left in the repository (R40). That nobody else writes is the caller's
//! knowledge: it holds the instance lock.

use std::{fs, path::Path, time::Duration};

use super::LedgerError;

/// Where people push to, where we put what they pushed, and where git notes for us what was pushed elsewhere: a young
/// lock there is held.
const PUSHED: [&str; 4] = ["propose", "propose-done", "propose-refused", "chiffon"];
/// A push holds its locks for moments.
const OLD: Duration = Duration::from_secs(600);

/// Removes every `*.lock` outside the object folders, which hold none of git's locks but many files.
pub(super) fn remove_stale(folder: &Path) -> Result<(), LedgerError> {
    remove(folder, false)
}

fn remove(folder: &Path, is_pushed: bool) -> Result<(), LedgerError> {
    let failed = |error: std::io::Error| LedgerError::io("remove stale locks", &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // Not followed: a link could lead out of the ledger.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && entry.file_name() != "objects" {
            let name = entry.file_name();
            let is_pushed = is_pushed || PUSHED.iter().any(|one| name == *one);
            remove(&path, is_pushed)?;
        } else if kind.is_file() && path.extension().is_some_and(|one| one == "lock") {
            if is_pushed && is_young(&path) {
                continue;
            }
            fs::remove_file(&path).map_err(failed)?;
            tracing::warn!(path = %path.display(), "removed a lock that a crash left in the ledger");
        }
    }
    Ok(())
}

/// Also where nobody can say.
fn is_young(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|about| about.modified());
    let age = changed.ok().and_then(|at| at.elapsed().ok());
    age.is_none_or(|age| age < OLD)
}
