//! On what the data folder lies. The database's log needs memory and locks that all its users share, which a network file
//! system does not give: two machines would damage it without a word (R10; sqlite.org/wal.html). What cannot be told by the
//! kernel's number, as what is behind FUSE, is left to whoever mounts it.

use std::path::Path;

use chiffon_common::Problem;

use super::unusable;

/// By the numbers of the kernel (`statfs(2)`, `linux/magic.h`).
const NETWORK: [(u32, &str); 10] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x1983_0326, "BeeGFS"),
    (0x564c, "NCP"),
];

/// Refuses a folder on a network file system, also one that is not made yet.
///
/// # Errors
/// 5803.
pub(super) fn is_local(folder: &Path) -> Result<(), Problem> {
    // Where nobody can say, the database will.
    let Some(kind) = folder.ancestors().find_map(kind_of) else {
        return Ok(());
    };
    refuse(folder, kind)
}

fn refuse(folder: &Path, kind: u32) -> Result<(), Problem> {
    let known = NETWORK.iter().find(|(number, _)| *number == kind);
    let Some((_, name)) = known else {
        return Ok(());
    };
    Err(unusable(
        format!(
            "The data folder {} is on a network file system ({name}), where the database could be damaged without notice.",
            folder.display()
        ),
        "Set CHIFFON_HOME to a folder on a disk of this machine.",
    ))
}

#[cfg(target_os = "linux")]
fn kind_of(path: &Path) -> Option<u32> {
    let found = rustix::fs::statfs(path).ok()?;
    // The number has 32 bits, in a field of another width or sign on some machines.
    Some((found.f_type as u64 & 0xffff_ffff) as u32)
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_refused_by_its_name_and_a_disk_is_not() {
        let folder = Path::new("/srv/home/.chiffon");
        for (number, name) in NETWORK {
            let problem = refuse(folder, number).unwrap_err();
            assert_eq!(problem.code.number(), 5803);
            let says = |words: &str| problem.detail.contains(words);
            assert!(says(name) && says("/srv/home/.chiffon"), "{problem:?}");
            assert!(problem.todo.contains("CHIFFON_HOME"), "{problem:?}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlay.
        for disk in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            refuse(folder, disk).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_is_not_made_yet_is_judged_by_the_folder_above() {
        let proc = Path::new("/proc/self/nothing/is/here");
        // `PROC_SUPER_MAGIC`.
        assert_eq!(proc.ancestors().find_map(kind_of), Some(0x9fa0));
    }
}
