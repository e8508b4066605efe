//! Which of the mounted filesystems are worth telling. Reading their figures is left to `host`.

use std::collections::BTreeMap;

use chiffon_common::DiskMetrics;

/// A filesystem as the system lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mounted {
    pub(crate) device: String,
    pub(crate) metrics: DiskMetrics,
}

/// Filesystems that hold nothing of their own, beyond those that the library leaves out already.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "configfs",
    "debugfs",
    "efivarfs",
    "fusectl",
    "nsfs",
    "ramfs",
    "securityfs",
    "squashfs",
    "tmpfs",
    "tracefs",
];

/// One entry for each device, at its shortest mount, in the order of the mounts.
pub(crate) fn worth_telling(mounted: impl IntoIterator<Item = Mounted>) -> Vec<DiskMetrics> {
    let mut by_device: BTreeMap<String, DiskMetrics> = BTreeMap::new();
    for Mounted { device, metrics } in mounted.into_iter().filter(is_real) {
        let is_nearer = |known: &DiskMetrics| {
            (metrics.mount.len(), &metrics.mount) < (known.mount.len(), &known.mount)
        };
        if by_device.get(&device).is_none_or(is_nearer) {
            by_device.insert(device, metrics);
        }
    }
    let mut disks: Vec<DiskMetrics> = by_device.into_values().collect();
    disks.sort_by(|a, b| a.mount.cmp(&b.mount));
    disks
}

fn is_real(mounted: &Mounted) -> bool {
    let kind = mounted.metrics.filesystem.as_str();
    // A container's layers are another filesystem's space; its root is all that it sees of it.
    let is_layer = kind == "overlay" && mounted.metrics.mount != "/";
    let is_program = kind.starts_with("fuse.") && !mounted.device.starts_with("/dev/");
    mounted.metrics.total > 0 && !PSEUDO.contains(&kind) && !is_layer && !is_program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(device: &str, mount: &str, filesystem: &str, total: u64) -> Mounted {
        let metrics = DiskMetrics {
            mount: mount.to_owned(),
            filesystem: filesystem.to_owned(),
            total,
            available: total / 2,
        };
        Mounted {
            device: device.to_owned(),
            metrics,
        }
    }

    #[test]
    fn each_device_is_told_once_and_what_is_no_disk_never() {
        let told = worth_telling([
            mounted("/dev/sda2", "/var/lib/snap", "btrfs", 100),
            mounted("/dev/sda2", "/", "btrfs", 100),
            mounted("/dev/sda1", "/boot/efi", "vfat", 5),
            mounted("tmpfs", "/tmp", "tmpfs", 9),
            mounted("overlay", "/var/lib/docker/overlay2/x", "overlay", 100),
            mounted("gvfsd-fuse", "/media/gvfs", "fuse.gvfsd-fuse", 1),
            mounted("/dev/loop3", "/snap/x", "squashfs", 1),
            mounted("/dev/sdb1", "/mnt/empty", "ext4", 0),
        ]);
        let mounts: Vec<&str> = told.iter().map(|disk| disk.mount.as_str()).collect();
        assert_eq!(mounts, ["/", "/boot/efi"]);
    }

    #[test]
    fn a_container_sees_its_root() {
        assert_eq!(
            worth_telling([mounted("overlay", "/", "overlay", 7)]).len(),
            1
        );
    }
}
