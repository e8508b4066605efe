//! What a test may rely on when it runs a program, shown with a shell in the program's place.

use super::{Command, Duration, Running, Stdio};
use std::os::unix::process::ExitStatusExt;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Running::follow(command.spawn().expect("sh runs"), "sh".to_owned())
}

#[test]
fn a_line_is_awaited_on_either_stream() {
    let mut running = shell("echo first; echo 'then second' >&2; exec sleep 60");
    assert_eq!(running.wait_for_line("first", SOON), "first");
    assert_eq!(running.wait_for_line("second", SOON), "then second");
    assert!(running.is_running());
}

#[test]
#[should_panic(expected = "sh never said \"ready\"")]
fn a_program_that_ends_without_the_line_is_not_waited_for() {
    shell("echo sorry").wait_for_line("ready", Duration::from_secs(600));
}

#[test]
fn the_last_words_before_the_end_count() {
    let mut running = shell("echo ready");
    assert_eq!(running.wait_for_line("ready", SOON), "ready");
}

#[test]
fn a_terminated_program_tells_the_signal() {
    let mut running = shell("echo ready; exec sleep 60");
    running.wait_for_line("ready", SOON);
    running.terminate();
    assert_eq!(running.wait(SOON).status.signal(), Some(15));
}

#[test]
fn an_interrupt_can_be_handled() {
    let mut running =
        shell("trap 'echo drained; exit 0' INT; echo ready; while :; do sleep 0.05; done");
    running.wait_for_line("ready", SOON);
    running.interrupt();
    let output = running.wait(SOON).expect_code(0);
    assert_eq!(output.stdout, "ready\ndrained\n");
}

#[test]
fn a_killed_program_leaves_its_children_alive_and_its_output_readable() {
    let mut running = shell("sleep 60 & echo $!; wait");
    let child = running.wait_for_line("", SOON);
    running.kill_9();
    let folder = format!("/proc/{child}");
    assert!(
        std::path::Path::new(&folder).exists(),
        "a crash of the parent does not end the child"
    );

    // The child still holds the pipes, which must not make the wait hang.
    let output = running.wait(SOON);
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(output.stdout.trim(), child);
    crate::process::signal(child.parse().expect("a process id"), super::Signal::KILL);
}

#[test]
#[should_panic(expected = "sh still ran after")]
fn a_hanging_program_is_killed_and_shown() {
    shell("echo working; exec sleep 60").wait(Duration::from_millis(200));
}

#[test]
fn a_flood_of_output_neither_blocks_the_program_nor_fills_the_memory() {
    let output = shell("yes flooding | head -c 20000000").wait(Duration::from_secs(60));
    assert!(
        output.stdout.len() < 17_000_000,
        "{} bytes kept",
        output.stdout.len()
    );
    assert!(output.stdout.ends_with("more bytes not kept)\n"));
}
