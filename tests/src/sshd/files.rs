//! The keys and the configuration of the private SSH server.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Its folder, removed when dropped, and the user who may log in.
pub(super) struct Files {
    folder: TempDir,
    pub(super) user: String,
}

impl Files {
    /// Makes both key pairs and the list of keys that may log in.
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("chiffon-sshd-").tempdir();
        let files = Self {
            folder: folder.expect("a temporary folder"),
            user: current_user(),
        };
        make_key(&files.client_key());
        files.make_host_key();
        fs::copy(public(&files.client_key()), files.path("authorized_keys")).expect("copied");
        files
    }

    /// Makes a host key, in place of the one that may be there.
    pub(super) fn make_host_key(&self) {
        make_key(&self.path("host_key"));
    }

    /// The public host key: type and key, without the comment.
    pub(super) fn host_key(&self) -> String {
        let line = fs::read_to_string(public(&self.path("host_key"))).expect("a public key");
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(super) fn client_key(&self) -> PathBuf {
        self.path("client_key")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path("sshd_config")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path("sshd.log")
    }

    /// An empty log for the next start.
    pub(super) fn create_log(&self) -> File {
        File::create(self.log()).expect("the log can be made")
    }

    /// Writes the configuration for that port.
    pub(super) fn write_config(&self, port: u16) {
        if rustix::process::geteuid().is_root() {
            make_privilege_separation_folder();
        }
        let folder = self.folder.path().display();
        let pam = if is_locked(&self.user) { "yes" } else { "no" };
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\n\
             HostKey {folder}/host_key\n\
             AuthorizedKeysFile {folder}/authorized_keys\n\
             PidFile none\n\
             StrictModes no\n\
             UsePAM {pam}\n\
             PermitRootLogin prohibit-password\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             UseDNS no\n\
             PrintMotd no\n\
             LogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\n\
             # The default drops connections at random from the tenth unauthenticated one on.\n\
             MaxStartups 200\n\
             MaxSessions 100\n"
        );
        fs::write(self.config(), &text).expect("the configuration can be written");
        // From 9.8 on a refused login slows the next ones down; older servers do not know the word.
        let with_penalties_off = text + "PerSourcePenalties no\n";
        let candidate = self.path("sshd_config.candidate");
        fs::write(&candidate, with_penalties_off).expect("the configuration can be written");
        if accepts(&candidate) {
            fs::rename(candidate, self.config()).expect("renamed");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn public(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

fn make_key(path: &Path) {
    for old in [path.to_owned(), public(path)] {
        // There is none the first time; ssh-keygen would ask before it overwrites one.
        let _absent = fs::remove_file(old);
    }
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "chiffon-tests", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen runs");
    assert!(
        made.status.success(),
        "ssh-keygen: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn accepts(config: &Path) -> bool {
    let tested = Command::new(super::PROGRAM)
        .arg("-t")
        .arg("-f")
        .arg(config)
        .output();
    tested.expect("sshd can be executed").status.success()
}

fn current_user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    let name = String::from_utf8(output.stdout).expect("user names are UTF-8");
    name.trim().to_owned()
}

/// A server run by root refuses an account with a locked password, unless PAM is asked. Others
/// cannot read the file and need not: their server does not look.
fn is_locked(user: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let mut accounts = shadow.lines().filter_map(|line| line.split_once(':'));
    accounts.any(|(name, rest)| name == user && rest.starts_with('!'))
}

/// A server run by root refuses to start without it; a service unit would make it.
fn make_privilege_separation_folder() {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create("/run/sshd");
    made.expect("/run/sshd can be made");
}
