//! Certificates as a small network has them: an authority of its own, made by OpenSSL, what it certifies, and a server
//! that speaks TLS (Python's, which is OpenSSL too) in front of one that does not.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::report::not_run;

/// One thread for each connection, and in it one piece after the other: a TLS connection is not for two at once.
const FRONT: &str = r#"
import select, socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)

def serve(raw):
    raw.settimeout(60)
    try:
        inside = context.wrap_socket(raw, server_side=True)
        out = socket.create_connection(("127.0.0.1", int(sys.argv[3])), 60)
        with inside, out:
            while True:
                ready = [inside] if inside.pending() else select.select([inside, out], [], [], 60)[0]
                pieces = [(one, one.recv(65536)) for one in ready]
                if not pieces or not all(piece for _, piece in pieces):
                    return
                for one, piece in pieces:
                    (out if one is inside else inside).sendall(piece)
    except OSError:
        raw.close()

while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// An authority that nobody knows but who is given its file.
pub struct Authority {
    folder: TempDir,
}

/// What it has certified; the files live as long as the authority.
#[derive(Debug, Clone)]
pub struct Certified {
    /// In PEM.
    pub certificate: PathBuf,
    /// In PEM, without a password.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, or `None` where there is no OpenSSL: then `what` is reported as not run.
    ///
    /// # Panics
    /// Where OpenSSL fails.
    pub fn make_or_report(what: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            not_run(what, "no openssl on the PATH");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Self { folder };
        made.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 3650 -subj /CN=test",
        );
        Some(made)
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certifies a server under a name in the words of OpenSSL, such as `IP:127.0.0.1` or `DNS:host`; `stem` names the
    /// files.
    ///
    /// # Panics
    /// Where OpenSSL fails.
    pub fn certify(&self, stem: &str, name: &str) -> Certified {
        let path = |ending: &str| self.folder.path().join(format!("{stem}.{ending}"));
        let about = format!("basicConstraints=CA:FALSE\nsubjectAltName={name}\n");
        fs::write(path("ext"), about).expect("a file can be written");
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {stem}.key -out {stem}.csr -subj /CN={stem}"
        ));
        self.openssl(&format!(
            "x509 -req -in {stem}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile {stem}.ext -out {stem}.pem"
        ));
        Certified {
            certificate: path("pem"),
            key: path("key"),
        }
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("openssl can be executed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }
}

/// A server that speaks TLS in front of a plain one on this machine; dropped, it ends.
pub struct TlsFront {
    server: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl TlsFront {
    /// Starts it.
    ///
    /// # Panics
    /// Where Python does not run it.
    pub fn start(certified: &Certified, plain_port: u16) -> Self {
        let mut server = Command::new("python3")
            .args(["-c", FRONT])
            .args([&certified.certificate, &certified.key])
            .arg(plain_port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be executed");
        let mut line = String::new();
        let output = server.stdout.take().expect("a pipe");
        let read = BufReader::new(output).read_line(&mut line);
        let port = read.ok().and_then(|_| line.trim().parse().ok());
        let Some(port) = port else {
            let _ended = server.kill();
            let _reaped = server.wait();
            panic!("the server does not say where it listens: {line:?}");
        };
        Self { server, port }
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}
