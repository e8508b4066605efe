//! What a page finds when its first command runs: a home, a working folder and a port of its own, the built program
//! and the shared Ansible, and the hosts that it asked for.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use chiffon_tests::{Chiffon, Home, Sshd, arbiter, repository_root};

use crate::{ansible::shared_ansible, directive::Directive};

/// Where one page runs. Its folders go with it.
pub struct Stage {
    pub repository: &'static Path,
    /// `HOME`.
    pub home: PathBuf,
    /// Where the commands run.
    pub work: PathBuf,
    /// The folder with the program, first on the `PATH`.
    pub programs: PathBuf,
    /// Where its `chiffon up` listens.
    pub address: String,
    /// For the suite's own files.
    pub scratch: PathBuf,
    _sshd: Vec<Sshd>,
    _folder: Home,
}

impl Stage {
    /// Sets it up; nothing where a server that it needs cannot be had, which is reported.
    pub fn set(page: &str, directives: &[(usize, Directive)]) -> Option<Self> {
        let folder = Home::new();
        let inside = |name: &str| {
            let path = folder.scratch().join(name);
            fs::create_dir(&path).expect("a folder");
            path
        };
        let (home, work, programs) = (inside("user"), inside("here"), inside("bin"));
        let program = Chiffon::new(&folder).command(&[]);
        symlink(program.get_program(), programs.join("chiffon")).expect("a link to the program");
        symlink(arbiter(), programs.join("arbiter")).expect("a link to the program");
        let data = home.join(".local/share/chiffon");
        private(&data.join("inventory"));
        let ansible = shared_ansible();
        if ansible.exists() {
            symlink(ansible, data.join("ansible")).expect("a link to the shared Ansible");
        }
        let mut hosts = String::new();
        let mut sshd = Vec::new();
        for (_, directive) in directives {
            match directive {
                Directive::Hosts(names) => hosts.extend(names.iter().map(|name| local(name))),
                Directive::Ssh(name) => {
                    let server = Sshd::start_or_report(page)?;
                    hosts += &over_ssh(name, &server);
                    sshd.push(server);
                }
                Directive::Answer(_) | Directive::Is(_) => {}
            }
        }
        if !hosts.is_empty() {
            let text = format!("all:\n  hosts:\n{}{hosts}", local("localhost"));
            fs::write(data.join("inventory/hosts.yml"), text).expect("an inventory");
        }
        Some(Self {
            repository: repository_root(),
            home,
            work,
            programs,
            address: free_address().to_string(),
            scratch: folder.scratch().to_owned(),
            _sshd: sshd,
            _folder: folder,
        })
    }
}

fn local(name: &str) -> String {
    format!("    {name}:\n      ansible_connection: local\n")
}

fn over_ssh(name: &str, server: &Sshd) -> String {
    format!(
        "    {name}:\n      ansible_host: 127.0.0.1\n      ansible_port: {}\n      ansible_user: {}\n      ansible_ssh_private_key_file: {}\n",
        server.port(),
        server.user(),
        server.client_key_path().display()
    )
}

fn private(folder: &Path) {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.expect("a folder for the owner only");
}

/// Free now; whoever takes it before the page does makes that page fail, not pass.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound port is known")
}
