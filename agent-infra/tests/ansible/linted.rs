//! The shipped entries before a real `ansible-lint`, with the profile that lies beside them.

use std::{fs, path::Path, process::Command};

use chiffon_tests::{not_run, repository_root, venv};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn a_real_linter_finds_nothing_in_the_shipped_entries() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible-lint-venv");
    let requirements = repository_root().join("agent-infra/tests/ansible/lint-requirements.txt");
    let programs = match venv(&home, &requirements) {
        Ok(programs) => programs,
        Err(why) => return not_run("ansible-lint over the shipped entries", &why),
    };
    // It leaves a folder of its own beside what it reads.
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("playbooks");
    copy(&repository_root().join("playbooks"), &tree);
    let lint = |files: &[&str]| {
        let mut command = Command::new(programs.join("ansible-lint"));
        command
            .args(["--offline", "--nocolor", "-q", "--format", "pep8"])
            .args(files)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("HOME", place.path())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&tree);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), format!("{said}{errors}"))
    };
    let (code, said) = lint(&[]);
    assert_eq!(code, Some(0), "{said}");
    // It would find something.
    let bad = "roles/ping/tasks/main.yml";
    fs::write(tree.join(bad), "- command: ls\n").unwrap();
    let (code, said) = lint(&[bad]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(bad), "{said}");
}
