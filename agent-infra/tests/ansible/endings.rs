//! Runs that do not end by themselves: stopped, flooding, leaving processes behind, and losing their
//! agent or their supervisor. Afterwards nothing of them is there.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chiffon_agent::{Swept, Worker};
use chiffon_common::{ErrorCode, ResultStatus};
use chiffon_tests::{processes_with_env, wait_for};
use tokio_util::sync::CancellationToken;

use crate::room::{Room, supervisor, tells, worker};

const DAEMONS: &str = r#"    - name: Leave daemons
      ansible.builtin.shell: |
        nohup sleep 1001 > /dev/null 2>&1 &
        setsid sleep 1002 > /dev/null 2>&1 &
        (setsid sh -c 'trap "" TERM HUP; (sleep 1003 & sleep 1004); sleep 1005' > /dev/null 2>&1 &)
        env -i setsid sleep 1006 > /dev/null 2>&1 &
        echo started
"#;

const HANG: &str = "    - name: Hang\n      ansible.builtin.shell: trap '' TERM; sleep 1007 & sleep 1008; sleep 1009\n";

/// Which of the sleepers above are still there. Their durations occur nowhere else.
fn sleepers() -> Vec<(String, String)> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let pid = entry.file_name().to_str()?.to_owned();
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    });
    lines
        .filter(|(_, line)| line.starts_with("sleep 100"))
        .collect()
}

fn left_of(room: &Room) -> Vec<chiffon_tests::Process> {
    processes_with_env("CHIFFON_RUN", &room.work.run_id())
}

/// One test, because all of them look for the same sleepers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outlives_its_run() {
    daemons_end_with_the_run().await;
    daemons_that_the_entry_is_for_outlive_a_run_that_completed().await;
    a_hanging_playbook_is_stopped().await;
    a_playbook_that_kills_what_runs_it_ends_and_leaves_nothing().await;
    an_agent_that_is_killed_takes_its_run_with_it().await;
    a_supervisor_that_is_killed_leaves_nothing_either().await;
    a_sweep_ends_what_nobody_watches().await;
}

async fn daemons_end_with_the_run() {
    let room = Room::new(DAEMONS);
    let ended = room.run().await;
    assert_eq!(
        ended.status,
        ResultStatus::Completed,
        "{:?} {}",
        ended.error,
        ended.output
    );
    assert_eq!(sleepers(), []);
    assert_eq!(left_of(&room), []);
}

async fn daemons_that_the_entry_is_for_outlive_a_run_that_completed() {
    let mut room = Room::new(
        "    - name: Start a service\n      ansible.builtin.shell: |\n        setsid sleep 1002 > /dev/null 2>&1 &\n",
    );
    room.add(chiffon_common::Bundle::KEEPS_DAEMONS, "");
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Completed, "{:?}", ended.error);
    let left = sleepers();
    for (pid, _) in &left {
        Command::new("kill").arg(pid).status().unwrap();
    }
    let lines: Vec<_> = left.iter().map(|(_, line)| line.trim_end()).collect();
    assert_eq!(lines, ["sleep 1002"]);
    wait_for("the service is gone", Duration::from_secs(5), || {
        sleepers().is_empty().then_some(())
    });
}

async fn a_hanging_playbook_is_stopped() {
    let room = Room::new(&format!("{DAEMONS}{HANG}"));
    let asked = std::sync::Mutex::new(None);
    let (ended, _) = room
        .run_until(CancellationToken::new(), |piece| {
            let hangs = tells(piece, "Hang");
            if hangs {
                asked.lock().unwrap().get_or_insert_with(Instant::now);
            }
            hangs
        })
        .await;
    let taken = asked.lock().unwrap().unwrap().elapsed();
    assert_eq!(ended.status, ResultStatus::Cancelled, "{:?}", ended.error);
    assert!(taken < Duration::from_secs(15), "{taken:?}");
    assert_eq!(sleepers(), []);
    assert_eq!(left_of(&room), []);
    assert!(ended.usage.cpu_hours > 0.0);
}

/// The task kills every process above it up to the supervisor, and leaves one that nobody waits for.
async fn a_playbook_that_kills_what_runs_it_ends_and_leaves_nothing() {
    let room = Room::new(
        r#"    - name: Kill
      ansible.builtin.shell: |
        setsid sh -c 'trap "" TERM HUP; sleep 1004' > /dev/null 2>&1 &
        pid=$$
        while :; do
          pid=$(awk '/^PPid:/ {print $2}' /proc/$pid/status)
          tr '\0' ' ' < /proc/$pid/cmdline | grep -q -e ansible -e python -e '^/bin/sh' || break
          above="$above $pid"
        done
        kill -KILL $above
        sleep 1005
"#,
    );
    let ended = room.run().await;
    let is_open = [ResultStatus::Failed, ResultStatus::Interrupted].contains(&ended.status);
    assert!(
        is_open,
        "{:?} {:?} {}",
        ended.status, ended.error, ended.output
    );
    assert!(ended.error.is_some(), "nobody says why");
    assert_eq!(sleepers(), []);
    assert_eq!(left_of(&room), []);
}

async fn an_agent_that_is_killed_takes_its_run_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "endings::an_agent_for_another_test",
            "--nocapture",
        ])
        .env("CHIFFON_TEST_AGENT", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run_id = folder.path().join("hangs");
    wait_for("the playbook hangs", Duration::from_secs(60), || {
        run_id.exists().then_some(())
    });
    let run_id = std::fs::read_to_string(run_id).unwrap();
    assert!(processes_with_env("CHIFFON_RUN", &run_id).len() > 3);
    agent.kill().unwrap();
    agent.wait().unwrap();
    let gone = || {
        (processes_with_env("CHIFFON_RUN", &run_id).is_empty() && sleepers().is_empty())
            .then_some(())
    };
    wait_for("nothing of the run is left", Duration::from_secs(5), gone);
}

/// The agent of the test above, in a process of its own that can be killed. Alone it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_for_another_test() {
    let Some(folder) = std::env::var_os("CHIFFON_TEST_AGENT") else {
        return;
    };
    let room = Room::new(&format!("{DAEMONS}{HANG}"));
    let note = std::path::Path::new(&folder).join("hangs");
    let (_, _) = room
        .run_until(CancellationToken::new(), |piece| {
            if tells(piece, "Hang") {
                let draft = note.with_extension("new");
                std::fs::write(&draft, room.work.run_id()).unwrap();
                std::fs::rename(draft, &note).unwrap();
            }
            false
        })
        .await;
    panic!("it is killed before the run ends");
}

async fn a_supervisor_that_is_killed_leaves_nothing_either() {
    let room = Room::new(&format!("{DAEMONS}{HANG}"));
    let (ended, _) = room
        .run_until(CancellationToken::new(), |piece| {
            if tells(piece, "Hang") {
                let is_supervisor = |process: &&chiffon_tests::Process| {
                    process
                        .command_line
                        .contains(chiffon_agent_infra::SUPERVISE_ARG)
                };
                let processes = left_of(&room);
                let supervisor = processes.iter().find(is_supervisor).unwrap();
                let killed = Command::new("kill")
                    .args(["-KILL", &supervisor.pid.to_string()])
                    .status();
                assert!(killed.unwrap().success());
            }
            false
        })
        .await;
    assert_eq!(ended.status, ResultStatus::Interrupted, "{:?}", ended.error);
    assert_eq!(ended.error.unwrap().code, ErrorCode::Interrupted);
    assert_eq!(left_of(&room), []);
    // One had cleared its environment and lost its supervisor: no mark, no parent. Only that one cannot
    // be found; it is ended here for the tests after this one.
    let unmarked = sleepers();
    assert!(
        unmarked
            .iter()
            .all(|(_, line)| line.starts_with("sleep 1006")),
        "{unmarked:?}"
    );
    for (pid, _) in unmarked {
        assert!(
            Command::new("kill")
                .args(["-KILL", &pid])
                .status()
                .unwrap()
                .success()
        );
    }
    wait_for("it is gone", Duration::from_secs(5), || {
        sleepers().is_empty().then_some(())
    });
}

async fn a_sweep_ends_what_nobody_watches() {
    let room = Room::new(DAEMONS);
    let mut child = Command::new("setsid")
        .args(["sh", "-c", "trap '' TERM; setsid sleep 1007 & sleep 1008"])
        .env("CHIFFON_RUN", room.work.run_id())
        .spawn()
        .unwrap();
    wait_for("it runs", Duration::from_secs(5), || {
        (sleepers().len() == 2).then_some(())
    });
    let worker = worker(room.temporary.path());
    let swept = worker.sweep(room.work.attempt, None).await;
    child.wait().unwrap();
    assert_eq!(swept, Swept::Clean);
    assert_eq!(sleepers(), []);
    // Once more, with nothing there.
    assert_eq!(
        worker
            .sweep(room.work.attempt, Some(room.path("run")))
            .await,
        Swept::Clean
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_before_the_start_runs_nothing() {
    let mut room = Room::new(
        "    - name: Touch\n      ansible.builtin.file: {path: \"{{ canary }}\", state: touch}\n",
    );
    let canary = room.path("canary");
    room.parameter("canary", canary.to_str().unwrap());
    let stop = CancellationToken::new();
    stop.cancel();
    let (ended, _) = room.run_until(stop, |_| false).await;
    assert_eq!(ended.status, ResultStatus::Cancelled);
    assert!(!canary.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_stays_within_bounds() {
    let room = Room::new(
        r#"    - name: Flood
      ansible.builtin.shell: "head -c 30000000 /dev/urandom | base64 -w 100; printf 'no \\xff\\xfe text \\033[31m\\n'; exit 1"
      ignore_errors: true
    - name: Flood with messages
      ansible.builtin.debug: {msg: "{{ 'flood ' * 2000 }} {{ item }}"}
      loop: "{{ range(300) | list }}"
    - name: Flood with differences
      ansible.builtin.copy: {dest: "{{ playbook_dir }}/../../big", content: "{{ 'line\n' * 100000 }}"}
"#,
    );
    let (ended, told) = room.run_telling().await;
    assert_eq!(
        ended.status,
        ResultStatus::Completed,
        "{:?} {}",
        ended.error,
        ended.output
    );
    assert!(ended.output.len() <= 256 * 1024);
    assert!(
        ended
            .diff
            .as_ref()
            .is_some_and(|diff| diff.len() < 129 * 1024)
    );
    let told = format!("{told:?}");
    assert!(told.len() < 16 * 1024 * 1024, "{}", told.len());
    assert!(!ended.output.contains('\u{1b}'));
    assert!(
        ended.output.contains("text \\u{1b}[31m"),
        "{}",
        &ended.output[..3000]
    );
}

#[test]
fn a_supervisor_without_a_run_says_so() {
    let output = Command::new(supervisor())
        .arg("__supervise")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no run is named"));
}
