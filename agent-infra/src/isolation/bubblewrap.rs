//! Namespaces through bubblewrap: nothing of the machine is there but what is named here. Not a copy of the root
//! with holes in it, because what one forgets would then be open.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_common::Problem;

use super::{Fence, Site, TRY, programs, text, trees::Trees};
use crate::{ansible::Ansible, settings::PATH, tool};

/// Programs and libraries. Where one is a link (`/bin` to `usr/bin`) it is a link inside, too.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// Of `/etc`: names of users and hosts, certificates, time and language. No secret lies there.
const ETC: [&str; 36] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/python3",
    "/etc/python3.11",
    "/etc/python3.12",
    "/etc/python3.13",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// Who answers for names of hosts and users where a file does not.
const NAMES: [&str; 4] = [
    "/run/systemd/resolve",
    "/run/avahi-daemon/socket",
    "/run/nscd/socket",
    "/var/lib/sss/pipes/nss",
];

/// Imports what a run imports, and sees that nothing can be written and no other process is there.
const PROBE: &str = "\
import os, sys
sys.path.insert(0, sys.argv[1])
import ansible.release, jinja2, yaml, ssl, multiprocessing
multiprocessing.Lock()
try:
    open('/usr/chiffon-probe', 'w')
    sys.exit('the system can be written')
except OSError:
    pass
if os.getppid() != 1:
    sys.exit('it has no process namespace of its own')
";

/// A bubblewrap that works here.
#[derive(Debug, Clone)]
pub(super) struct Bubblewrap {
    program: PathBuf,
    version: String,
    trees: Trees,
    readable: Vec<PathBuf>,
}

impl Bubblewrap {
    /// Finds one and runs Ansible's Python in it. The error is a fragment.
    pub(super) fn attempt(ansible: Option<&Ansible>, readable: &[PathBuf]) -> Result<Self, String> {
        let trees = match ansible {
            Some(ansible) => Trees::of(ansible)?,
            None => Trees::default(),
        };
        Self::with(trees, readable, ansible.is_some())
    }

    /// Finds one, for another program than Ansible. The error is a fragment.
    pub(super) fn around(program: &Path) -> Result<Self, String> {
        Self::with(Trees::around(program)?, &[], false)
    }

    fn with(trees: Trees, readable: &[PathBuf], with_ansible: bool) -> Result<Self, String> {
        let found = programs("bwrap");
        let program = found.first().ok_or("bubblewrap is not installed")?;
        let mut ask = Command::new(program);
        let asked = tool::output_within(ask.arg("--version"), TRY)
            .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        let said = String::from_utf8_lossy(&asked.stdout);
        let found = Self {
            program: program.clone(),
            version: said
                .split_whitespace()
                .last()
                .unwrap_or_default()
                .to_owned(),
            trees,
            readable: readable.to_owned(),
        };
        found.works(with_ansible)?;
        Ok(found)
    }

    fn works(&self, with_ansible: bool) -> Result<(), String> {
        let mut arguments = self.namespaces();
        arguments.extend(["--remount-ro".to_owned(), "/".to_owned(), "--".to_owned()]);
        match with_ansible {
            true => arguments.extend([
                text(&self.trees.python),
                "-I".to_owned(),
                "-c".to_owned(),
                PROBE.to_owned(),
                text(&self.trees.modules),
            ]),
            false => arguments.push("/bin/true".to_owned()),
        }
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir("/");
        let output = tool::output_within(&mut command, TRY)
            .map_err(|error| format!("bubblewrap cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "bubblewrap does not work here ({})",
                tool::complaint(&output)
            )),
        }
    }

    pub(super) fn words(&self) -> String {
        format!(
            "sandboxed with bubblewrap {} (system read-only, home hidden, own processes, no new privileges)",
            self.version
        )
    }

    pub(super) fn fence(&self, site: &Site<'_>) -> Result<Fence, Problem> {
        site.needs.check()?;
        let mut command = vec![text(&self.program)];
        command.extend(self.namespaces());
        let mut bind = |how: &str, path: &Path| {
            command.extend([how.to_owned(), text(path), text(path)]);
        };
        for file in &site.needs.files {
            bind("--ro-bind", file);
        }
        if let Some(socket) = &site.needs.ssh_agent {
            bind("--ro-bind", socket);
        }
        let folder = site.folder;
        bind("--ro-bind", folder.path());
        for own in [folder.home(), folder.temporary(), site.control.clone()] {
            bind("--bind", &own);
        }
        let rest = ["--remount-ro", "/", "--chdir", &text(folder.bundle()), "--"];
        command.extend(rest.map(str::to_owned));
        Ok(Fence {
            command,
            detached: false,
            words: self.words(),
        })
    }

    /// A program without network that can write below one folder; the error is a fragment.
    pub(super) fn alone(
        &self,
        program: &Path,
        writable: &Path,
        at: &Path,
    ) -> Result<Command, String> {
        let whole = [program, writable, at]
            .iter()
            .all(|path| path.to_str().is_some());
        if !whole {
            return Err("the path of a file is no text".to_owned());
        }
        let mut command = Command::new(&self.program);
        command.args(self.namespaces()).arg("--unshare-net");
        command.arg("--bind").arg(writable).arg(writable);
        command.args(["--remount-ro", "/", "--chdir"]).arg(at);
        command.arg("--").arg(program);
        Ok(command)
    }

    /// Everything that does not depend on the run. Without root's capabilities also where root starts it; with a
    /// process namespace, whose first process takes all others with it when it is killed.
    fn namespaces(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--unshare-user-try",
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
        ]
        .map(str::to_owned)
        .into();
        for path in SYSTEM {
            match fs::read_link(path) {
                Ok(target) => {
                    arguments.extend(["--symlink".to_owned(), text(target), path.to_owned()]);
                }
                Err(_) => try_bind(&mut arguments, Path::new(path)),
            }
        }
        for path in ETC.iter().chain(&NAMES) {
            try_bind(&mut arguments, Path::new(path));
        }
        for made in [
            ["--dev", "/dev"],
            ["--proc", "/proc"],
            ["--tmpfs", "/tmp"],
            ["--tmpfs", "/var/tmp"],
        ] {
            arguments.extend(made.map(str::to_owned));
        }
        for path in self.trees.paths.iter().chain(&self.readable) {
            try_bind(&mut arguments, path);
        }
        arguments
    }
}

/// Read-only; what is not there is not there inside.
fn try_bind(arguments: &mut Vec<String>, path: &Path) {
    arguments.extend(["--ro-bind-try".to_owned(), text(path), text(path)]);
}
