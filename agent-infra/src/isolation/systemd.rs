//! A transient service of systemd with its sandbox. Its processes are the manager's children, not the
//! supervisor's: they are found by their mark, and what they leave behind ends with the service's control group
//! (systemd-run(1), systemd.exec(5), systemd.resource-control(5)).

use std::{path::PathBuf, process::Command};

use super::{Fence, Site, TRY, programs, text, trees::Trees, trees::own_home};
use crate::{ansible::Ansible, limits::Limits, processes::MARK, settings::PATH, tool};

/// The sandbox. The run's own folder is opened afterwards, by `BindPaths`.
const PROPERTIES: [&str; 18] = [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectProc=invisible",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
    "CapabilityBoundingSet=",
    "TemporaryFileSystem=/run/user:ro /dev/shm",
    "InaccessiblePaths=-/run/docker.sock -/run/podman -/run/containerd -/run/dbus -/run/systemd/private -/etc/shadow -/etc/gshadow -/etc/ssl/private",
    "KillMode=control-group",
    "TimeoutStopSec=2",
    "LimitCORE=0",
    "OOMScoreAdjust=500",
];

/// A manager that answers and makes services with this sandbox.
#[derive(Debug, Clone)]
pub(super) struct Systemd {
    pub(super) program: PathBuf,
    /// The manager of the agent's user, not the machine's.
    pub(super) of_user: bool,
    pub(super) trees: Trees,
    pub(super) readable: Vec<PathBuf>,
}

impl Systemd {
    /// Runs something in one. The error is a fragment.
    pub(super) fn attempt(ansible: Option<&Ansible>, readable: &[PathBuf]) -> Result<Self, String> {
        let found = programs("systemd-run");
        let found = Self {
            program: found
                .first()
                .ok_or("systemd-run is not installed")?
                .to_owned(),
            of_user: !rustix::process::geteuid().is_root(),
            trees: match ansible {
                Some(ansible) => Trees::of(ansible)?,
                None => Trees::default(),
            },
            readable: readable.to_owned(),
        };
        let mut words = found.service();
        words.extend(found.shown([].iter()));
        words.extend(["--".to_owned()]);
        match ansible {
            Some(_) => words.extend([text(&found.trees.python), "-c".into(), "import ssl".into()]),
            None => words.push("/bin/true".to_owned()),
        }
        let (program, arguments) = words.split_first().ok_or("nothing to run")?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH);
        let output = tool::output_within(&mut command, TRY)
            .map_err(|error| format!("systemd-run cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(found),
            false => Err(format!(
                "systemd makes no service here ({})",
                tool::complaint(&output)
            )),
        }
    }

    pub(super) fn words(&self) -> String {
        "sandboxed as a service of systemd (system read-only, home hidden, no new privileges)"
            .to_owned()
    }

    pub(super) fn fence(&self, site: &Site<'_>, limits: &Limits) -> Fence {
        let mut command = self.service();
        let files = site.needs.files.iter().chain(&site.needs.ssh_agent);
        command.extend(self.shown(files));
        let folder = site.folder;
        command.extend(property(format!(
            "BindReadOnlyPaths={}",
            text(folder.path())
        )));
        for own in [folder.home(), folder.temporary(), site.control.clone()] {
            command.extend(property(format!("BindPaths={}", text(own))));
        }
        let bounds = [
            (
                limits.memory_mib,
                format!("MemoryMax={}M", limits.memory_mib),
            ),
            (limits.processes, format!("TasksMax={}", limits.processes)),
            (limits.file_mib, format!("LimitFSIZE={}M", limits.file_mib)),
            (
                limits.open_files,
                format!("LimitNOFILE={}", limits.open_files),
            ),
            (limits.nice.into(), format!("Nice={}", limits.nice)),
        ];
        for (_, bound) in bounds.into_iter().filter(|(limit, _)| *limit > 0) {
            command.extend(property(bound));
        }
        // Names alone: systemd-run takes the values from its own environment, so none stands on a command line.
        let names = site.environment.keys().map(String::as_str).chain([MARK]);
        command.extend(names.map(|name| format!("--setenv={name}")));
        command.push(format!("--working-directory={}", text(folder.bundle())));
        command.push("--".to_owned());
        Fence {
            command,
            detached: true,
            words: self.words(),
        }
    }

    fn service(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.of_user {
            // The supervisor has no environment of its own, and the manager is found by this.
            let uid = rustix::process::getuid().as_raw();
            words.extend([
                "/usr/bin/env".to_owned(),
                format!("XDG_RUNTIME_DIR=/run/user/{uid}"),
            ]);
        }
        words.push(text(&self.program));
        if self.of_user {
            words.push("--user".to_owned());
            // Without root a mount namespace needs a user namespace.
            words.extend(property("PrivateUsers=yes".to_owned()));
        }
        words.extend(
            [
                "--quiet",
                "--pipe",
                "--wait",
                "--collect",
                "--service-type=exec",
            ]
            .map(str::to_owned),
        );
        words.extend(
            PROPERTIES
                .iter()
                .flat_map(|one| property((*one).to_owned())),
        );
        // Ansible may lie below a home, which is hidden; so may another home than the usual places.
        if let Some(home) = own_home().filter(|home| {
            !["/home", "/root"]
                .iter()
                .any(|usual| home.starts_with(usual))
        }) {
            words.extend(property(format!("TemporaryFileSystem={}:ro", text(home))));
        }
        words
    }

    fn shown<'a>(&'a self, files: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
        let all = self.trees.paths.iter().chain(&self.readable).chain(files);
        all.flat_map(|path| property(format!("BindReadOnlyPaths=-{}", text(path))))
            .collect()
    }
}

fn property(value: String) -> [String; 1] {
    [format!("--property={value}")]
}
