//! A real, private SSH server on a loopback port, for runs on "another machine".
//!
//! Everything it needs lies in a temporary folder of its own; the system's SSH service, if there is
//! one, is neither used nor touched. How its files look is left to `files`.

mod files;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{Process, children_of, name_of, signal};
use crate::report::not_run;
use crate::wait::poll;
use files::Files;
use rustix::process::Signal;

/// Where Debian and Ubuntu put it. It insists on being started by an absolute path.
const PROGRAM: &str = "/usr/sbin/sshd";

/// How long a start may take on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// A free port may be taken by somebody else before the server has it.
const STARTS: usize = 5;

/// A running server. Dropping it ends the listener and every session.
pub struct Sshd {
    files: Files,
    port: u16,
    /// None while stopped.
    listener: Option<Child>,
}

impl Sshd {
    /// Starts a server with a fresh host key, which lets the current user in with a fresh client key.
    ///
    /// # Panics
    /// When there is no sshd, or it does not get ready; the message holds its log.
    pub fn start() -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing; scripts/test installs it"
        );
        let mut server = Self {
            files: Files::new(),
            port: 0,
            listener: None,
        };
        for _ in 0..STARTS {
            server.port = free_port();
            if server.listen() {
                return server;
            }
        }
        panic!("sshd does not start:\n{}", server.log());
    }

    /// The same, or `None` where no sshd is installed: then `what` is reported as not run.
    pub fn start_or_report(what: &str) -> Option<Self> {
        if Path::new(PROGRAM).exists() {
            return Some(Self::start());
        }
        not_run(what, &format!("{PROGRAM} is missing"));
        None
    }

    /// The loopback port (IPv4, 127.0.0.1) it listens on; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user that may log in: the one who runs the tests.
    pub fn user(&self) -> &str {
        &self.files.user
    }

    /// The private key that opens the door (ed25519, OpenSSH format, no passphrase).
    pub fn client_key_path(&self) -> PathBuf {
        self.files.client_key()
    }

    /// The current host key as a line of a `known_hosts` file: `[127.0.0.1]:port ssh-ed25519 AAAA...`.
    pub fn host_key_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.files.host_key())
    }

    /// A `known_hosts` file with the host key as it is now; a later change of the key does not reach it.
    pub fn write_known_hosts(&self, path: &Path) {
        std::fs::write(path, self.host_key_line() + "\n").expect("known_hosts can be written");
    }

    /// The real `ssh` client, ready to run a command, trusting exactly the keys in `known_hosts`
    /// and reading no configuration of this machine.
    pub fn ssh(&self, known_hosts: &Path) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ])
        .args(["-o", "ConnectTimeout=15", "-o", "IdentityAgent=none"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(self.client_key_path())
        .arg("-p")
        .arg(self.port.to_string())
        .arg(format!("{}@127.0.0.1", self.user()))
        .stdin(Stdio::null());
        ssh
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.files.log()).unwrap_or_default()
    }

    /// Ends the listener and all sessions at once, as when the network fails. Commands that are
    /// running in the sessions are not touched; they see their connection close.
    pub fn stop(&mut self) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let sessions = sessions_below(listener.id());
        // Errors mean that it has ended by itself.
        let _ended = listener.kill();
        let _reaped = listener.wait();
        for session in sessions {
            signal(session, Signal::KILL);
        }
    }

    /// Starts it again on the same port with the same host key, after [`stop`](Self::stop).
    ///
    /// # Panics
    /// When it does not get ready, say because its port was taken meanwhile.
    pub fn restart(&mut self) {
        self.stop();
        assert!(self.listen(), "sshd does not start again:\n{}", self.log());
    }

    /// The machine behind the address is suddenly another one.
    ///
    /// # Panics
    /// As [`restart`](Self::restart).
    pub fn restart_with_new_host_key(&mut self) {
        self.stop();
        self.files.make_host_key();
        self.restart();
    }

    /// Whether the server came up on its port.
    fn listen(&mut self) -> bool {
        self.files.write_config(self.port);
        let child = Command::new(PROGRAM)
            .args(["-D", "-e", "-f"])
            .arg(self.files.config())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.files.create_log())
            .spawn()
            .expect("sshd can be executed");
        let child = self.listener.insert(child);
        let (files, port) = (&self.files, self.port);
        let ready = poll(READY_WITHIN, || {
            if !matches!(child.try_wait(), Ok(None)) {
                return Some(false);
            }
            // The log proves that it is this server, and no stranger, who answers on the port.
            let log = std::fs::read_to_string(files.log()).unwrap_or_default();
            let listening = log.contains(&format!("Server listening on 127.0.0.1 port {port}"));
            (listening && greets(port)).then_some(true)
        });
        if ready != Some(true) {
            self.stop();
        }
        ready == Some(true)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A session is one to three processes deep, which depends on who runs the server for whom.
fn sessions_below(server: u32) -> Vec<u32> {
    let of_server =
        |child: &Process| name_of(child.pid).is_some_and(|name| name.starts_with("sshd"));
    let children = children_of(server).into_iter().filter(of_server);
    children
        .flat_map(|child| std::iter::once(child.pid).chain(sessions_below(child.pid)))
        .collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound port is known").port()
}

/// Whether an SSH server speaks there.
fn greets(port: u16) -> bool {
    let bound = Duration::from_secs(5);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, bound) else {
        return false;
    };
    let mut banner = String::new();
    stream.set_read_timeout(Some(bound)).is_ok()
        && BufReader::new(stream).read_line(&mut banner).is_ok()
        && banner.starts_with("SSH-2.0-")
}
