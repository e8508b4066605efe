//! A second host over real SSH: its key is pinned once by a person, and a changed one stops everything.

use std::fs;

use chiffon_tests::{Sshd, not_run};

use crate::fresh::Fresh;

fn with_box(sshd: &Sshd) -> Fresh {
    Fresh::with_hosts(&format!(
        "    box:\n      ansible_host: 127.0.0.1\n      ansible_port: {}\n      ansible_user: {}\n      ansible_ssh_private_key_file: {}\n",
        sshd.port(),
        sshd.user(),
        sshd.client_key_path().display(),
    ))
}

#[test]
fn an_ssh_host_is_used_only_after_its_key_was_pinned_and_never_with_another() {
    let Some(mut sshd) = Sshd::start_or_report("a host over SSH") else {
        return;
    };
    let fresh = with_box(&sshd);
    let unpinned = fresh.run(&["run", "ping box"]);
    assert_ne!(unpinned.code(), Some(0));
    let said = format!("{}{}", unpinned.stdout, unpinned.stderr);
    assert!(
        said.contains("5408") && said.contains("inventory trust box"),
        "{said}"
    );

    let trusted = fresh
        .run(&["inventory", "trust", "box", "--yes"])
        .expect_code(0);
    assert!(
        format!("{}{}", trusted.stdout, trusted.stderr).contains("SHA256:"),
        "no fingerprint was shown"
    );
    fresh.run(&["run", "ping box"]).expect_code(0);

    let target = fresh.home.scratch().join("over-ssh");
    let payload = "{{ lookup('pipe', 'id') }}";
    let change = format!(
        "write_file path={} content=\"{payload}\" on box",
        target.display()
    );
    fresh.run(&["run", &change, "--yes"]).expect_code(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), payload);

    sshd.restart_with_new_host_key();
    let changed = fresh.run(&["run", "ping box"]);
    assert_eq!(changed.code(), Some(1), "{}", changed.stderr);
    let said = format!("{}{}", changed.stdout, changed.stderr);
    assert!(said.contains("5409") || said.contains("key"), "{said}");
}

#[test]
fn a_host_that_does_not_answer_is_unreachable_and_named() {
    let Some(mut sshd) = Sshd::start_or_report("an unreachable host") else {
        return;
    };
    let fresh = with_box(&sshd);
    fresh
        .run(&["inventory", "trust", "box", "--yes"])
        .expect_code(0);
    sshd.stop();
    let lost = fresh.run(&["run", "ping box"]).expect_code(1);
    let said = format!("{}{}", lost.stdout, lost.stderr);
    assert!(said.contains("5407") && said.contains("box"), "{said}");
    if cfg!(not(target_os = "linux")) {
        not_run("SSH", "the fixtures know Linux only");
    }
}
