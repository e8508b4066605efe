//! The cache of bundles on the disk, by digest: written atomically, verified when read, bounded. Runs
//! on blocking threads. Who needs which bundle is left to the core.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use chiffon_common::{Bundle, Digest};

/// Most bytes kept.
pub(crate) const MAX_CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// A folder of bundles.
#[derive(Debug, Clone)]
pub(crate) struct BundleCache {
    folder: PathBuf,
    most: u64,
}

impl BundleCache {
    /// Makes the folder if it is missing, and removes what a crash left half written.
    pub(crate) fn open(folder: PathBuf, most: u64) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(&path)?;
            }
        }
        Ok(Self { folder, most })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// Whether it is there; if so, it counts as used now.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        let Ok(file) = File::options().write(true).open(self.path(digest)) else {
            return false;
        };
        // Only the order of eviction suffers if this fails.
        let _ = file.set_modified(SystemTime::now());
        true
    }

    /// Reads it and holds it against its digest; one that is damaged is removed.
    pub(crate) fn load(&self, digest: Digest) -> Option<Bundle> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        match Bundle::from_bytes(&bytes, digest) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                tracing::warn!(digest = %digest, "a cached bundle is damaged and was removed: {error}");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps bytes that were verified against the digest; older bundles go where room is needed.
    pub(crate) fn store(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        self.make_room(bytes.len() as u64)?;
        let path = self.path(digest);
        let temporary = path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        chiffon_failpoint::hit!("agent.bundle.before", full => return Err(full));
        fs::rename(&temporary, &path)?;
        chiffon_failpoint::hit!("agent.bundle.after");
        Ok(())
    }

    fn make_room(&self, needed: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let data = entry.metadata()?;
            files.push((data.modified()?, data.len(), entry.path()));
        }
        files.sort();
        let mut held: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if held + needed <= self.most {
                break;
            }
            remove(&path)?;
            held -= len;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chiffon_common::BundleFile;

    use super::*;

    fn bundle(content: &str) -> Bundle {
        let mut bundle = Bundle::default();
        let file = BundleFile {
            executable: false,
            content: content.as_bytes().to_vec(),
        };
        bundle.insert("site.yml", file).unwrap();
        bundle
    }

    #[test]
    fn what_is_read_is_what_was_kept_or_nothing() {
        let home = tempfile::tempdir().unwrap();
        let cache = BundleCache::open(home.path().join("bundles"), 1 << 20).unwrap();
        let kept = bundle("a");
        assert!(!cache.has(kept.digest()));
        cache
            .store(kept.digest(), &kept.to_bytes().unwrap())
            .unwrap();
        assert!(cache.has(kept.digest()));
        assert_eq!(cache.load(kept.digest()), Some(kept.clone()));
        fs::write(cache.path(kept.digest()), bundle("b").to_bytes().unwrap()).unwrap();
        assert_eq!(cache.load(kept.digest()), None);
        assert!(!cache.has(kept.digest()), "a damaged one is removed");
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let home = tempfile::tempdir().unwrap();
        let bundles: Vec<Bundle> = ["a", "b", "c"].map(bundle).into();
        let len = bundles[0].to_bytes().unwrap().len() as u64;
        let cache = BundleCache::open(home.path().join("bundles"), len * 2).unwrap();
        for (at, one) in bundles.iter().take(2).enumerate() {
            cache.store(one.digest(), &one.to_bytes().unwrap()).unwrap();
            let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at as u64);
            File::options()
                .write(true)
                .open(cache.path(one.digest()))
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
        assert!(cache.has(bundles[0].digest()), "used just now");
        cache
            .store(bundles[2].digest(), &bundles[2].to_bytes().unwrap())
            .unwrap();
        assert!(cache.has(bundles[0].digest()));
        assert!(!cache.has(bundles[1].digest()));
        assert!(cache.has(bundles[2].digest()));
    }
}
