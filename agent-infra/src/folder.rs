//! The run's folder: where everything lies, and unpacking the bundle so that what lies on the disk is
//! held against the sealed digest right before the start (S4, S7).

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chiffon_common::{Bundle, BundleFile, Digest, ErrorCode, Problem};

/// The places in a run's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The layout of that folder; nothing is made.
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The unpacked bundle, where Ansible runs.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.0.join("bundle")
    }

    pub(crate) fn vars(&self) -> PathBuf {
        self.0.join("vars.json")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("ansible.cfg")
    }

    /// An inventory of ours, before the bundle's.
    pub(crate) fn defaults(&self) -> PathBuf {
        self.0.join("defaults/defaults.yml")
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    /// The plugin that keeps the run to its bundle, in a folder of its own: callbacks are looked for in all below theirs.
    pub(crate) fn fence(&self) -> PathBuf {
        self.0.join("fence")
    }

    /// The named pipe of the callback plugin.
    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// The home of everything that runs here.
    pub(crate) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// What the supervisor is to run, and for a sweep what was run.
    pub(crate) fn spec(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }

    pub(crate) fn end(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.end.json"))
    }

    /// Makes the folder 0700, also if it is there, and the empty folders in it.
    pub(crate) fn make(&self) -> io::Result<()> {
        make_folder(&self.0)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))?;
        for inner in [
            self.home(),
            self.temporary(),
            self.plugins(),
            self.fence(),
            self.0.join("defaults"),
        ] {
            make_folder(&inner)?;
        }
        Ok(())
    }

    /// Writes a file 0600.
    pub(crate) fn write(&self, path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
        write_new(path, content.as_ref(), 0o600)
    }

    /// Writes the bundle's files.
    pub(crate) fn unpack(&self, bundle: &Bundle) -> io::Result<()> {
        let root = self.bundle();
        make_folder(&root)?;
        for (path, file) in bundle.files() {
            let target = root.join(path);
            if let Some(parent) = target.parent() {
                make_folder(parent)?;
            }
            let mode = if file.executable { 0o700 } else { 0o600 };
            write_new(&target, &file.content, mode)?;
        }
        Ok(())
    }

    /// Reads back what lies there and holds it against the digest.
    ///
    /// # Errors
    /// 5414 where a file differs, is missing, or is one too many.
    pub(crate) fn check(&self, digest: Digest) -> Result<(), Problem> {
        let mut bundle = Bundle::default();
        let read = read_into(&mut bundle, &self.bundle(), "");
        match read {
            Ok(()) if bundle.digest() == digest => Ok(()),
            Ok(()) => Err(changed(&format!(
                "{} was approved, {} lies in the run's folder",
                digest.short(),
                bundle.digest().short()
            ))),
            Err(error) => Err(changed(&error.to_string())),
        }
    }
}

fn changed(why: &str) -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        format!("The playbook that would run is not the one that was approved: {why}."),
        "Nothing was run. Ask again for a new plan; if it happens again, somebody writes into the agent's folder.",
    )
}

fn read_into(bundle: &mut Bundle, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .ok_or_else(|| io::Error::other("a file name is no UTF-8"))?;
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read_into(bundle, &entry.path(), &format!("{path}/"))?;
        } else if kind.is_file() {
            let file = BundleFile {
                executable: entry.metadata()?.permissions().mode() & 0o100 != 0,
                content: fs::read(entry.path())?,
            };
            bundle.insert(&path, file).map_err(io::Error::other)?;
        } else {
            return Err(io::Error::other(format!("{path} is no plain file")));
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Never through a link or over a file that somebody put there.
fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let mut bundle = Bundle::default();
        for (path, executable) in [("playbooks/a.yml", false), ("roles/a/files/x.sh", true)] {
            let content = path.as_bytes().to_vec();
            bundle
                .insert(
                    path,
                    BundleFile {
                        executable,
                        content,
                    },
                )
                .unwrap();
        }
        bundle
    }

    fn unpacked() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(&temporary.path().join("run"));
        folder.make().unwrap();
        folder.unpack(&bundle()).unwrap();
        (temporary, folder)
    }

    #[test]
    fn what_was_unpacked_is_what_was_approved() {
        let (_temporary, folder) = unpacked();
        folder.check(bundle().digest()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.bundle().join("playbooks")), 0o700);
        assert_eq!(mode(&folder.bundle().join("playbooks/a.yml")), 0o600);
    }

    #[test]
    fn any_change_on_the_disk_is_refused() {
        type Change = fn(&Path) -> io::Result<()>;
        let changes: [(&str, Change); 7] = [
            ("a byte", |root| {
                fs::write(root.join("playbooks/a.yml"), "- hosts: all")
            }),
            ("a file more", |root| {
                fs::write(root.join("roles/b.yml"), "")
            }),
            ("a file less", |root| {
                fs::remove_file(root.join("playbooks/a.yml"))
            }),
            ("a mode", |root| {
                let mode = fs::Permissions::from_mode(0o700);
                fs::set_permissions(root.join("playbooks/a.yml"), mode)
            }),
            ("a role that is a link to another now", |root| {
                fs::create_dir(root.join("../elsewhere"))?;
                fs::rename(root.join("roles/a"), root.join("../elsewhere/a"))?;
                std::os::unix::fs::symlink("../../elsewhere/a", root.join("roles/a"))
            }),
            ("a file that is a link to the same bytes now", |root| {
                fs::rename(root.join("playbooks/a.yml"), root.join("../a.yml"))?;
                std::os::unix::fs::symlink("../../a.yml", root.join("playbooks/a.yml"))
            }),
            ("a link", |root| {
                std::os::unix::fs::symlink("/etc/passwd", root.join("l"))
            }),
        ];
        for (what, change) in changes {
            let (_temporary, folder) = unpacked();
            change(&folder.bundle()).unwrap();
            let problem = folder.check(bundle().digest()).unwrap_err();
            assert_eq!(problem.code, ErrorCode::ContentChanged, "{what}");
        }
    }
}
