//! Reads the host's figures. Blocks; calling it from a thread that may wait is left to the worker.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chiffon_common::{DiskMetrics, ResourceMetrics};
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind,
    RefreshKind, System,
};

use crate::disks::{Mounted, worth_telling};

/// Disks change slowly, and looking at them wakes them up.
const DISKS_EVERY: Duration = Duration::from_secs(60);

/// Keeps what differences are counted from.
pub(crate) struct Host {
    system: System,
    disks: Disks,
    cpu_at: Instant,
    disks_at: Option<Instant>,
}

impl Host {
    /// Takes the first reading; processor use is counted from here. The error is for people.
    pub(crate) fn new() -> Result<Self, String> {
        let cpu = CpuRefreshKind::nothing().with_usage();
        let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(cpu))
            .map_err(|error| error.to_string())?;
        let disks = Disks::new().map_err(|error| error.to_string())?;
        Ok(Self {
            system,
            disks,
            cpu_at: Instant::now(),
            disks_at: None,
        })
    }

    /// The figures now.
    pub(crate) fn read(&mut self) -> ResourceMetrics {
        if self.cpu_at.elapsed() >= MINIMUM_CPU_UPDATE_INTERVAL {
            self.system.refresh_cpu_usage();
            self.cpu_at = Instant::now();
        }
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::everything());
        if self.disks_at.is_none_or(|at| at.elapsed() >= DISKS_EVERY) {
            let gone = true;
            self.disks
                .refresh_specifics(gone, DiskRefreshKind::nothing().with_storage());
            self.disks_at = Some(Instant::now());
        }
        let load =
            System::load_average().map_or([0.0; 3], |load| [load.one, load.five, load.fifteen]);
        ResourceMetrics {
            hostname: System::host_name().unwrap_or_default(),
            cpu_percent: f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0),
            cpu_cores: u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX),
            load,
            memory_total: self.system.total_memory(),
            memory_available: self.system.available_memory(),
            swap_total: self.system.total_swap(),
            swap_used: self.system.used_swap(),
            disks: worth_telling(self.disks.iter().map(mounted)),
        }
    }
}

/// What the host is: names and versions.
pub(crate) fn describe() -> BTreeMap<String, String> {
    let facts = [
        ("os", System::long_os_version()),
        ("kernel", System::kernel_version()),
        ("hostname", System::host_name()),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name.to_owned(), fact.ok()?)));
    known
        .chain([("arch".to_owned(), System::cpu_arch())])
        .collect()
}

fn mounted(disk: &sysinfo::Disk) -> Mounted {
    Mounted {
        device: disk.name().to_string_lossy().into_owned(),
        metrics: DiskMetrics {
            mount: disk.mount_point().to_string_lossy().into_owned(),
            filesystem: disk.file_system().to_string_lossy().into_owned(),
            total: disk.total_space(),
            available: disk.available_space(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// A field of /proc/meminfo in bytes.
    fn meminfo(field: &str) -> u64 {
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    #[test]
    fn figures_agree_with_the_kernels_own() {
        let mut host = Host::new().unwrap();
        let figures = host.read();
        assert_eq!(figures.memory_total, meminfo("MemTotal:"));
        assert_eq!(figures.swap_total, meminfo("SwapTotal:"));
        // Other tests and builds take and give memory meanwhile.
        let available = meminfo("MemAvailable:");
        assert!(figures.memory_available.abs_diff(available) < figures.memory_total / 4);
        let cores = fs::read_to_string("/proc/cpuinfo")
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        assert_eq!(figures.cpu_cores as usize, cores);
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(figures.hostname, hostname.trim());
        let load = fs::read_to_string("/proc/loadavg").unwrap();
        let one: f64 = load.split(' ').next().unwrap().parse().unwrap();
        assert!(
            (figures.load[0] - one).abs() < 1.5,
            "{:?} against {one}",
            figures.load
        );
    }

    #[test]
    fn the_root_has_the_size_that_df_tells() {
        let disks = Host::new().unwrap().read().disks;
        let Some(root) = disks.iter().find(|disk| disk.mount == "/") else {
            panic!("no root among {disks:?}");
        };
        let output = Command::new("df")
            .args(["-B1", "--output=size", "/"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let size: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        assert_eq!(root.total, size);
        assert!(root.available <= root.total);
    }

    #[test]
    fn a_busy_core_is_seen() {
        let mut host = Host::new().unwrap();
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < MINIMUM_CPU_UPDATE_INTERVAL * 2 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        std::hint::black_box(sum);
        let figures = host.read();
        // One core of n at work is 100/n per cent; half of that leaves room for what else goes on.
        let least = 50.0 / f64::from(figures.cpu_cores);
        assert!(
            figures.cpu_percent >= least,
            "{} per cent",
            figures.cpu_percent
        );
    }

    #[test]
    fn the_host_is_described() {
        let facts = describe();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(facts["kernel"], kernel.trim());
        assert!(
            facts.contains_key("os") && facts.contains_key("hostname"),
            "{facts:?}"
        );
    }
}
