//! The configuration and the environment that Ansible runs with: ours alone, nothing of the agent's (S5).
//! Which program is started with them is left to `run` and `remote`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chiffon_common::{Bundle, ErrorCode, Problem};

use crate::{folder::Folder, inventory::KNOWN_HOSTS};

/// Where programs are looked for by Ansible and by tasks on this machine.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The plugin that reports to the agent.
pub(crate) const CALLBACK: &str = include_str!("callback/chiffon.py");

/// The plugin that keeps Ansible to the bundle's code.
pub(crate) const FENCE: &str = include_str!("callback/chiffon_fence.py");

/// Local hosts use the Python that Ansible runs on. On others it is looked for in Ansible's own order, but
/// under `/usr/bin` first: along the PATH a version manager's shim may come first and not work.
/// These are the lowest of all inventory variables: a host or group of the person's own goes first.
pub(crate) const DEFAULTS: &str = "\
all:
  vars:
    ansible_python_interpreter: \"{{ ansible_playbook_python if (ansible_connection | \
default('local' if inventory_hostname in ['localhost', '127.0.0.1', '::1'] else 'ssh')) in \
['local', 'ansible.builtin.local'] else 'auto_silent' }}\"
    ansible_interpreter_python_fallback: [/usr/bin/python3.14, /usr/bin/python3.13, /usr/bin/python3.12, \
/usr/bin/python3.11, /usr/bin/python3.10, /usr/bin/python3.9, /usr/bin/python3.8, /usr/bin/python3, \
/usr/local/bin/python3, python3, python3.14, python3.13, python3.12, python3.11, python3.10, python3.9, python3.8]
";

/// Longest path of a Unix socket (108 with its end), less what ssh and Ansible add to the folder.
const LONGEST_CONTROL_FOLDER: usize = 107 - 32;

/// What differs from run to run.
#[derive(Debug, Clone)]
pub(crate) struct Settings<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) run_id: &'a str,
    pub(crate) hosts: usize,
    /// The socket of the person's ssh-agent, where its use was asked for.
    pub(crate) ssh_agent: Option<&'a Path>,
}

/// The folder, within the remote user's home, that marks everything of this run on a host.
pub(crate) fn remote_mark(run_id: &str) -> String {
    format!("chiffon-{run_id}")
}

/// Refuses a folder whose path would mean something in a configuration file or on ssh's side.
pub(crate) fn check_path(folder: &Path) -> Result<(), Problem> {
    let plain = |c: char| !c.is_control() && !"\"'\\;#%${}`".contains(c);
    match folder.to_str() {
        Some(text) if text.chars().all(plain) && folder.is_absolute() => Ok(()),
        _ => Err(Problem::new(
            ErrorCode::AgentFault,
            format!(
                "The run's folder {} has a name that Ansible cannot be given.",
                folder.display()
            ),
            "Use a data folder (CHIFFON_HOME) without quotes, backslashes and any of ; # % $ { }.",
        )),
    }
}

/// Folders of roles that the bundle names beside the usual ones, as a piece of `roles_path`. What could leave the
/// bundle or mean something in the configuration is passed over.
pub(crate) fn more_roles(bundle: &Path) -> String {
    let named = std::fs::read_to_string(bundle.join(Bundle::ROLES_PATH)).unwrap_or_default();
    let plain = |folder: &&str| {
        let permitted = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
        let inside = |part: &str| !part.is_empty() && part != "..";
        folder.chars().all(permitted) && folder.split('/').all(inside)
    };
    let folders = named.lines().filter(plain);
    folders
        .map(|folder| format!(":{}/{folder}", bundle.display()))
        .collect()
}

impl Settings<'_> {
    /// Where ssh keeps its shared connections: in the run's folder, or, where its path is too long for
    /// a socket, in a folder of its own under `/tmp`.
    pub(crate) fn control_folder(&self) -> PathBuf {
        let inside = self.folder.path().join("cp");
        if inside.as_os_str().len() <= LONGEST_CONTROL_FOLDER {
            inside
        } else {
            Path::new("/tmp").join(remote_mark(self.run_id))
        }
    }

    /// `ansible.cfg`. What a module gives back may hold bytes that are no UTF-8: a command that did its work has not failed
    /// because of what it printed, and the callback shows a mark in their place. Pipelining is on where tasks run on this machine only: over SSH the file names
    /// of a task's program are what left-overs are found by.
    pub(crate) fn config(&self) -> String {
        let folder = self.folder.path().display();
        let bundle = self.folder.bundle();
        let roles = more_roles(&bundle);
        let bundle = bundle.display();
        let mark = remote_mark(self.run_id);
        let forks = self.hosts.clamp(1, 20);
        let control = self.control_folder();
        format!(
            "[defaults]\n\
             host_key_checking = True\n\
             retry_files_enabled = False\n\
             nocows = True\n\
             nocolor = True\n\
             stdout_callback = chiffon\n\
             callback_plugins = {folder}/plugins\n\
             inventory_plugins = {folder}/fence\n\
             roles_path = {bundle}/roles:{bundle}/playbooks/roles{roles}\n\
             collections_path = {bundle}/collections\n\
             local_tmp = {folder}/tmp\n\
             remote_tmp = ~/.ansible/tmp/{mark}\n\
             interpreter_python = auto_silent\n\
             fact_caching = memory\n\
             forks = {forks}\n\
             timeout = 15\n\
             localhost_warning = False\n\
             deprecation_warnings = False\n\
             devel_warning = False\n\
             allow_world_readable_tmpfiles = False\n\
             module_strict_utf8_response = False\n\
             [inventory]\n\
             enable_plugins = chiffon_fence, yaml\n\
             inventory_unparsed_warning = False\n\
             [connection]\n\
             pipelining = True\n\
             [ssh_connection]\n\
             pipelining = False\n\
             control_path_dir = {control}\n\
             ssh_args = {ssh}\n\
             retries = 0\n",
            control = control.display(),
            ssh = self.ssh_args(),
        )
    }

    fn ssh_args(&self) -> String {
        format!(
            "-o ControlMaster=auto -o ControlPersist=30s {}",
            self.lone_ssh_args()
        )
    }

    /// The first value of an option counts with ssh, and these come before an inventory's. No
    /// configuration of the person or the machine is read; an inventory can name one with `-F`.
    /// The variable marks what runs on the host, where its server lets `LC_*` pass as most do.
    pub(crate) fn lone_ssh_args(&self) -> String {
        let known_hosts = self.folder.bundle().join(KNOWN_HOSTS);
        format!(
            "-F /dev/null -o 'UserKnownHostsFile=\"{}\"' -o GlobalKnownHostsFile=/dev/null \
             -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ServerAliveInterval=15 \
             -o SetEnv=LC_CHIFFON_RUN={}",
            known_hosts.display(),
            remote_mark(self.run_id)
        )
    }

    /// The whole environment.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let path = |path: PathBuf| path.display().to_string();
        let mut environment: BTreeMap<String, String> = [
            ("PATH", PATH.to_owned()),
            ("HOME", path(self.folder.home())),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMPDIR", path(self.folder.temporary())),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
            ("ANSIBLE_CONFIG", path(self.folder.config())),
            ("ANSIBLE_HOME", path(self.folder.home().join(".ansible"))),
            ("CHIFFON_EVENTS", path(self.folder.events())),
            ("CHIFFON_CONTROL", path(self.control_folder())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(socket) = self.ssh_agent {
            environment.insert("SSH_AUTH_SOCK".to_owned(), socket.display().to_string());
        }
        environment
    }
}
