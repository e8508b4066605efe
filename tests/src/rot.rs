//! Bits that rot in a git repository, wherever the object lies: as a file of its own, or in a pack.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Flips bits in the middle of an object, named as `git rev-parse` takes it; its id.
///
/// # Errors
/// Where there is no such object, or a file cannot be written.
pub fn rot(repository: &Path, object: &str) -> io::Result<String> {
    let id = git(repository, &["rev-parse", object])?.trim().to_owned();
    let loose = repository.join("objects").join(&id[..2]).join(&id[2..]);
    let (file, middle) = match loose.exists() {
        true => (loose.clone(), fs::metadata(&loose)?.len() / 2),
        false => packed(repository, &id)?,
    };
    let mut bytes = fs::read(&file)?;
    let at = usize::try_from(middle).unwrap_or(usize::MAX);
    for byte in bytes.iter_mut().skip(at).take(2) {
        *byte ^= 0x5a;
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    fs::write(&file, bytes)?;
    Ok(id)
}

/// The pack that holds an object, and the middle of its bytes there.
fn packed(repository: &Path, id: &str) -> io::Result<(PathBuf, u64)> {
    for entry in fs::read_dir(repository.join("objects/pack"))? {
        let index = entry?.path();
        if index.extension().is_none_or(|ending| ending != "idx") {
            continue;
        }
        // Id, kind, size, size in the pack, offset.
        let list = git(repository, &["verify-pack", "-v", &index.to_string_lossy()])?;
        let line = list.lines().find(|line| line.starts_with(id));
        let fields: Vec<u64> = line
            .into_iter()
            .flat_map(|line| line.split_whitespace().skip(2).take(3))
            .filter_map(|field| field.parse().ok())
            .collect();
        if let [_, length, offset] = fields[..] {
            return Ok((index.with_extension("pack"), offset + length / 2));
        }
    }
    Err(io::Error::other(format!("no pack holds {id}")))
}

fn git(repository: &Path, arguments: &[&str]) -> io::Result<String> {
    let done = super::git(repository, arguments);
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(io::Error::other(format!("git {arguments:?}: {done:?}"))),
    }
}
