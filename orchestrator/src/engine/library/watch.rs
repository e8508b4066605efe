//! Whether anything below some folders has changed since they were looked at, without a look at every file: the kernel
//! notes edits as they happen (inotify), before the call that makes one returns. What a look costs is left to `stamp`,
//! and what is done with an answer to the library.
//!
//! It only ever errs on the side of another look: what cannot be watched is looked at anew each time, and what no watch
//! can see (another name of the same file, a mapped file, a parent that is moved) is seen by the look that comes
//! after `FLOOR` at the latest.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{
    inotify::{self, CreateFlags, WatchFlags},
    statfs,
};

/// A look at all files is believed for so long at most, however quiet it is.
const FLOOR: Duration = Duration::from_secs(2);

/// Kinds of file systems that only this kernel writes to, so that it hears of every edit (statfs(2)): ext4, xfs, btrfs,
/// tmpfs, f2fs, zfs, overlayfs, bcachefs.
const LOCAL: [i64; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0x794c_7630,
    0xca45_1a4e,
];

/// A watch over folders, from before they were looked at.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    /// Nothing where one of the folders cannot be watched.
    queue: Option<OwnedFd>,
    /// By device, whether its file system is watched at all.
    local: BTreeMap<u64, bool>,
}

impl Watch {
    pub(super) fn begin() -> Self {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        Self {
            begun: Instant::now(),
            queue: queue.ok(),
            local: BTreeMap::new(),
        }
    }

    /// Watches the entries of a folder, and the folder itself, from here on.
    pub(super) fn add(&mut self, folder: &Path, about: &Metadata) {
        let Some(queue) = &self.queue else {
            return;
        };
        let is_local = *self.local.entry(about.dev()).or_insert_with(|| {
            let kind = statfs(folder).map(|about| about.f_type);
            kind.is_ok_and(|kind| LOCAL.contains(&kind))
        });
        let edits = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        if !is_local || inotify::add_watch(queue, folder, edits).is_err() {
            self.queue = None;
        }
    }

    /// Something lies where no watch sees it: every answer is another look.
    pub(super) fn give_up(&mut self) {
        self.queue = None;
    }

    /// Whether what was looked at since this began is what is there now.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        // An event that is read is gone: whoever hears of one begins anew.
        let mut event = [0_u8; 4096];
        self.begun.elapsed() < FLOOR
            && rustix::io::read(queue, &mut event) == Err(rustix::io::Errno::WOULDBLOCK)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// A change is heard of at once, whatever it is; and until then nothing is.
    #[test]
    fn every_edit_is_heard_of_at_once_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("deep")).unwrap();
        fs::write(path.join("deep/a"), "a").unwrap();
        let edits: [(&str, &dyn Fn()); 9] = [
            ("edit", &|| fs::write(path.join("deep/a"), "b").unwrap()),
            ("append", &|| {
                use std::io::Write as _;
                let open = fs::OpenOptions::new()
                    .append(true)
                    .open(path.join("deep/a"));
                open.unwrap().write_all(b"c").unwrap();
            }),
            ("mode", &|| {
                let mode = fs::Permissions::from_mode(0o600);
                fs::set_permissions(path.join("deep/a"), mode).unwrap();
            }),
            ("mode of the folder", &|| {
                let mode = fs::Permissions::from_mode(0o700);
                fs::set_permissions(path.join("deep"), mode).unwrap();
            }),
            ("create", &|| fs::write(path.join("b"), "").unwrap()),
            ("rename", &|| {
                fs::rename(path.join("b"), path.join("deep/b")).unwrap();
            }),
            ("link", &|| {
                std::os::unix::fs::symlink("a", path.join("deep/c")).unwrap();
            }),
            ("remove", &|| fs::remove_file(path.join("deep/b")).unwrap()),
            ("remove a folder", &|| {
                fs::remove_dir_all(path.join("deep")).unwrap();
            }),
        ];
        for (name, edit) in edits {
            let mut watch = Watch::begin();
            for one in [path.to_owned(), path.join("deep")] {
                watch.add(&one, &fs::symlink_metadata(&one).unwrap());
            }
            // Looking is no edit.
            fs::read_dir(path.join("deep")).unwrap().count();
            fs::read(path.join("deep/a")).unwrap();
            assert!(watch.is_quiet(), "before: {name}");
            edit();
            assert!(!watch.is_quiet(), "after: {name}");
        }
    }

    #[test]
    fn what_cannot_be_watched_is_never_quiet() {
        let mut watch = Watch::begin();
        let proc = Path::new("/proc");
        watch.add(proc, &fs::symlink_metadata(proc).unwrap());
        assert!(!watch.is_quiet());
    }
}
