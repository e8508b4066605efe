//! Sweeping up after an earlier life of the agent: processes of the attempt here, then on its hosts.

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use chiffon_agent::Swept;
use rustix::process::Signal;

use crate::{
    folder::Folder,
    processes::{is_supervisor, marked, signal_all},
    remote::Cleaner,
    settings::remote_mark,
};

/// A supervisor whose agent died needs at most this long to end its run by itself.
const SUPERVISOR_TIME: Duration = Duration::from_secs(16);

/// How long killing is tried.
const KILLING: Duration = Duration::from_secs(5);

/// All hosts together.
const REMOTE_TIME: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Ends everything that is left of the attempt.
pub(crate) async fn sweep(supervisor: &[OsString], run_id: &str, folder: Option<PathBuf>) -> Swept {
    let here = end_here(run_id).await;
    let folder = folder
        .filter(|folder| folder.is_dir())
        .map(|folder| Folder::new(&folder));
    let cleaner = folder.as_ref().and_then(Cleaner::read);
    let there = match (&folder, &cleaner) {
        (Some(folder), Some(cleaner)) => cleaner.clean(supervisor, folder, REMOTE_TIME).await,
        // Nothing was started over a network, or the run had ended in order and its folder is gone.
        _ => true,
    };
    remove_control_folder(run_id);
    if here && there {
        Swept::Clean
    } else {
        Swept::Uncertain
    }
}

/// Ends the processes on this machine; whether none is left.
pub(crate) async fn end_here(run_id: &str) -> bool {
    let begun = Instant::now();
    // Nothing tells when the process of an earlier life ends, so one has to look again.
    while begun.elapsed() < SUPERVISOR_TIME {
        let left = look(run_id).await;
        if left.is_empty() {
            return true;
        }
        if !left.iter().any(|pid| is_supervisor(*pid)) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let begun = Instant::now();
    while begun.elapsed() < KILLING {
        let left = look(run_id).await;
        if left.is_empty() {
            return true;
        }
        signal_all(&left, Signal::KILL);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    look(run_id).await.is_empty()
}

/// What is left. A program that has just been started shows its environment a moment later only, so
/// nothing counts as nothing when it is seen twice.
async fn look(run_id: &str) -> Vec<u32> {
    let once = || {
        let run_id = run_id.to_owned();
        async move {
            let found = tokio::task::spawn_blocking(move || marked(&run_id)).await;
            found.unwrap_or_default()
        }
    };
    let found = once().await;
    if !found.is_empty() {
        return found;
    }
    tokio::time::sleep(LOOK_AGAIN / 2).await;
    once().await
}

/// The folder under `/tmp` of runs whose own path is too long for a socket.
pub(crate) fn remove_control_folder(run_id: &str) {
    let folder = PathBuf::from("/tmp").join(remote_mark(run_id));
    // Most runs have none.
    let _absent = std::fs::remove_dir_all(folder);
}
