//! Bad input: a clear error with what, why and what to do; nothing is lost by it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use chiffon_tests::not_run;

use crate::fresh::Fresh;

#[test]
fn sentences_that_are_none() {
    let fresh = Fresh::new();
    let long = "x".repeat(9_000);
    for (sentence, code) in [
        ("", "5007"),
        ("   ", "5007"),
        ("a\u{1}b", "5008"),
        (long.as_str(), "5009"),
    ] {
        let refused = fresh.run(&["run", sentence]).expect_code(2);
        assert!(refused.stderr.contains(code), "{code}: {}", refused.stderr);
    }
    let unsure = fresh
        .run(&["run", "what is the meaning of life", "--no-input"])
        .expect_code(6);
    assert!(
        format!("{}{}", unsure.stdout, unsure.stderr).contains("host_report")
            || unsure.stderr.contains("catalogue list"),
        "{}",
        unsure.stderr
    );
}

#[test]
fn hosts_and_parameters_that_do_not_fit() {
    let fresh = Fresh::new();
    for (sentence, word) in [
        ("ping on nowhere", "nowhere"),
        ("host_report section=kitchen on localhost", "section"),
        ("write_file path=relative/x content=x on localhost", "path"),
        (
            "write_file path=/tmp/../etc/x content=x on localhost",
            "path",
        ),
        ("write_file content=x on localhost", "path"),
        ("package_install name=../../etc/passwd on localhost", "name"),
        ("../../etc/passwd on localhost", ""),
        ("ping colour=blue on localhost", "colour"),
    ] {
        let refused = fresh.run(&["run", sentence, "--yes", "--no-input"]);
        assert_ne!(
            refused.code(),
            Some(0),
            "{sentence} was run: {}",
            refused.stdout
        );
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains(word), "{sentence}: {said}");
    }
}

#[test]
fn a_broken_catalogue_file_is_named_with_its_line_and_the_rest_loads() {
    let fresh = Fresh::new();
    fresh.entry(
        "broken",
        "title: x\ntier: 1\ntire: 2\n  bad\n",
        "- name: x\n",
    );
    let listed = fresh.run(&["catalogue", "list"]);
    let said = format!("{}{}", listed.stdout, listed.stderr);
    assert!(
        said.contains("host_report") && said.contains("1 not loaded: chiffon catalogue check"),
        "{said}"
    );
    let checked = fresh.run(&["catalogue", "check"]);
    assert_eq!(checked.code(), Some(1), "{}", checked.stdout);
    assert!(
        format!("{}{}", checked.stdout, checked.stderr).contains("broken.chiffon.yml:3"),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    fresh.run(&["run", "ping localhost"]).expect_code(0);
}

#[test]
fn an_unknown_configuration_key_names_the_nearest_known_one() {
    let fresh = Fresh::new();
    fresh.home.write_config("http:\n  lisen: 127.0.0.1:1\n");
    let refused = fresh.run(&["request", "list"]).expect_code(2);
    assert!(
        refused.stderr.contains("5801") && refused.stderr.contains("listen"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_data_folder_that_is_too_open_or_cannot_be_written_is_refused() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let set =
        |mode| fs::set_permissions(fresh.home.path(), fs::Permissions::from_mode(mode)).unwrap();
    set(0o755);
    let open = fresh.run(&["request", "list"]);
    assert_ne!(open.code(), Some(0));
    assert!(
        open.stderr.contains("5803") && open.stderr.contains("chmod"),
        "{}",
        open.stderr
    );
    set(0o700);
    match ReadOnly::make(&fresh.home.path()) {
        Some(_shut) => {
            let shut = fresh.run(&["run", "ping localhost"]);
            assert_ne!(shut.code(), Some(0));
            let named = shut.stderr.contains("5803") || shut.stderr.contains("5503");
            assert!(named, "{}", shut.stderr);
        }
        None => not_run(
            "a read-only data folder",
            "it cannot be mounted read-only here",
        ),
    }
    fresh.run(&["request", "list"]).expect_code(0);
}

/// A folder or file that nobody can write, root included, until this is dropped.
pub struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    pub fn make(folder: &std::path::Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
            return Some(Self(folder.to_owned()));
        }
        let mount = |options: &str| {
            let mounted = Command::new("mount")
                .args(["-o", options])
                .arg(folder)
                .arg(folder)
                .status();
            mounted.is_ok_and(|status| status.success())
        };
        if !mount("bind") {
            return None;
        }
        let made = Self(folder.to_owned());
        let shut = Command::new("mount")
            .args(["-o", "remount,ro,bind"])
            .arg(folder)
            .status();
        shut.is_ok_and(|status| status.success()).then_some(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if rustix::process::geteuid().is_root() {
            let _seen_by_what_follows = Command::new("umount").arg("-l").arg(&self.0).status();
        } else {
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

/// On a file system of its own that is full: nothing that was taken is lost.
#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let fresh = Fresh::new();
    let disk = fresh.home.scratch().join("disk");
    fs::create_dir_all(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "none"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        not_run("a full disk", "a small file system cannot be mounted here");
        return;
    }
    let home = disk.join("home");
    let shared = crate::fresh::shared_ansible();
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    if shared.exists() {
        std::os::unix::fs::symlink(shared, home.join("ansible")).unwrap();
    }
    let chiffon = fresh.chiffon().env("CHIFFON_HOME", &home);
    let first = chiffon.run(&["run", "ping localhost"]);
    let filler = disk.join("filler");
    let _full = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", filler.display()))
        .output();
    let full = chiffon.run(&["run", "ping localhost"]);
    fs::remove_file(&filler).unwrap();
    let after = chiffon.run(&["run", "ping localhost"]);
    let verified = chiffon.run(&["audit", "verify"]);
    let unmounted = Command::new("umount")
        .arg("-l")
        .arg(&disk)
        .status()
        .unwrap();
    assert!(unmounted.success());
    assert_eq!(first.code(), Some(0), "{}", first.stderr);
    assert_ne!(full.code(), Some(0), "it ran on a full disk");
    assert!(
        full.stderr.contains("full") || full.stderr.contains("space"),
        "{}",
        full.stderr
    );
    assert_eq!(after.code(), Some(0), "{}", after.stderr);
    assert_eq!(verified.code(), Some(0), "{}", verified.stdout);
}

#[test]
fn data_of_a_newer_version_is_left_alone() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let database = fresh.home.path().join("chiffon.db");
    let edit = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(\"INSERT INTO refinery_schema_history(version,name,applied_on,checksum) VALUES (9999,'later','2030-01-01T00:00:00Z','1')\"); c.commit()";
    let edited = Command::new("python3")
        .args(["-c", edit])
        .arg(&database)
        .status()
        .unwrap();
    assert!(edited.success());
    let refused = fresh.run(&["request", "list"]);
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("5504") && refused.stderr.contains("9999"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_edited_audit_record_is_found() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let edit = "import sqlite3,sys
c=sqlite3.connect(sys.argv[1])
for (n,) in c.execute(\"select name from sqlite_master where type='trigger'\").fetchall(): c.execute('drop trigger '+n)
done=c.execute(\"update audit_log set entry=replace(entry,'local:','local:x') where entry like '%local:%'\").rowcount
c.commit()
assert done > 0";
    let edited = Command::new("python3")
        .args(["-c", edit])
        .arg(fresh.home.path().join("chiffon.db"))
        .output()
        .unwrap();
    assert!(
        edited.status.success(),
        "{}",
        String::from_utf8_lossy(&edited.stderr)
    );
    let found = fresh.run(&["audit", "verify"]);
    assert_eq!(found.code(), Some(1), "{}", found.stdout);
    assert!(
        format!("{}{}", found.stdout, found.stderr).contains("record "),
        "{}{}",
        found.stdout,
        found.stderr
    );
}
