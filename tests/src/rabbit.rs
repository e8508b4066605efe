//! A real, private RabbitMQ: its files in a temporary folder, its ports on 127.0.0.1, its own node, cookie and name server
//! (epmd). The system's own broker, if there is one, is neither used nor touched.

use std::{
    fs::{self, File, Permissions},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    process::{children_of, has_ended, signal},
    report::not_run,
    wait::{poll, wait_for},
};
use rustix::process::Signal;

/// Where Debian and Ubuntu put the programs of each version.
const VERSIONS: &str = "/usr/lib/rabbitmq/lib";

/// How long a start may take on a busy machine, a recovery included.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The name of the node: its own name server knows no other.
const NODE: &str = "chiffon@localhost";

/// The password of every login.
const PASSWORD: &str = "s3cret-of-rabbit";

/// Somebody who may log in, with the same permissions on every vhost (regular expressions).
#[derive(Debug, Clone, Copy)]
pub struct Login {
    /// The name.
    pub user: &'static str,
    /// What it may make.
    pub configure: &'static str,
    /// What it may write to.
    pub write: &'static str,
    /// What it may read from.
    pub read: &'static str,
}

impl Login {
    /// One that may do everything.
    pub fn of_everything(user: &'static str) -> Self {
        Self {
            user,
            configure: ".*",
            write: ".*",
            read: ".*",
        }
    }
}

/// A running broker. Dropping it ends it with everything in it.
pub struct Rabbit {
    programs: PathBuf,
    folder: TempDir,
    /// Of AMQP, of the nodes' own protocol, of the name server.
    ports: [u16; 3],
    name_server: Child,
    server: Option<Child>,
    starts: u32,
}

impl Rabbit {
    /// Starts a fresh broker with these vhosts and logins, or `None` where none is installed: then `what` is reported as
    /// not run.
    ///
    /// # Panics
    /// When it does not get ready; the message holds its log.
    pub fn start_or_report(what: &str, vhosts: &[String], logins: &[Login]) -> Option<Self> {
        let Some(programs) = programs() else {
            not_run(what, &format!("no RabbitMQ below {VERSIONS}"));
            return None;
        };
        let folder = tempfile::Builder::new().prefix("chiffon-rmq-").tempdir();
        let folder = folder.expect("a temporary folder");
        write(
            folder.path(),
            "definitions.json",
            &definitions(vhosts, logins).to_string(),
        );
        write(folder.path(), "plugins", "[].");
        fs::create_dir(folder.path().join("home")).expect("a folder can be made");
        let cookie = write(folder.path(), "home/.erlang.cookie", "chiffontests");
        fs::set_permissions(&cookie, Permissions::from_mode(0o400)).expect("it is ours");
        let (name_server, names) = name_server();
        let mut broker = Self {
            programs,
            folder,
            ports: [free_port(), free_port(), names],
            name_server,
            server: None,
            starts: 0,
        };
        broker.start();
        Some(broker)
    }

    /// How somebody reaches a vhost of it.
    pub fn url(&self, user: &str, vhost: &str) -> String {
        self.url_at(self.port(), user, vhost, PASSWORD)
    }

    /// The same through another port, or with another password.
    pub fn url_at(&self, port: u16, user: &str, vhost: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{port}/{vhost}")
    }

    /// The password of everybody.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Ends it at once, as SIGKILL or a loss of power would: nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let children = children_of(server.id());
            let _ended = server.kill();
            let _reaped = server.wait();
            for child in &children {
                signal(child.pid, Signal::KILL);
            }
            wait_for("RabbitMQ to be gone", READY_WITHIN, || {
                let are_gone = children.iter().all(|child| has_ended(child.pid));
                are_gone.then_some(())
            });
        }
    }

    /// Takes all that it has stored, while it does not run.
    ///
    /// # Panics
    /// Where it runs, or its files cannot be removed.
    pub fn wipe(&self) {
        assert!(self.server.is_none(), "a running broker keeps its files");
        fs::remove_dir_all(self.folder.path().join("data")).expect("its files can be removed");
    }

    /// Starts it again on the same files and ports, after [`kill`](Self::kill).
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start(&mut self) {
        self.starts += 1;
        let folder = self.folder.path();
        let config = format!(
            "listeners.tcp.default = 127.0.0.1:{}\nload_definitions = {}\nlog.console = true\nlog.console.level = info\nlog.file = false\n",
            self.ports[0],
            folder.join("definitions.json").display()
        );
        write(folder, "rabbitmq.conf", &config);
        let log = File::create(self.log_file()).expect("a log can be made");
        let errors = log.try_clone().expect("a log can be shared");
        let mut server = self
            .program("rabbitmq-server")
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("rabbitmq-server can be executed");
        let ready = poll(READY_WITHIN, || {
            if !matches!(server.try_wait(), Ok(None)) {
                return Some(false);
            }
            self.log()
                .contains("Server startup complete")
                .then_some(true)
        });
        if ready != Some(true) {
            let _ended = server.kill();
            let _reaped = server.wait();
            panic!("RabbitMQ does not get ready:\n{}", self.log());
        }
        self.server = Some(server);
    }

    /// Has it told something by `rabbitmqctl`; what that prints.
    ///
    /// # Panics
    /// Where that fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self
            .program("rabbitmqctl")
            .args(["-q", "-t", "60", "-n", NODE])
            .args(arguments)
            .output()
            .expect("rabbitmqctl can be executed");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {said} {fault}"
        );
        said
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join(format!("log.{}", self.starts))
    }

    /// One of its programs, with nothing of this process around it.
    fn program(&self, name: &str) -> Command {
        let folder = self.folder.path();
        let [_, nodes, names] = self.ports;
        let mut command = Command::new(self.programs.join(name));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", folder.join("home"))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", names.to_string())
            .env("RABBITMQ_NODENAME", NODE)
            .env("RABBITMQ_DIST_PORT", nodes.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            // So that the script becomes the broker: what is started here is what is ended here.
            .env("RABBITMQ_ALLOW_INPUT", "yes")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-noinput -kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
            )
            .current_dir(folder)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.kill();
        let _ended = self.name_server.kill();
        let _reaped = self.name_server.wait();
    }
}

/// Its name server, which the broker would otherwise start for everybody and for ever.
fn name_server() -> (Child, u16) {
    wait_for("a name server", READY_WITHIN, || {
        let port = free_port();
        let mut server = Command::new("epmd")
            .args(["-port", &port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("epmd comes with Erlang");
        let ready = poll(READY_WITHIN, || {
            if !matches!(server.try_wait(), Ok(None)) {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port))
                .is_ok()
                .then_some(true)
        });
        if ready == Some(true) {
            return Some((server, port));
        }
        let _ended = server.kill();
        let _reaped = server.wait();
        None
    })
}

fn definitions(vhosts: &[String], logins: &[Login]) -> Value {
    let users = logins
        .iter()
        .map(|login| json!({"name": login.user, "password": PASSWORD, "tags": []}));
    let permissions = vhosts.iter().flat_map(|vhost| {
        logins.iter().map(move |login| {
            json!({"user": login.user, "vhost": vhost, "configure": login.configure, "write": login.write, "read": login.read})
        })
    });
    json!({
        "users": users.collect::<Vec<_>>(),
        "vhosts": vhosts.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "permissions": permissions.collect::<Vec<_>>(),
    })
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file can be written");
    path
}

/// Each time another, below those that the system gives to clients: a client that knocks on a closed port of those may come
/// to speak with itself.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(13) + NEXT.fetch_add(1, Ordering::SeqCst);
        let port = 10_000 + u16::try_from(next % 20_000).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.filter_map(Result::ok);
    let folders = versions.map(|entry| entry.path().join("sbin"));
    let has_all = |folder: &PathBuf| {
        let programs = ["rabbitmq-server", "rabbitmqctl"];
        programs.iter().all(|name| folder.join(name).is_file())
    };
    folders.filter(has_all).max()
}
