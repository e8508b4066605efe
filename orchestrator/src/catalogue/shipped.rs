//! The catalogue that comes with the program, and its copy on the disk for people to read.

use std::{fs, io, path::Path};

use chiffon_common::Digest;
use include_dir::{Dir, include_dir};

use super::tree::MAX_FILE_BYTES;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../playbooks");

/// Writes the shipped catalogue to this folder. A copy that is complete and unchanged stays as it is; an
/// older or modified one is replaced as a whole. One process at a time may do this to a folder.
///
/// # Errors
/// Where the folder or the one above it cannot be written.
pub fn extract_shipped(to: &Path) -> io::Result<()> {
    if digest_of_folder(to).is_some_and(|found| found == digest_of_shipped()) {
        return Ok(());
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let fresh = to.with_file_name(format!(".{name}.new"));
    let old = to.with_file_name(format!(".{name}.old"));
    remove(&fresh)?;
    remove(&old)?;
    for (path, content) in shipped_files() {
        let path = fresh.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
    }
    match fs::rename(to, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(&fresh, to)?,
    }
    remove(&old)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Path and bytes, in the order of the paths.
fn shipped_files() -> Vec<(&'static Path, &'static [u8])> {
    let mut files = Vec::new();
    let mut folders = vec![&SHIPPED];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        files.extend(folder.files().map(|file| (file.path(), file.contents())));
    }
    files.sort_unstable_by_key(|(path, _)| *path);
    files
}

fn digest_of_shipped() -> Digest {
    let files = shipped_files();
    Digest::of_parts(
        files
            .iter()
            .flat_map(|(path, content)| [path.as_os_str().as_encoded_bytes(), *content]),
    )
}

/// The digest of a copy, or nothing where it can be no faithful one.
fn digest_of_folder(folder: &Path) -> Option<Digest> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).ok()? {
            let path = entry.ok()?.path();
            let meta = fs::symlink_metadata(&path).ok()?;
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() && meta.len() <= MAX_FILE_BYTES {
                let content = fs::read(&path).ok()?;
                files.push((path.strip_prefix(folder).ok()?.to_owned(), content));
            } else {
                return None;
            }
        }
    }
    files.sort_unstable();
    Some(Digest::of_parts(files.iter().flat_map(
        |(path, content)| [path.as_os_str().as_encoded_bytes(), content.as_slice()],
    )))
}
