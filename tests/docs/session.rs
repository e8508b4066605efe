//! Running all shell blocks of a page, in their order, in one bash.
//!
//! The script that bash gets has a page's commands on the lines where they stand in the page, so the line that it
//! names is the line to look at.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chiffon_tests::{processes_with_env, wait_for};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    directive::{Directive, of_block},
    lines::{as_asked, as_run},
    markdown::{Block, Page},
    stage::Stage,
};

/// Longest time for one page; a playbook on a busy machine takes a while, and a page runs a dozen.
const LIMIT: Duration = Duration::from_secs(300);
/// Lines of output that a failure shows.
const SHOWN: usize = 80;
/// What bash reads first.
const PREAMBLE: &str = include_str!("preamble.bash");

/// Runs a page to its end. The error says where it failed, and what was said until then.
pub fn run(page: &Page, stage: &Stage, all: &[(usize, Directive)]) -> Result<(), String> {
    let script = stage.scratch.join("page.bash");
    let preamble = stage.scratch.join("preamble.bash");
    fs::write(&script, script_of(page, stage, all)?).expect("the page's script");
    fs::write(&preamble, PREAMBLE).expect("the preamble");
    let output = stage.scratch.join("output");
    let (ended, status) = bash(stage, &script, &preamble, &output);
    let said = fs::read(&output).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let failed = |line: usize, why: String| {
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        Err(format!(
            "{}: {why}\n--- what was said\n{last}",
            page.at(line)
        ))
    };
    if !ended {
        return failed(1, format!("the page still ran after {LIMIT:?}"));
    }
    if let Ok(told) = fs::read_to_string(stage.scratch.join("failed")) {
        let mut parts = told.trim_end().splitn(3, ' ');
        let line = parts.next().and_then(|line| line.parse().ok());
        let status = parts.next().unwrap_or_default();
        let command = parts.next().unwrap_or_default();
        return failed(
            line.unwrap_or(1),
            format!("exit status {status}: {command}"),
        );
    }
    let ran = fs::read_to_string(stage.scratch.join("ended")).unwrap_or_default();
    let ran: Vec<&str> = ran.lines().collect();
    let skipped = page
        .tagged("sh")
        .find(|block| !ran.contains(&&*block.line.to_string()));
    match skipped {
        Some(block) => failed(
            block.line,
            format!("the block did not run to its end ({status})"),
        ),
        None => Ok(()),
    }
}

/// Whether it ended in time, and how. Nothing of it runs any more afterwards.
fn bash(stage: &Stage, script: &Path, preamble: &Path, output: &Path) -> (bool, String) {
    let said = File::create(output).expect("a file for the output");
    let mark = stage.scratch.to_str().expect("a path in UTF-8");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new("bash")
        .arg(script)
        .env_clear()
        .env("BASH_ENV", preamble)
        .env("DOCS", mark)
        .env("PATH", format!("{}:{path}", stage.programs.display()))
        .env("HOME", &stage.home)
        .env("LANG", "C.UTF-8")
        .env("CHIFFON_HTTP__LISTEN", &stage.address)
        .current_dir(&stage.work)
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a second handle"))
        .stderr(said)
        .process_group(0)
        .spawn()
        .expect("bash starts");
    let begun = Instant::now();
    let status = wait_for("bash", LIMIT * 2, || {
        let status = child.try_wait().expect("a child can be waited for");
        if status.is_none() && begun.elapsed() > LIMIT {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // That it has just ended by itself is fine.
            let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
        }
        status
    });
    let in_time = begun.elapsed() <= LIMIT;
    wait_for("the end of what the page had started", LIMIT, || {
        processes_with_env("DOCS", mark).is_empty().then_some(())
    });
    (in_time, status.to_string())
}

/// The commands of a page on their own lines; all other lines are empty.
fn script_of(page: &Page, stage: &Stage, all: &[(usize, Directive)]) -> Result<String, String> {
    let mut lines = vec![String::new(); page.lines + 1];
    for block in page.tagged("sh") {
        whole(page, block)?;
        let answer = of_block(page, block, all).find_map(|directive| match directive {
            Directive::Answer(answer) => Some(answer),
            _ => None,
        });
        let mut at = block.line;
        for line in block.text.lines() {
            let run = as_run(line, stage).map_err(|why| format!("{}: {why}", page.at(at + 1)))?;
            let run = answer.map_or(run.clone(), |answer| as_asked(&run, answer));
            // Lines are counted from 1, so this is the one below the fence.
            lines[at] = run;
            at += 1;
        }
        lines[at] = format!("block_ended {}", block.line);
    }
    Ok(lines.join("\n") + "\n")
}

/// A quote or a here-document that is not closed would swallow the blocks below.
fn whole(page: &Page, block: &Block) -> Result<(), String> {
    let parsed = Command::new("bash")
        .args(["-n", "-c", &block.text])
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&parsed.stderr);
    match said.is_empty() {
        true => Ok(()),
        false => Err(format!("{}: {said}", page.at(block.line))),
    }
}
