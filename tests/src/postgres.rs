//! A real, private Postgres: its files in a temporary folder, its socket beside them, no port, and run by a user without
//! rights, as the server insists. The system's own server, if there is one, is neither used nor touched.

use std::{
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    process::{children_of, has_ended, signal},
    report::not_run,
    tls::Certified,
    wait::{poll, wait_for},
};

/// Where Debian and Ubuntu put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How long a start may take on a busy machine, a recovery included.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The superuser inside.
const USER: &str = "chiffon";

/// A running server. Dropping it ends it with everything in it.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    /// Who runs it, where whoever runs the tests must not.
    user: Option<(u32, u32)>,
    server: Option<Child>,
    starts: u32,
    /// What it shows over TCP, and on which port of 127.0.0.1; without it there is only the socket.
    tls: Option<(Certified, u16)>,
}

impl Postgres {
    /// Starts a fresh server, or `None` where none is installed: then `what` is reported as not run.
    ///
    /// # Panics
    /// When it does not get ready; the message holds its log.
    pub fn start_or_report(what: &str) -> Option<Self> {
        Self::started(what, None)
    }

    /// One that is reached over TLS too, with this certificate, on a port of 127.0.0.1.
    ///
    /// # Panics
    /// As for [`start_or_report`](Self::start_or_report).
    pub fn start_with_tls_or_report(what: &str, certified: &Certified) -> Option<Self> {
        Self::started(what, Some(certified))
    }

    fn started(what: &str, certified: Option<&Certified>) -> Option<Self> {
        let Some(programs) = programs() else {
            not_run(what, &format!("no Postgres below {VERSIONS}"));
            return None;
        };
        let user = match rustix::process::geteuid().is_root() {
            false => None,
            true => match unprivileged() {
                Some(user) => Some(user),
                None => {
                    not_run(
                        what,
                        "root must not run Postgres, and there is no user postgres",
                    );
                    return None;
                }
            },
        };
        let folder = tempfile::Builder::new().prefix("chiffon-pg-").tempdir();
        let folder = folder.expect("a temporary folder");
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).expect("root may give a folder away");
        }
        let mut server = Self {
            programs,
            folder,
            user,
            server: None,
            starts: 0,
            tls: None,
        };
        server.initialise();
        server.tls = certified.map(|certified| (server.own(certified), 0));
        server.start();
        Some(server)
    }

    /// Makes an empty database in UTF-8, and says how to reach it (a connection string of libpq).
    ///
    /// # Panics
    /// Where it cannot be made, for example because it is there.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// How to reach a database.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display();
        format!("host={folder} user={USER} dbname={database}")
    }

    /// How to reach a database over TCP, where it speaks TLS; what is asked for is the caller's to add.
    ///
    /// # Panics
    /// Where it was started without.
    pub fn url_over_tcp(&self, database: &str) -> String {
        let (_, port) = self.tls.as_ref().expect("it speaks TLS");
        format!("postgres://{USER}@127.0.0.1:{port}/{database}")
    }

    /// Has statements run in a database, by `psql`; what they print, without any frame.
    ///
    /// # Panics
    /// Where they fail.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let output = self
            .psql(database)
            .args(["-c", statements])
            .output()
            .expect("psql can be executed");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {fault}");
        said
    }

    /// A `psql` in a database, which reads statements from its input and prints without any frame; the caller ends it.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn session(&self, database: &str) -> Child {
        self.psql(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql can be executed")
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER])
            .args(["-d", database, "-h"])
            .arg(self.folder.path());
        if let Some((_, port)) = &self.tls {
            psql.args(["-p", &port.to_string()]);
        }
        psql
    }

    /// Ends the server at once, as SIGKILL or a loss of power would: nothing is written any more, nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It starts no more of them meanwhile.
            signal(server.id(), Signal::STOP);
            let children = children_of(server.id());
            let _ended = server.kill();
            let _reaped = server.wait();
            // They would see the end of their parent and end as well, but answer until then.
            for child in &children {
                signal(child.pid, Signal::KILL);
            }
            wait_for("Postgres to be gone", READY_WITHIN, || {
                let are_gone = children.iter().all(|child| has_ended(child.pid));
                are_gone.then_some(())
            });
        }
    }

    /// Starts it again on the same files, after [`kill`](Self::kill).
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start(&mut self) {
        let user = self.user;
        wait_for("Postgres to start", READY_WITHIN, || {
            self.starts += 1;
            let log = self.folder.path().join(format!("log.{}", self.starts));
            let mut program = self.program("postgres");
            self.listening(&mut program);
            let mut server = program
                .args(["-c", "max_connections=60"])
                .args(["-c", "shared_buffers=16MB", "-c", "autovacuum=off"])
                // Every kill here is one of processes, and not of the machine: what the system was given is kept.
                .args(["-c", "fsync=off", "-D"])
                .arg(self.data())
                .arg("-k")
                .arg(self.folder.path())
                .stdout(Stdio::null())
                .stderr(File::create(&log).expect("a log can be made"))
                .spawn()
                .expect("postgres can be executed");
            let ready = poll(READY_WITHIN, || {
                if !matches!(server.try_wait(), Ok(None)) {
                    return Some(false);
                }
                let log = fs::read_to_string(&log).unwrap_or_default();
                log.contains("ready to accept connections").then_some(true)
            });
            match ready {
                Some(true) => self.server = Some(server),
                // The children of a killed one may still hold its memory: once more.
                Some(false) => return None,
                None => {
                    let _ended = server.kill();
                    let _reaped = server.wait();
                    panic!("Postgres (as {user:?}) does not get ready:\n{}", self.log());
                }
            }
            Some(())
        });
    }

    /// On which port, and what it shows there. Each try takes another port, for somebody else may have taken it meanwhile.
    fn listening(&mut self, program: &mut Command) {
        let Some((certified, port)) = &mut self.tls else {
            program.args(["-c", "listen_addresses="]);
            return;
        };
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        *port = free.expect("a free port").port();
        let (certificate, key) = (certified.certificate.display(), certified.key.display());
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={certificate}"),
            format!("ssl_key_file={key}"),
        ] {
            program.args(["-c", &setting]);
        }
    }

    /// Copies that belong to whoever runs it, as it insists.
    fn own(&self, certified: &Certified) -> Certified {
        let copy = |from: &Path, name: &str| {
            let to = self.folder.path().join(name);
            fs::copy(from, &to).expect("a file can be copied");
            fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("it is ours");
            if let Some((user, group)) = self.user {
                chown(&to, Some(user), Some(group)).expect("root may give a file away");
            }
            to
        };
        Certified {
            certificate: copy(&certified.certificate, "server.pem"),
            key: copy(&certified.key, "server.key"),
        }
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        let path = self.folder.path().join(format!("log.{}", self.starts));
        fs::read_to_string(path).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn initialise(&self) {
        let output = self
            .program("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--username", USER, "-D"])
            .arg(self.data())
            .output()
            .expect("initdb can be executed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {said}");
    }

    /// One of its programs, run by the user that runs the server, with nothing of this process around it.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        // "Immediate shutdown": no checkpoint, children first.
        signal(server.id(), Signal::QUIT);
        if poll(Duration::from_secs(10), || server.try_wait().ok()?).is_none() {
            self.kill();
        }
    }
}

/// The programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.filter_map(Result::ok);
    let has_all = |folder: &PathBuf| {
        let programs = ["initdb", "postgres", "psql"];
        programs.iter().all(|name| folder.join(name).is_file())
    };
    let number = |folder: &PathBuf| {
        let version = folder.parent().and_then(Path::file_name);
        version.and_then(|name| name.to_str()?.parse::<u32>().ok())
    };
    let folders = versions.map(|entry| entry.path().join("bin"));
    folders.filter(has_all).max_by_key(number)
}

/// User and group of `postgres`, which the package makes.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
    Some((ids.next()??, ids.next()??))
}
