//! Taking back what the shipped entries did, on this machine and over SSH, with the real Ansible: content,
//! permissions, owner, and that there was no file before.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use chiffon_tests::Sshd;

use crate::fresh::{Fresh, id_of, json, newest};

/// Bytes, permissions, owner and group; nothing where there is no file.
fn state(path: &Path) -> Option<(Vec<u8>, u32, u32, u32)> {
    let about = fs::symlink_metadata(path).ok()?;
    let mode = about.permissions().mode() & 0o7777;
    Some((fs::read(path).unwrap(), mode, about.uid(), about.gid()))
}

fn write(fresh: &Fresh, path: &Path, more: &str, host: &str) -> String {
    let change = format!(
        "write_file path={} content=new {more} on {host}",
        path.display()
    );
    fresh.run(&["run", &change, "--yes"]).expect_code(0);
    id_of(&newest(fresh))
}

fn undo(fresh: &Fresh, id: &str) -> String {
    fresh.run(&["undo", id, "--yes"]).expect_code(0);
    id_of(&newest(fresh))
}

#[test]
fn a_file_that_was_made_is_gone_after_the_undo_and_there_again_after_its_undo() {
    let fresh = Fresh::new();
    let path = fresh.home.scratch().join("made");
    let id = write(&fresh, &path, "", "localhost");
    let made = state(&path);
    assert!(made.is_some());

    let done = fresh.run(&["undo", &id, "--yes"]).expect_code(0);
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(
        said.contains("takes back request") && said.contains("absent"),
        "{said}"
    );
    let undone = id_of(&newest(&fresh));
    assert_eq!(state(&path), None);
    let again = fresh.run(&["undo", &id, "--yes"]).expect_code(5);
    assert!(again.stderr.contains("5311"), "{}", again.stderr);
    let shown = fresh.run(&["request", "show", &id]).expect_code(0);
    assert!(
        shown.stdout.contains(&format!("undone by  {undone}")),
        "{}",
        shown.stdout
    );
    undo(&fresh, &undone);
    assert_eq!(state(&path), made);
    fresh.run(&["audit", "verify"]).expect_code(0);
}

#[test]
fn over_ssh_content_permissions_and_owner_come_back_and_what_others_changed_stays() {
    let Some(sshd) = Sshd::start_or_report("an undo over SSH") else {
        return;
    };
    let fresh = Fresh::with_hosts(&format!(
        "    box:\n      ansible_host: 127.0.0.1\n      ansible_port: {}\n      ansible_user: {}\n      ansible_ssh_private_key_file: {}\n",
        sshd.port(),
        sshd.user(),
        sshd.client_key_path().display(),
    ));
    fresh
        .run(&["inventory", "trust", "box", "--yes"])
        .expect_code(0);
    let path = fresh.home.scratch().join("there");
    fs::write(&path, b"old\0bytes\xff").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
    }
    let before = state(&path);
    let id = write(&fresh, &path, "mode=0600 owner=root", "box");
    let written = state(&path);
    assert_ne!(written, before);
    let undone = undo(&fresh, &id);
    assert_eq!(state(&path), before);

    // Somebody else was faster: the preview says so, and nothing is lost.
    fs::write(&path, b"by hand").unwrap();
    let planned = fresh.run(&["undo", &undone, "--dry-run"]);
    let said = format!("{}{}", planned.stdout, planned.stderr);
    assert!(said.contains("somebody else"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"by hand");
}

#[test]
fn every_shipped_entry_has_a_way_back_or_says_why_not() {
    let fresh = Fresh::new();
    let list = fresh.run(&["catalogue", "list", "--json"]).expect_code(0);
    let list = json(&list.stdout);
    let entries = list["entries"]
        .as_array()
        .or(list["items"].as_array())
        .unwrap();
    assert!(entries.len() >= 6, "{list:#}");
    for entry in entries {
        let undo = entry["undo"].as_str().unwrap();
        let says_why = undo.len() > 20 && !undo.contains("names no way back");
        assert!(
            undo.starts_with("by ") || says_why,
            "{}: {undo}",
            entry["id"]
        );
    }
}

/// An undo that breaks off at any step is asked for again when what was in its way is gone: what it had taken back already
/// is taken back twice then, and nothing is left over (R51).
#[test]
fn an_undo_that_broke_off_at_any_step_is_done_by_the_next_and_takes_nothing_back_wrongly() {
    let fresh = Fresh::new();
    let paths = ["a", "b", "c"].map(|name| fresh.home.scratch().join(name));
    // Two that were there, one with odd permissions, and one that was not.
    fs::write(&paths[0], b"old\0bytes\xff").unwrap();
    fs::set_permissions(&paths[0], fs::Permissions::from_mode(0o604)).unwrap();
    fs::write(&paths[1], b"another").unwrap();
    let before = [0, 1, 2].map(|at| state(&paths[at]));
    let writes =
        [0, 1, 2].map(|at| format!("write \"new{at}\" to {} on localhost", paths[at].display()));
    for broken in [2, 1, 0] {
        fresh
            .run(&["run", &writes.join(", then "), "--yes"])
            .expect_code(0);
        let id = id_of(&newest(&fresh));
        let written = [0, 1, 2].map(|at| state(&paths[at]));
        // Somebody else's file is in the way of one step.
        fs::write(&paths[broken], b"by hand").unwrap();
        fresh.run(&["undo", &id, "--yes"]).expect_code(1);
        let failed = newest(&fresh);
        assert_eq!(failed["state"], "failed", "{failed:#}");
        for at in 0..paths.len() {
            match at.cmp(&broken) {
                std::cmp::Ordering::Less => assert_eq!(state(&paths[at]), written[at]),
                std::cmp::Ordering::Equal => {
                    assert_eq!(fs::read(&paths[at]).unwrap(), b"by hand");
                }
                std::cmp::Ordering::Greater => assert_eq!(state(&paths[at]), before[at]),
            }
        }
        // It is out of the way, and the undo is asked for once more.
        fs::write(&paths[broken], format!("new{broken}")).unwrap();
        undo(&fresh, &id);
        assert_eq!([0, 1, 2].map(|at| state(&paths[at])), before, "{broken}");
        let again = fresh.run(&["undo", &id, "--yes"]).expect_code(5);
        assert!(again.stderr.contains("5311"), "{}", again.stderr);
        let names = fs::read_dir(fresh.home.scratch()).unwrap();
        let ours = names.filter(|name| {
            let name = name.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(['a', 'b', 'c'])
        });
        let there = before.iter().flatten().count();
        assert_eq!(ours.count(), there, "something is left over");
    }
    fresh.run(&["audit", "verify"]).expect_code(0);
}
