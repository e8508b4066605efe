//! What a run over SSH needs of the agent's user: the key files that its inventory names, the usual ones where
//! a host names none, and the socket of the ssh-agent. Exactly these are shown to a sandbox, never a folder of keys.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};

use super::{PAGE, trees::own_home};
use crate::inventory::Inventory;

/// Those that ssh tries by itself (ssh_config(5), IdentityFile).
const USUAL: [&str; 6] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
];

/// Files, each there, and a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) ssh_agent: Option<PathBuf>,
}

impl Needs {
    /// Of a run with that inventory. What is not there is left out: ssh says so better.
    pub(crate) fn of(inventory: &Inventory, ssh_agent: Option<&Path>) -> Self {
        let usual = own_home().filter(|_| inventory.usual_keys).into_iter();
        let usual = usual.flat_map(|home| USUAL.map(|name| home.join(".ssh").join(name)));
        let beside = |key: PathBuf| {
            let with = |end: &str| {
                let mut name = key.clone().into_os_string();
                name.push(end);
                PathBuf::from(name)
            };
            let beside = [with(".pub"), with("-cert.pub")];
            beside.into_iter().chain([key])
        };
        let named = inventory.files.iter().cloned();
        Self {
            files: named
                .chain(usual)
                .flat_map(beside)
                .filter(|path| path.is_file())
                .collect(),
            ssh_agent: ssh_agent
                .filter(|socket| socket.exists())
                .map(Path::to_owned),
        }
    }

    /// A sandbox has none of root's rights: what belongs to somebody else stays closed to it.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let me = rustix::process::geteuid().as_raw();
        let is_closed = |path: &&PathBuf| {
            path.metadata()
                .is_ok_and(|data| data.uid() != me && data.mode() & 0o004 == 0)
        };
        match self.files.iter().find(is_closed) {
            Some(file) if me == 0 => Err(Problem::new(
                ErrorCode::IsolationMissing,
                format!(
                    "The key file {} belongs to another user, and a sandboxed run has none of root's rights to read it.",
                    file.display()
                ),
                format!(
                    "Nothing was run. Give the agent a key file of its own user, or set agents.infrastructure.isolation to none; {PAGE} tells more."
                ),
            )),
            _ => Ok(()),
        }
    }
}
