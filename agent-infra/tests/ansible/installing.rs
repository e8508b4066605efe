//! Finding and installing Ansible: what does not work or is too old counts as missing, and a failed
//! installation leaves nothing.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use chiffon_agent_infra::{AnsibleLocator, MIN_VERSION, Origin};
use chiffon_common::ErrorCode;

use crate::room::{ansible, ansible_home};

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

fn search(folders: &[&Path]) -> OsString {
    std::env::join_paths(folders).unwrap()
}

#[test]
fn a_shim_and_an_old_one_count_as_missing_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (shim, old, new) = (
        folder.path().join("shim"),
        folder.path().join("old"),
        folder.path().join("new"),
    );
    script(
        &shim.join("ansible-playbook"),
        "echo 'pyenv: version not installed' >&2; exit 127",
    );
    script(
        &old.join("ansible-playbook"),
        "echo 'ansible-playbook [core 2.18.0]'",
    );
    script(&old.join("ansible"), "true");
    script(
        &new.join("ansible-playbook"),
        "echo 'ansible-playbook [core 2.20.1]'; echo '  python version = 3.13.1 (x)'",
    );
    script(&new.join("ansible"), "true");
    let locator = AnsibleLocator::with_search_path(folder.path(), search(&[&shim, &old]));
    let problem = locator.find().unwrap_err();
    assert_eq!(problem.code, ErrorCode::AnsibleMissing);
    assert!(
        problem.detail.contains("version not installed"),
        "{problem}"
    );
    assert!(
        problem.detail.contains("2.18.0, older than 2.18.1"),
        "{problem}"
    );
    let locator = AnsibleLocator::with_search_path(folder.path(), search(&[&shim, &old, &new]));
    let found = locator.find().unwrap();
    assert_eq!(
        (found.origin, found.python.as_str()),
        (Origin::Path, "3.13.1")
    );
    assert_eq!(found.playbook, new.join("ansible-playbook"));
}

#[test]
fn the_private_one_is_installed_once_and_found_again() {
    let installed = ansible();
    assert_eq!(installed.origin, Origin::Private);
    assert!(installed.version > MIN_VERSION);
    let locator = AnsibleLocator::with_search_path(&ansible_home(), OsString::new());
    assert_eq!(locator.find().unwrap(), installed);
    // Without any Python, uv or network.
    assert_eq!(locator.ensure(&|step| panic!("{step}")).unwrap(), installed);
}

#[test]
fn where_nothing_can_install_it_the_package_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let locator = AnsibleLocator::with_search_path(folder.path(), OsString::from("/nowhere"));
    let problem = locator.ensure(&|_| {}).unwrap_err();
    assert_eq!(problem.code, ErrorCode::AnsibleMissing);
    assert!(
        problem.todo.contains("apt install python3 python3-venv"),
        "{problem:?}"
    );
}

#[test]
fn a_python_without_venv_and_pip_fails_cleanly_and_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    let python = bin.join("python3");
    let text = format!(
        "case \"$1 $2\" in '-m venv') mkdir -p \"$3/bin\"; echo 'ensurepip is not available, apt install python3-venv' >&2; exit 1;; \
         '-m pip') echo 'No module named pip' >&2; exit 1;; *) echo 3 12; echo {};; esac",
        python.display()
    );
    script(&python, &text);
    let locator = AnsibleLocator::with_search_path(folder.path(), search(&[&bin]));
    let steps = std::cell::RefCell::new(Vec::new());
    let problem = locator
        .ensure(&|step| steps.borrow_mut().push(step.to_owned()))
        .unwrap_err();
    assert_eq!(problem.code, ErrorCode::AnsibleInstallFailed);
    for part in [
        "uv: it is not installed",
        "ensurepip is not available",
        "No module named pip",
    ] {
        assert!(problem.detail.contains(part), "{part} in {problem}");
    }
    assert!(problem.todo.contains("apt install python3-venv"));
    // What is not there is a reason in the end, but not announced.
    assert_eq!(steps.borrow().len(), 2, "{:?}", steps.borrow());
    let left: Vec<_> = fs::read_dir(folder.path().join("ansible"))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|entry| entry.file_type().unwrap().is_file()),
        "{left:?}"
    );
}

/// A Debian Python without `python3-venv`: pip alone must do, into a folder with a blank in its name.
#[test]
fn pip_alone_installs_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("da ta");
    fs::create_dir(&home).unwrap();
    let real = ansible()
        .playbook
        .with_file_name("python")
        .canonicalize()
        .unwrap();
    let bin = folder.path().join("bin");
    let shown = bin.join("python3");
    script(
        &shown,
        &format!(
            "case \"$1 $2\" in '-m venv') echo 'ensurepip is not available' >&2; exit 1;; '-c import ssl'*) echo 3 11; echo {};; *) exec {} \"$@\";; esac",
            shown.display(),
            real.display()
        ),
    );
    let locator = AnsibleLocator::with_search_path(&home, search(&[&bin]));
    let found = locator.ensure(&|step| println!("{step}")).unwrap();
    assert_eq!(found.origin, Origin::Private);
    assert!(found.playbook.starts_with(&home));
    assert_eq!(locator.find().unwrap(), found);
}
