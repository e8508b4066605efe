//! Looking at processes through `/proc`: whose child, which session, how big, which mark. Killing
//! them is here too, because it must look again each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that marks every process of a run.
pub(crate) const MARK: &str = "CHIFFON_RUN";

/// All processes below this one, zombies left out.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    for stat in pids().filter_map(stat) {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut waiting = vec![of];
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            waiting.push(child.pid);
            if !child.zombie {
                found.push(child.pid);
            }
        }
    }
    found
}

/// The daemons below this process: those outside its session that nobody of the run waits for any more,
/// and everything below them.
pub(crate) fn daemons(of: u32) -> BTreeSet<u32> {
    let leads = |stat: &Stat| stat.parent == of && stat.session != of && !stat.zombie;
    let leaders = pids().filter_map(stat).filter(leads);
    let with_children = leaders.flat_map(|stat| {
        let mut family = descendants(stat.pid);
        family.push(stat.pid);
        family
    });
    with_children.collect()
}

/// Processes whose environment carries the mark of this run, and everything below them; not this
/// process. Those of other users are seen by root only.
pub(crate) fn marked(run_id: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={run_id}");
    let this = std::process::id();
    let is_marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let roots: Vec<u32> = pids()
        .filter(|pid| *pid != this)
        .filter(is_marked)
        .collect();
    let below = roots.iter().flat_map(|root| descendants(*root));
    let all: BTreeSet<u32> = roots.iter().copied().chain(below).collect();
    all.into_iter().filter(|pid| *pid != this).collect()
}

/// Whether it is the supervisor of a run, which ends by itself once its agent is gone.
pub(crate) fn is_supervisor(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.any(|argument| argument == crate::supervise::SUPERVISE_ARG.as_bytes())
}

/// Sends the signal to each. That one has ended meanwhile, or belongs to another user, shows when one
/// looks again.
pub(crate) fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            let _seen_later = kill_process(pid, signal);
        }
    }
}

/// The sum of the resident memory of everything below this process, in bytes, and how many that are. Cheap
/// enough to be asked several times a second.
pub(crate) fn resident_below(of: u32) -> (u64, usize) {
    let page = rustix::param::page_size() as u64;
    let (mut sum, mut count) = (0, 0);
    let mut waiting = children_of(of);
    while let Some(pid) = waiting.pop() {
        count += 1;
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let pages: Option<u64> = statm.split(' ').nth(1).and_then(|text| text.parse().ok());
        sum += pages.unwrap_or(0) * page;
        waiting.extend(children_of(pid));
    }
    (sum, count)
}

/// The children of all threads of a process, as the kernel lists them.
fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<u32>>()
        })
        .collect()
}

/// Processor time, in seconds, of the children of this process that have ended and been waited for,
/// with theirs.
pub(crate) fn cpu_of_ended_children() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = after_name(&text);
    let ticks = |index: usize| -> u64 {
        let field = fields.get(index).and_then(|field| field.parse().ok());
        field.unwrap_or(0)
    };
    // cutime and cstime, the 16th and 17th field of the line.
    (ticks(13) + ticks(14)) as f64 / rustix::param::clock_ticks_per_second() as f64
}

struct Stat {
    pid: u32,
    parent: u32,
    session: u32,
    zombie: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = after_name(&text);
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// The fields from the state on: the name before it may hold blanks and brackets.
fn after_name(stat: &str) -> Vec<&str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_seen_with_its_mark_and_size() {
        let run_id = format!("test-{}", std::process::id());
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARK, &run_id)
            .spawn()
            .unwrap();
        let this = std::process::id();
        // The kernel shows the environment a moment after spawn has returned.
        let seen = (0..1000).any(|_| {
            std::thread::yield_now();
            marked(&run_id) == [child.id()]
        });
        assert!(seen);
        assert!(descendants(this).contains(&child.id()));
        assert!(children_of(this).contains(&child.id()));
        let (bytes, processes) = resident_below(this);
        assert!(bytes > 100_000 && processes > 0);
        assert!(!is_supervisor(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(marked(&run_id).is_empty());
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        assert_eq!(after_name("12 (a b) c)) S 7 8"), ["S", "7", "8"]);
    }
}
