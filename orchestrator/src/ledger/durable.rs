//! What survives a loss of power. gix syncs nothing (`core.fsync` is not read): here an object has its name
//! only when its content is on disk, and `main` moves only when every object it reaches is.
//!
//! First all contents are written, then all are synced: a journalling file system commits them together, so that
//! the first sync carries the others.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use gix::{
    ObjectId,
    objs::Kind,
    zlib::{Compression, stream::deflate},
};

/// Writes these objects as loose ones below `objects`, which must be there.
pub(super) fn write_loose(
    objects: &Path,
    made: &[(ObjectId, Kind, Vec<u8>)],
) -> Result<(), io::Error> {
    let mut unfinished = Vec::with_capacity(made.len());
    let written = write_contents(objects, made, &mut unfinished).and_then(|()| {
        chiffon_failpoint::hit!("ledger.names.before");
        name(objects, made)
    });
    if written.is_err() {
        // What is left of a failure has no name that git reads; on a full disk it would only be in the way.
        for path in unfinished {
            let _gone_already = fs::remove_file(path);
        }
    }
    written
}

fn write_contents(
    objects: &Path,
    made: &[(ObjectId, Kind, Vec<u8>)],
    unfinished: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let mut files = Vec::with_capacity(made.len());
    for (id, kind, data) in made {
        let mut deflate = deflate::Write::new(Vec::new(), Compression::BEST_SPEED);
        deflate.write_all(&gix::objs::encode::loose_header(*kind, data.len() as u64))?;
        deflate.write_all(data)?;
        deflate.flush()?;
        let path = unfinished_path(objects, *id);
        let mut file = create(&path)?;
        unfinished.push(path);
        file.write_all(&deflate.into_inner())?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        files.push(file);
    }
    files.iter().try_for_each(File::sync_all)
}

/// Overwrites what a crash left under this name, which may be read-only.
pub(super) fn create(path: &Path) -> io::Result<File> {
    match File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::remove_file(path)?;
            File::create(path)
        }
        other => other,
    }
}

/// `git prune` knows this name as one that a crash left.
pub(super) fn unfinished_path(objects: &Path, id: ObjectId) -> PathBuf {
    objects.join(format!("tmp_obj_{id}"))
}

fn name(objects: &Path, made: &[(ObjectId, Kind, Vec<u8>)]) -> io::Result<()> {
    let mut folders = BTreeSet::from([objects.to_owned()]);
    for (id, ..) in made {
        let hex = id.to_string();
        let (shard, rest) = hex.split_at(2);
        let folder = objects.join(shard);
        if !folders.contains(&folder) {
            make_folder(&folder)?;
        }
        fs::rename(unfinished_path(objects, *id), folder.join(rest))?;
        folders.insert(folder);
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder safe.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a file and its name safe.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes everything in a small folder safe, and the folder's own name.
pub(super) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => sync_tree(&entry.path())?,
            kind if kind.is_file() => File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    sync_folder(folder)?;
    match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}
