//! Runs over SSH to a private server: host keys, hosts that do not answer, and what is left there.

use std::time::Duration;

use chiffon_agent::{Swept, Worker};
use chiffon_common::{ErrorCode, HostOutcome, ResultStatus};
use chiffon_tests::{Sshd, wait_for};
use tokio_util::sync::CancellationToken;

use crate::room::{Room, tells, worker};

pub(crate) fn inventory(server: &Sshd) -> String {
    format!(
        "all:\n  hosts:\n    nas:\n      ansible_host: 127.0.0.1\n      ansible_port: {}\n      ansible_user: {}\n      ansible_ssh_private_key_file: {}\n",
        server.port(),
        server.user(),
        server.client_key_path().display()
    )
}

pub(crate) fn room(server: &Sshd, tasks: &str) -> Room {
    let mut room = Room::with_inventory(tasks, &inventory(server), &["nas"]);
    room.add("inventory/known_hosts", &(server.host_key_line() + "\n"));
    room
}

const WRITE: &str =
    "    - name: Write it\n      ansible.builtin.copy: {dest: \"{{ out }}\", content: \"there\"}\n";

const PING: &str = "    - name: Knock\n      ansible.builtin.ping:\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_host_is_changed_over_ssh_and_others_are_not_connected_to() {
    let Some(mut server) = Sshd::start_or_report("runs over SSH") else {
        return;
    };
    let mut good = room(&server, WRITE);
    let out = good.path("out");
    good.parameter("out", out.to_str().unwrap());
    let ended = good.run().await;
    assert_eq!(
        ended.status,
        ResultStatus::Completed,
        "{:?} {}",
        ended.error,
        ended.output
    );
    assert_eq!(good.read("out"), "there");
    assert!(!remote_folder(&good).exists(), "its folder there is gone");
    assert_eq!(ended.hosts["nas"].outcome, HostOutcome::Changed);

    let unknown = Room::with_inventory(PING, &inventory(&server), &["nas"]);
    let ended = unknown.run().await;
    assert_eq!(ended.status, ResultStatus::Failed);
    assert_eq!(
        ended.hosts["nas"].outcome,
        HostOutcome::Unreachable,
        "{:?}",
        ended
    );
    let problem = ended.error.unwrap();
    assert_eq!(problem.code, ErrorCode::HostKeyUnknown, "{problem}");
    assert!(problem.todo.contains("chiffon inventory trust nas"));

    let changed = room(&server, PING);
    server.restart_with_new_host_key();
    let problem = changed.run().await.error.unwrap();
    assert_eq!(problem.code, ErrorCode::HostKeyChanged, "{problem}");

    let silent = room(&server, PING);
    server.stop();
    let ended = silent.run().await;
    assert_eq!(ended.status, ResultStatus::Failed);
    assert_eq!(ended.error.unwrap().code, ErrorCode::HostUnreachable);
    assert_eq!(ended.hosts["nas"].outcome, HostOutcome::Unreachable);
}

/// The host of these tests is this machine, with the home of this user.
fn remote_folder(room: &Room) -> std::path::PathBuf {
    let home = std::env::var("HOME").unwrap();
    let mark = format!("chiffon-{}", room.work.run_id());
    std::path::Path::new(&home).join(".ansible/tmp").join(mark)
}

/// Sleeps under a module's program on the host, deaf to everything but a kill.
const HANG: &str = "    - name: Hang there\n      ansible.builtin.shell: trap '' TERM HUP INT; sleep 1101; sleep 1102\n";

fn remote_sleepers() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.starts_with("sleep 110")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_on_a_host_ends_with_the_run_or_its_sweep() {
    let Some(mut server) = Sshd::start_or_report("ending runs over SSH") else {
        return;
    };
    let hanging = room(&server, HANG);
    let sleeps = |piece: &chiffon_agent::Progress| {
        let begun = tells(piece, "Hang there");
        if begun {
            wait_for("it sleeps", Duration::from_secs(20), || {
                (!remote_sleepers().is_empty()).then_some(())
            });
        }
        begun
    };
    let begun = std::time::Instant::now();
    let (ended, _) = hanging.run_until(CancellationToken::new(), sleeps).await;
    assert_eq!(
        ended.status,
        ResultStatus::Cancelled,
        "{:?} after {:?}",
        ended.error,
        begun.elapsed()
    );
    assert_eq!(remote_sleepers(), [""; 0]);
    assert!(!remote_folder(&hanging).exists());

    // The host goes away in mid-run: nobody can say what runs there. (This server lets no `LC_*` pass, so
    // what is deaf to the hang-up as well could not be found again.)
    let lost = room(&server, &HANG.replace("trap '' TERM HUP INT", "true"));
    let stopped = |piece: &chiffon_agent::Progress| {
        let begun = sleeps(piece);
        if begun {
            server.stop();
        }
        begun
    };
    let (ended, _) = lost.run_until(CancellationToken::new(), stopped).await;
    assert_eq!(ended.status, ResultStatus::Unknown, "{:?}", ended.error);
    assert_eq!(ended.error.unwrap().code, ErrorCode::OutcomeUnknown);
    let worker = worker(lost.temporary.path());
    let sweep = || worker.sweep(lost.work.attempt, Some(lost.path("run")));
    assert_eq!(sweep().await, Swept::Uncertain);
    // It comes back, and an agent that starts anew sweeps.
    server.restart();
    assert_eq!(sweep().await, Swept::Clean);
    assert_eq!(remote_sleepers(), [""; 0]);
}
