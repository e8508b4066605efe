//! An unprivileged Unix user: only an agent that is root can become one. The run's folder stays root's, so that
//! the run cannot change what it is run from; the user may read it, and write where it must.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_common::Problem;

use super::{Fence, Site, TRY, programs, text};
use crate::{ansible::Ansible, run::fault, settings::PATH, tool};

/// A user that was become once.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// setpriv(1) of util-linux, which also forbids new privileges.
    pub(super) program: PathBuf,
}

impl User {
    /// Becomes it once and runs Ansible. The error is a fragment.
    pub(super) fn attempt(name: Option<&str>, ansible: Option<&Ansible>) -> Result<Self, String> {
        let name = name.ok_or("no user is named by agents.infrastructure.run_as")?;
        if !rustix::process::geteuid().is_root() {
            return Err(format!("only root can become the user {name}"));
        }
        let list = fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
        let (uid, gid) = find(&list, name).ok_or(format!("there is no user {name}"))?;
        if uid == 0 {
            return Err(format!("the user {name} is root"));
        }
        let found = programs("setpriv");
        let user = Self {
            name: name.to_owned(),
            uid,
            gid,
            program: found.first().ok_or("setpriv is not installed")?.to_owned(),
        };
        let words = user.command();
        let mut command = Command::new(&user.program);
        command.args(words.iter().skip(1));
        match ansible {
            Some(ansible) => command.arg(&ansible.playbook).arg("--version"),
            None => command.arg("/bin/true"),
        };
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/nonexistent")
            .env("ANSIBLE_HOME", "/tmp/.ansible-of-nobody")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/");
        let output = tool::output_within(&mut command, TRY)
            .map_err(|error| format!("setpriv cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(user),
            false => Err(format!(
                "the user {name} cannot run Ansible ({})",
                tool::complaint(&output)
            )),
        }
    }

    fn command(&self) -> Vec<String> {
        vec![
            text(&self.program),
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
            "--clear-groups".to_owned(),
            "--no-new-privs".to_owned(),
            "--inh-caps=-all".to_owned(),
            "--bounding-set=-all".to_owned(),
            "--".to_owned(),
        ]
    }

    pub(super) fn words(&self) -> String {
        format!(
            "run as the user {} (no rights of root, no new privileges; it sees what that user sees)",
            self.name
        )
    }

    pub(super) fn fence(&self, site: &Site<'_>) -> Result<Fence, Problem> {
        self.hand_over(site).map_err(|error| {
            let folder = site.folder.path().display();
            fault(format!(
                "{folder} cannot be given to {}: {error}",
                self.name
            ))
        })?;
        Ok(Fence {
            command: self.command(),
            detached: false,
            words: self.words(),
        })
    }

    /// Everything readable for the user's group, which nobody else should be in; three folders its own.
    fn hand_over(&self, site: &Site<'_>) -> io::Result<()> {
        let folder = site.folder;
        if let Some(all_runs) = folder.path().parent() {
            // Passing through, not looking around: what lies in there is closed as before.
            let mode = all_runs.metadata()?.permissions().mode();
            fs::set_permissions(all_runs, Permissions::from_mode(mode | 0o001))?;
        }
        chown(folder.path(), None, Some(self.gid))?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o710))?;
        for shown in [
            folder.bundle(),
            folder.plugins(),
            folder.fence(),
            folder.path().join("defaults"),
            folder.vars(),
            folder.config(),
        ] {
            self.show(&shown)?;
        }
        for own in [
            folder.home(),
            folder.temporary(),
            site.control.clone(),
            folder.events(),
        ] {
            chown(own, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    fn show(&self, path: &Path) -> io::Result<()> {
        let data = path.symlink_metadata()?;
        let mode = data.permissions().mode();
        chown(path, None, Some(self.gid))?;
        fs::set_permissions(path, Permissions::from_mode(mode | ((mode & 0o500) >> 3)))?;
        if data.is_dir() {
            for entry in fs::read_dir(path)? {
                self.show(&entry?.path())?;
            }
        }
        Ok(())
    }
}

/// User and group of a name in the list of users (passwd(5)).
pub(super) fn find(list: &str, name: &str) -> Option<(u32, u32)> {
    let line = list
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
