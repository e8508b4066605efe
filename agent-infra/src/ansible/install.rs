//! The private Ansible: a pinned requirements file with hashes, installed by whichever of uv, venv with
//! pip, or pip alone is there. A virtual environment cannot be moved, so it is made where it stays and
//! a marker, written last, tells that it is whole.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use chiffon_common::{Digest, ErrorCode, Problem};

use super::{Ansible, MIN_VERSION, Origin, candidates, probe::probe, python};
use crate::tool;

const REQUIREMENTS: &str = include_str!("../../ansible-requirements.txt");

/// A slow line: 20 MiB at 50 KiB a second.
const LIMIT: Duration = Duration::from_secs(600);

/// Another process may be installing.
const LOCK_LIMIT: Duration = Duration::from_secs(900);

const MARKER: &str = "installed.json";

/// One way to install.
struct Means {
    name: &'static str,
    make: fn(&Site<'_>) -> Result<(), String>,
}

const ALL_MEANS: [Means; 3] = [
    Means {
        name: "uv",
        make: with_uv,
    },
    Means {
        name: "venv and pip",
        make: with_venv,
    },
    Means {
        name: "pip",
        make: with_pip,
    },
];

/// What every way needs to know.
struct Site<'a> {
    folder: &'a Path,
    requirements: &'a Path,
    search: &'a OsString,
    python: Option<&'a python::Python>,
}

/// The private Ansible of these very requirements, if it is whole. It is not run.
pub(super) fn installed(folder: &Path) -> Option<Ansible> {
    let marker = fs::read(site(folder).join(MARKER)).ok()?;
    let ansible: Ansible = serde_json::from_slice(&marker).ok()?;
    let interpreter = ansible.playbook.with_file_name("python");
    let works = ansible.playbook.is_file() && (!is_link(&interpreter) || interpreter.exists());
    works.then_some(ansible)
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_symlink())
}

/// The place of these requirements.
fn site(folder: &Path) -> PathBuf {
    folder.join(Digest::of_bytes(REQUIREMENTS.as_bytes()).short())
}

/// Installs, or waits for the one who does.
pub(super) fn install(
    folder: &Path,
    search: &OsString,
    progress: &dyn Fn(&str),
) -> Result<Ansible, Problem> {
    let failed = |why: String| {
        Problem::new(
            ErrorCode::AnsibleInstallFailed,
            format!("The private Ansible could not be installed: {why}."),
            "Look after the cause (network, disk space, `apt install python3-venv`) and ask again.",
        )
    };
    make_folder(folder).map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    let _lock = lock(&folder.join("lock"), progress).map_err(failed)?;
    if let Some(ansible) = installed(folder) {
        return Ok(ansible);
    }
    let python = python::find(search);
    let target = site(folder);
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)
        .map_err(|error| failed(format!("{}: {error}", requirements.display())))?;
    let site = Site {
        folder: &target,
        requirements: &requirements,
        search,
        python: python.as_ref(),
    };
    let mut reasons = Vec::new();
    for means in ALL_MEANS {
        if means.name != "uv" || !candidates(search, "uv").is_empty() {
            progress(&format!("Installing a private Ansible with {}", means.name));
        }
        match install_with(&means, &site) {
            Ok(ansible) => {
                progress(&format!("Installed ansible-core {}", ansible.version));
                return Ok(ansible);
            }
            Err(why) => reasons.push(format!("{}: {why}", means.name)),
        }
    }
    if site.python.is_none() {
        return Err(Problem::new(
            ErrorCode::AnsibleMissing,
            format!(
                "There is no Ansible, and nothing to install it with: {}.",
                reasons.join("; ")
            ),
            "Install Python 3.11 or later with venv (`apt install python3 python3-venv`), or uv.",
        ));
    }
    Err(failed(reasons.join("; ")))
}

fn install_with(means: &Means, site: &Site<'_>) -> Result<Ansible, String> {
    let made = start_afresh(site.folder)
        .and_then(|()| (means.make)(site))
        .and_then(|()| finish(site.folder));
    if made.is_err() {
        // What is half there must not look like something; the reason that is told is the first one.
        let _second_failure = start_afresh(site.folder);
    }
    made
}

fn start_afresh(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Runs what was installed and writes the marker.
fn finish(folder: &Path) -> Result<Ansible, String> {
    let ansible = probe(&folder.join("bin/ansible-playbook"), Origin::Private)?;
    if ansible.version < MIN_VERSION {
        return Err(format!("ansible-core {} was installed", ansible.version));
    }
    let text = serde_json::to_vec(&ansible).map_err(|error| error.to_string())?;
    let draft = folder.join("installed.json.new");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, folder.join(MARKER)))
        .map_err(|error| format!("the marker cannot be written: {error}"))?;
    Ok(ansible)
}

fn with_uv(site: &Site<'_>) -> Result<(), String> {
    let programs = candidates(site.search, "uv");
    let uv = programs.first().ok_or("it is not installed")?;
    let mut venv = Command::new(uv);
    venv.args(["venv", "--quiet", "--no-project", "--python"]);
    match site.python {
        Some(python) => venv.arg(&python.program),
        None => venv.arg(">=3.11,<3.14"),
    };
    succeed(venv.arg(site.folder))?;
    let mut install = Command::new(uv);
    install
        .args(["pip", "install", "--quiet", "--python"])
        .arg(site.folder.join("bin/python"))
        .args([
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
        ]);
    succeed(install.arg(site.requirements))
}

fn with_venv(site: &Site<'_>) -> Result<(), String> {
    let python = site.python.ok_or("there is no Python 3.11 or later")?;
    succeed(
        Command::new(&python.program)
            .args(["-m", "venv"])
            .arg(site.folder),
    )?;
    let mut install = Command::new(site.folder.join("bin/python"));
    succeed(pip_install(&mut install).arg(site.requirements))
}

/// Without a virtual environment: a folder of packages, and launchers that put it in front.
fn with_pip(site: &Site<'_>) -> Result<(), String> {
    let python = site.python.ok_or("there is no Python 3.11 or later")?;
    let packages = site.folder.join("packages");
    let mut install = Command::new(&python.program);
    pip_install(&mut install).arg(site.requirements);
    succeed(install.arg("--target").arg(&packages))?;
    let bin = site.folder.join("bin");
    make_folder(&bin).map_err(|error| error.to_string())?;
    let launchers = [
        ("ansible-playbook", "playbook"),
        ("ansible", "adhoc"),
        ("ansible-inventory", "inventory"),
    ];
    for (name, module) in launchers {
        let launcher = launcher(&python.program, &packages, module)?;
        let path = bin.join(name);
        fs::write(&path, launcher)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Shell, because an interpreter's path in a `#!` line can hold no blanks.
fn launcher(python: &Path, packages: &Path, module: &str) -> Result<String, String> {
    let quote = |path: &Path| {
        let text = path
            .to_str()
            .ok_or("the path of the data folder is no UTF-8")?;
        Ok::<_, String>(text.replace('\'', r"'\''"))
    };
    let (python, packages) = (quote(python)?, quote(packages)?);
    let code = format!(
        "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = \"ansible-{module}\"; \
         from ansible.cli.{module} import main; sys.exit(main())"
    );
    Ok(format!(
        "#!/bin/sh\nexec '{python}' -c '{code}' '{packages}' \"$@\"\n"
    ))
}

fn pip_install(python: &mut Command) -> &mut Command {
    python.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    python.args([
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
    ])
}

fn succeed(command: &mut Command) -> Result<(), String> {
    forget_python_settings(command);
    let output = tool::output_within(command, LIMIT).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(tool::complaint(&output))
    }
}

/// Mirrors and certificates of the person's pip and uv are wanted (the hashes guard what they give);
/// settings that point Python elsewhere are not.
pub(super) fn forget_python_settings(command: &mut Command) {
    for name in [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "VIRTUAL_ENV",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_USER",
        "PIP_ROOT",
        "PIP_REQUIRE_VIRTUALENV",
        "UV_PROJECT_ENVIRONMENT",
    ] {
        command.env_remove(name);
    }
}

/// The lock that two installations meet at; released when the file is closed.
fn lock(path: &Path, progress: &dyn Fn(&str)) -> Result<File, String> {
    let said = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(said)?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    progress("Waiting for another installation of Ansible");
    let (got, lock) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        // Nobody listens any more when it took too long.
        let _late = got.send(locked);
    });
    match lock.recv_timeout(LOCK_LIMIT) {
        Ok(locked) => locked.map_err(said),
        Err(_) => Err(format!("{} is held by another process", path.display())),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
