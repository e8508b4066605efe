//! `ansible-lint` over the files of an entry, where the person has it: for telling them what it says, never for a run.

use std::{ffi::OsString, fs, path::Path, process::Command, time::Duration};

use chiffon_common::{Bundle, visible};

use crate::{
    ansible::candidates,
    isolation::enclosed,
    settings::{self, PATH},
    tool,
};

/// A large role on a slow machine.
const LIMIT: Duration = Duration::from_secs(300);
/// How much of what it says is passed on.
const MOST_LINES: usize = 20;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lint {
    /// It found nothing.
    Passed,
    /// What it found, a line each.
    Found(Vec<String>),
    /// It did not run, and why.
    NotRun(String),
    /// It did not run, because it had to be in a sandbox and there is none, and why.
    NoSandbox(String),
}

/// Where the linter runs. It loads plugins that lie beside a playbook, and evaluates templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LintIn {
    /// As the person: for what is accepted.
    Open,
    /// Where nothing of the machine can be written or asked, and there is no network: for what nobody has accepted.
    Sandbox,
}

/// Lints a playbook with what it needs, in a copy of these files. Blocks, up to minutes.
pub fn lint(files: &Bundle, playbook: &str, search: OsString, within: LintIn) -> Lint {
    let Some(program) = candidates(&search, "ansible-lint").into_iter().next() else {
        return Lint::NotRun("ansible-lint is not installed".to_owned());
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return Lint::NotRun(format!("no temporary folder: {error}")),
    };
    let tree = folder.path().join("tree");
    if let Err(error) = written(files, &tree) {
        return Lint::NotRun(format!("the files cannot be copied: {error}"));
    }
    let config = folder.path().join("ansible.cfg");
    let tree_path = tree.display();
    let more = settings::more_roles(&tree);
    let roles = format!(
        "[defaults]\nroles_path = {tree_path}/roles:{tree_path}/playbooks/roles{more}\ncollections_path = {tree_path}/collections\n"
    );
    if let Err(error) = fs::write(&config, roles) {
        return Lint::NotRun(format!("no temporary file: {error}"));
    }
    // Its own programs are looked for where it lies itself.
    let beside = program.parent().map(|folder| folder.display().to_string());
    let mut command = match within {
        LintIn::Open => Command::new(&program),
        LintIn::Sandbox => match enclosed(&program, folder.path(), &tree) {
            Ok(command) => command,
            Err(why) => return Lint::NoSandbox(why),
        },
    };
    command
        .args(["--offline", "--nocolor", "-q", "--format", "pep8", playbook])
        .env_clear()
        .env("PATH", format!("{}:{PATH}", beside.unwrap_or_default()))
        .env("HOME", folder.path())
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_CONFIG", &config)
        .env("ANSIBLE_HOME", folder.path().join("home"))
        .current_dir(&tree);
    let output = match tool::output_within(&mut command, LIMIT) {
        Ok(output) => output,
        Err(error) => return Lint::NotRun(error.to_string()),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    let mut found: Vec<String> = lines.map(visible).collect();
    match (output.status.code(), found.is_empty()) {
        (Some(0), _) => Lint::Passed,
        (Some(2), false) => {
            if let Some(more) = found.len().checked_sub(MOST_LINES + 1) {
                found.truncate(MOST_LINES);
                found.push(format!("and {} more", more + 1));
            }
            Lint::Found(found)
        }
        _ => Lint::NotRun(tool::complaint(&output)),
    }
}

fn written(files: &Bundle, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for (path, file) in files.files() {
        let path = to.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &file.content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chiffon_common::BundleFile;

    use super::*;

    fn one_playbook() -> Bundle {
        let file = BundleFile {
            executable: false,
            content: b"- hosts: all\n".to_vec(),
        };
        let mut files = Bundle::default();
        assert!(files.insert("playbooks/x.yml", file).is_ok());
        files
    }

    /// A linter of one's own in this folder.
    fn put_linter(folder: &Path, script: &str) {
        let program = folder.join("ansible-lint");
        let put = fs::write(&program, format!("#!/bin/sh\n{script}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        assert!(
            put.and_then(|()| fs::set_permissions(&program, mode))
                .is_ok()
        );
    }

    #[test]
    fn what_the_linter_says_is_told_and_a_missing_one_is_named() {
        let files = one_playbook();
        let folder = tempfile::tempdir().unwrap();
        let search = folder.path().as_os_str().to_owned();
        let missing = lint(&files, "playbooks/x.yml", search.clone(), LintIn::Open);
        assert!(matches!(missing, Lint::NotRun(_)), "{missing:?}");
        for (script, wanted) in [
            ("grep -q hosts playbooks/x.yml", Lint::Passed),
            (
                "echo x.yml:1: bad; exit 2",
                Lint::Found(vec!["x.yml:1: bad".to_owned()]),
            ),
        ] {
            put_linter(folder.path(), script);
            assert_eq!(
                lint(&files, "playbooks/x.yml", search.clone(), LintIn::Open),
                wanted
            );
        }
    }

    #[test]
    fn what_nobody_has_accepted_is_linted_where_it_can_do_nothing() {
        if let Err(why) = crate::isolation::Isolation::bubblewrap_works() {
            chiffon_tests::not_run("linting in a sandbox", &why);
            return;
        }
        let files = one_playbook();
        let folder = tempfile::tempdir().unwrap();
        let search = folder.path().as_os_str().to_owned();
        let marker = folder.path().join("marker");
        let script = format!(
            "touch {0}; ls {1} && exit 3\ntouch made || exit 3\ngrep -q hosts playbooks/x.yml",
            marker.display(),
            env!("CARGO_MANIFEST_DIR"),
        );
        put_linter(folder.path(), &script);
        let run = |within| lint(&files, "playbooks/x.yml", search.clone(), within);
        assert_eq!(run(LintIn::Sandbox), Lint::Passed);
        assert!(!marker.exists(), "it wrote outside of its sandbox");
        assert!(matches!(run(LintIn::Open), Lint::NotRun(_)));
        assert!(marker.exists(), "the test sees what is written");
    }
}
