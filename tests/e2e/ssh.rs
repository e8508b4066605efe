//! A second host over real SSH: its key is pinned once by a person, and a changed one stops everything.

use std::fs;

use chiffon_tests::{Sshd, wait_for};

use crate::fresh::{Fresh, LIMIT, id_of, json, newest};

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
    let shown = ["request", "show", &id_of(&newest(&fresh)), "--json"];
    let shown = json(&fresh.run(&shown).expect_code(0).stdout);
    assert_eq!(shown["tasks"][0]["attempt"], 3, "not tried again");
}

/// What does not answer waits for its next try, longer each time; a person hurries it up, and ends it.
#[test]
fn what_waits_for_its_next_try_is_tried_at_once_or_ended_by_a_person() {
    let Some(mut sshd) = Sshd::start_or_report("a host that is tried again") else {
        return;
    };
    let fresh = with_box(&sshd);
    let trust = ["inventory", "trust", "box", "--yes"];
    fresh.run(&trust).expect_code(0);
    sshd.stop();
    let chiffon = fresh.chiffon().env("CHIFFON_RETRY__ATTEMPTS", "20");
    let mut up = chiffon.spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let run = chiffon.spawn(&["run", "ping box", "--no-input"]);
    let waits = wait_for("the next try", LIMIT, || {
        let newest = newest(&fresh);
        let id = newest["request_id"].as_str()?;
        let shown = fresh.run(&["request", "show", id, "--json"]);
        let shown = json(&shown.expect_code(0).stdout);
        shown["tasks"][0]["tries_again_at"].as_str()?;
        Some(shown)
    });
    let id = waits["request_id"].as_str().unwrap();
    let because = waits["tasks"][0]["because"].as_str().unwrap();
    assert!(
        because.starts_with("tries again at ")
            && because.contains(": box did not answer; attempt "),
        "{because}"
    );
    // The next try may begin by itself at any moment; the one after it waits longer.
    wait_for("a try at once", LIMIT, || {
        (chiffon.run(&["request", "retry-now", id]).code() == Some(0)).then_some(())
    });
    // Ended between two tries: by now the waits are long, and nothing of it is at work.
    wait_for("a longer wait", LIMIT, || {
        let shown = fresh.run(&["request", "show", id, "--json"]);
        let task = json(&shown.expect_code(0).stdout)["tasks"][0].clone();
        task["tries_again_at"].as_str()?;
        (task["attempt"].as_u64()? >= 4).then_some(())
    });
    chiffon.run(&["request", "cancel", id]).expect_code(0);
    assert_ne!(run.wait(LIMIT).code(), Some(0));
    let late = chiffon.run(&["request", "resolve", id, "completed"]);
    assert_eq!(late.code(), Some(5), "{}", late.stderr);
    assert!(late.stderr.contains("5315"), "{}", late.stderr);
    let late = chiffon.run(&["request", "retry-now", id]);
    assert_eq!(late.code(), Some(5), "{}", late.stderr);
    chiffon.run(&["inventory", "clear", "box"]).expect_code(0);
    chiffon
        .run(&["inventory", "clear", "nowhere"])
        .expect_code(3);
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}

/// A host that takes the connection and never says a word: its check run is cancelled, everything else goes on.
#[test]
fn a_preview_on_a_dead_host_can_be_cancelled_and_holds_nothing_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let fresh = Fresh::with_hosts(&format!(
        "    hole:\n      ansible_host: 127.0.0.1\n      ansible_port: {port}\n"
    ));
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIGPKvbiL2ZeRkTVi1UWZIYNLyaPAgiWWDk5HfVvvVvvV";
    fresh.home.write(
        "inventory/known_hosts",
        &format!("[127.0.0.1]:{port} ssh-ed25519 {key}\n"),
    );
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let chiffon = fresh.chiffon();
    let waiting = chiffon.spawn(&[
        "run",
        "write_file path=/tmp/hole content=x on hole",
        "--no-input",
    ]);
    let list = || -> serde_json::Value {
        let list = chiffon.run(&["request", "list", "--json"]).expect_code(0);
        serde_json::from_str(&list.stdout).unwrap()
    };
    let first = |list: &serde_json::Value, field: &str| {
        list["items"][0][field]
            .as_str()
            .or(list[0][field].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let id = wait_for("the check run", LIMIT, || {
        let list = list();
        (first(&list, "state") == "previewing").then(|| first(&list, "request_id"))
    });
    chiffon.run(&["request", "cancel", &id]).expect_code(0);
    assert_ne!(waiting.wait(LIMIT).code(), Some(0));
    let shown = chiffon
        .run(&["request", "show", &id, "--json"])
        .expect_code(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["state"], "cancelled", "{shown:#}");
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}
