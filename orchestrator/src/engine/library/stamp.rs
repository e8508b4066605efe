//! A digest over names, sizes and times of every file below some folders: it changes whenever one of them may have.
//! What is in the files is left to those who read them.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path};

use super::watch::Watch;

/// Notes all that lies here, a line a file, and has it watched from before it was noted.
pub(super) fn walk(path: &Path, watch: &mut Watch, lines: &mut Vec<String>) {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        // It would appear in a folder that nobody watches.
        watch.give_up();
        lines.push(format!("{} is not there", path.display()));
        return;
    };
    if about.is_dir() {
        folder(path, &about, watch, lines);
    } else {
        // Where it is a root of its own, as a link is, nobody watches the folder that it lies in.
        watch.give_up();
        lines.push(line(path, &about));
    }
}

fn folder(path: &Path, about: &Metadata, watch: &mut Watch, lines: &mut Vec<String>) {
    watch.add(path, about);
    // Once more: it may have changed before it was watched.
    let Ok(about) = std::fs::symlink_metadata(path) else {
        lines.push(format!("{} is not there", path.display()));
        return;
    };
    lines.push(line(path, &about));
    let Ok(entries) = std::fs::read_dir(path) else {
        return;
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    for name in names {
        match std::fs::symlink_metadata(&name) {
            Ok(about) if about.is_dir() => folder(&name, &about, watch, lines),
            Ok(about) => lines.push(line(&name, &about)),
            Err(_) => lines.push(format!("{} is not there", name.display())),
        }
    }
}

/// The change time cannot be set back by who edits the file; size and inode tell a quick second edit apart.
fn line(path: &Path, about: &Metadata) -> String {
    format!(
        "{} {} {} {} {}",
        path.display(),
        about.ino(),
        about.size(),
        about.ctime(),
        about.ctime_nsec()
    )
}
