//! Proves that the fixtures themselves do what the suites rely on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chiffon_tests::{Chiffon, Home, Sshd, children_of, processes_with_env, wait_for};

const SOON: Duration = Duration::from_secs(10);

/// A server, and a client that trusts the key it has now.
struct Remote {
    sshd: Sshd,
    home: Home,
}

impl Remote {
    fn start(what: &str) -> Option<Self> {
        let remote = Self {
            sshd: Sshd::start_or_report(what)?,
            home: Home::new(),
        };
        remote.sshd.write_known_hosts(&remote.known_hosts());
        Some(remote)
    }

    fn known_hosts(&self) -> PathBuf {
        self.home.scratch().join("known_hosts")
    }

    /// Runs a command there: the exit code, and both streams as one text.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let output = self
            .sshd
            .ssh(&self.known_hosts())
            .arg(command)
            .output()
            .expect("ssh runs");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

#[test]
fn a_real_ssh_client_runs_a_command_on_the_private_server() {
    let Some(remote) = Remote::start("ssh to the private server") else {
        return;
    };
    let (code, said) = remote.run("echo over there; exit 7");
    assert_eq!(
        (code, said.trim()),
        (Some(7), "over there"),
        "{}",
        remote.sshd.log()
    );
}

#[test]
fn a_changed_host_key_is_refused_by_the_client() {
    let Some(mut remote) = Remote::start("a changed host key") else {
        return;
    };
    let (port, key) = (remote.sshd.port(), remote.sshd.host_key_line());
    remote.sshd.restart_with_new_host_key();
    assert_eq!(remote.sshd.port(), port);
    assert_ne!(remote.sshd.host_key_line(), key);

    let (code, said) = remote.run("true");
    assert_eq!(code, Some(255), "{said}");
    assert!(said.contains("HOST IDENTIFICATION HAS CHANGED"), "{said}");

    remote.sshd.write_known_hosts(&remote.known_hosts());
    assert_eq!(remote.run("true").0, Some(0));
}

#[test]
fn a_client_with_another_key_is_not_let_in() {
    let Some(remote) = Remote::start("a strange client key") else {
        return;
    };
    let Some(stranger) = Remote::start("a strange client key") else {
        return;
    };
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
    ])
    .args(["-o", "IdentityAgent=none", "-o"])
    .arg(format!(
        "UserKnownHostsFile={}",
        remote.known_hosts().display()
    ))
    .args(["-p", &remote.sshd.port().to_string(), "-i"])
    .arg(stranger.sshd.client_key_path())
    .args(["-l", remote.sshd.user(), "127.0.0.1", "true"]);
    let refused = ssh.output().expect("ssh runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn stopping_the_server_ends_its_sessions_and_a_restart_keeps_port_and_key() {
    let Some(mut remote) = Remote::start("a server that goes away") else {
        return;
    };
    let mut ssh = remote.sshd.ssh(&remote.known_hosts());
    let mut session = ssh.arg("sleep 60").spawn().expect("ssh runs");
    let log = || remote.sshd.log().contains("Starting session").then_some(());
    wait_for("the session to start", SOON, log);

    let key = remote.sshd.host_key_line();
    remote.sshd.stop();
    let ended = || session.try_wait().expect("a child can be waited for");
    assert_eq!(
        wait_for("the session to end", SOON, ended).code(),
        Some(255)
    );
    assert_eq!(remote.run("true").0, Some(255));

    remote.sshd.restart();
    assert_eq!(remote.sshd.host_key_line(), key);
    assert_eq!(remote.run("true").0, Some(0));
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_folder() {
    let Some(remote) = Remote::start("a dropped server") else {
        return;
    };
    let folder = remote
        .sshd
        .client_key_path()
        .parent()
        .map(Path::to_owned)
        .expect("a folder");
    let of_this_server = || {
        let needle = folder.display().to_string();
        let children = children_of(std::process::id());
        children
            .into_iter()
            .filter(|child| child.command_line.contains(&needle))
            .count()
    };
    assert_eq!(of_this_server(), 1);
    drop(remote);
    assert_eq!(of_this_server(), 0);
    assert!(!folder.exists());
}

#[test]
fn a_process_is_found_by_its_environment_until_it_ends() {
    let home = Home::new();
    let value = home.path().display().to_string();
    let find = || processes_with_env("CHIFFON_TEST_MARK", &value);
    assert_eq!(find(), []);

    let mut sleep = Command::new("sleep");
    let mut child = sleep
        .arg("60")
        .env("CHIFFON_TEST_MARK", &value)
        .spawn()
        .expect("sleep runs");
    let found = wait_for("sleep to be seen", SOON, || find().pop());
    assert_eq!(
        (found.pid, found.command_line.as_str()),
        (child.id(), "sleep 60")
    );

    child.kill().expect("killed");
    child.wait().expect("waited for");
    assert_eq!(find(), []);
}

#[test]
fn a_home_is_private_and_removed_when_dropped() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let path = home.path();
    assert!(!path.exists());
    home.write_inventory("hosts.yml", "all: {}\n");
    home.write_config("{}\n");
    assert_eq!(
        home.read("inventory/hosts.yml").expect("written"),
        "all: {}\n"
    );
    let mode = path.metadata().expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(home);
    assert!(!path.exists());
}

#[test]
#[should_panic(expected = "in vain for a sign")]
fn a_wait_in_vain_says_what_it_waited_for() {
    wait_for("a sign", Duration::from_millis(1), || None::<()>);
}

#[test]
fn the_program_under_test_answers_without_touching_a_data_folder() {
    let home = Home::new();
    let version = Chiffon::new(&home).run(&["--version"]).expect_code(0);
    assert!(version.stdout.starts_with("chiffon "), "{version:?}");
    assert!(!home.path().exists());
}
