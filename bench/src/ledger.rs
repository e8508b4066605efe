//! Commits of the ledger a second, what one costs when the ledger is old, and how much it grows: changes on 50 hosts,
//! signed, one commit each, in bursts as the scribe writes them. Beside it `git fast-import` with the same two files a
//! commit on the same paths and a checkpoint after each burst, which signs nothing and syncs as git does by default.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use chiffon_common::SshSigner;
use chiffon_orchestrator::ledger::{Batch, Ledger, host_folder, record_path};
use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use crate::table::{median, row};

const BURST: u32 = 100;
/// The part of the ledger's life that the later cost is held against: the bursts around commit 1,000.
const EARLY: std::ops::Range<u32> = 500..1_500;
const SECRET: [u8; 32] = [7; 32];
const GOAL: f64 = 1_000.0;

pub(crate) fn measure(commits: u32) -> anyhow::Result<()> {
    let folder = crate::on_disk()?;
    let ours = folder.path().join("ledger");
    // Seconds a commit, by burst.
    let costs = write(&ours, commits)?;
    let seconds: f64 = costs.iter().sum::<f64>() * f64::from(BURST);
    let rate = f64::from(commits) / seconds;
    let peers = folder.path().join("peer");
    let peer = fast_import(&peers, commits)?;
    row(
        &format!("ledger, commits a second over {commits}, bursts of {BURST}"),
        &format!("{rate:.0}"),
        &format!("git fast-import, unsigned: {peer:.0}"),
        &format!("{:.2} (to the goal {:.2})", rate / peer, rate / GOAL),
        "1,000",
    );
    let early = middle_of(&costs, EARLY);
    let late = middle_of(&costs, commits.saturating_sub(EARLY.len() as u32)..commits);
    row(
        &format!("ledger, cost of commit {commits} over commit 1,000"),
        &format!("{:.2} ms", late * 1_000.0),
        &format!("{:.2} ms", early * 1_000.0),
        &format!("{:.2}", late / early),
        "at most 1.2",
    );
    let size = |folder: &Path| -> anyhow::Result<f64> {
        Ok(size_of(folder)? as f64 / 1_024.0 / f64::from(commits))
    };
    let (own, gits) = (size(&ours)?, size(&peers)?);
    row(
        "ledger, disk a commit as it lies",
        &format!("{own:.2} KiB"),
        &format!("git fast-import: {gits:.2} KiB"),
        &format!("{:.2}", own / gits),
        "linear growth",
    );
    alone(folder.path())
}

/// What a commit costs that comes alone, as on an idle fleet.
fn alone(folder: &Path) -> anyhow::Result<()> {
    const ALONE: u32 = 300;
    let mut ledger = open(&folder.join("alone"))?;
    let mut parent = None;
    let begun = Instant::now();
    for n in 1..=ALONE {
        let (batch, entries) = rows(n, parent)?;
        parent = Some(ledger.write(&batch, &entries)?.to_string());
    }
    let rate = f64::from(ALONE) / begun.elapsed().as_secs_f64();
    row(
        "ledger, commits a second one by one, each synced",
        &format!("{rate:.0}"),
        "the goal for bursts",
        &format!("{:.2}", rate / GOAL),
        "none",
    );
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Ledger> {
    Ok(Ledger::open(path)?.with_key(Some(SshSigner::from_secret(SECRET))))
}

/// Writes so many commits; what each burst cost, in seconds a commit.
fn write(path: &Path, commits: u32) -> anyhow::Result<Vec<f64>> {
    let mut parent = None;
    let mut costs = Vec::new();
    for first in (1..=commits).step_by(BURST as usize) {
        let numbers = (first..=commits).take(BURST as usize);
        let batches = numbers.map(|n| rows(n, parent.clone()));
        let mut batches = batches.collect::<Result<Vec<Batch>, _>>()?;
        let begun = Instant::now();
        let commits = open(path)?.begin(&mut batches)?.write()?;
        parent = commits.last().map(ToString::to_string);
        costs.push(begun.elapsed().as_secs_f64() / batches.len() as f64);
    }
    Ok(costs)
}

fn middle_of(costs: &[f64], commits: std::ops::Range<u32>) -> f64 {
    let from = (commits.start / BURST) as usize;
    let to = ((commits.end / BURST) as usize).min(costs.len());
    median(&mut costs.get(from..to).unwrap_or_default().to_vec())
}

/// The same by git's own bulk importer; commits a second.
fn fast_import(path: &Path, commits: u32) -> anyhow::Result<f64> {
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(path)
        .status()?;
    ensure!(made.success(), "git init failed");
    let mut stream = Vec::new();
    for n in 1..=commits {
        let (batch, entries) = rows(n, None)?;
        let entry = entries.first().context("no entry")?;
        let host = format!("host-{}", n % 50).parse()?;
        let record = record_path(entry.created_at, entry.request_id);
        let at_host = format!("{}/write_file.yml", host_folder(&host));
        let content = serde_json::to_string_pretty(&entry.doc)?;
        writeln!(stream, "commit refs/heads/main")?;
        writeln!(
            stream,
            "committer Chiffon <chiffon@localhost> {} +0000",
            batch.time.as_second()
        )?;
        writeln!(stream, "data 8\nchange {}", n % 10)?;
        for path in [record, at_host] {
            writeln!(
                stream,
                "M 100644 inline {path}\ndata {}\n{content}",
                content.len()
            )?;
        }
        if n % BURST == 0 {
            writeln!(stream, "checkpoint\n")?;
        }
    }
    let begun = Instant::now();
    let mut importer = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()?;
    importer
        .stdin
        .take()
        .context("no stdin")?
        .write_all(&stream)?;
    ensure!(importer.wait()?.success(), "git fast-import failed");
    Ok(f64::from(commits) / begun.elapsed().as_secs_f64())
}

/// The batch and entry of one change; request ids end in spread bytes, as random ones do.
fn rows(n: u32, parent: Option<String>) -> anyhow::Result<Batch> {
    let time = Timestamp::from_second(1_795_000_000)? + (3 * i64::from(n)).seconds();
    let spread = n.wrapping_mul(0x9e37_79b9);
    let request_id = format!("01939f00-0000-7000-8000-{:04x}{spread:08x}", n & 0xffff);
    let host = format!("host-{}", n % 50);
    let doc = json!({
        "form": 1, "request_id": request_id, "requester": "local:bob", "approvers": ["local:anna"],
        "text": format!("write hello {n} into /etc/motd on {host}"), "title": format!("Write /etc/motd on {host}"),
        "tier": 1, "started_at": time, "ended_at": time, "outcome": "completed",
        "steps": [{
            "task_id": request_id, "entry": "write_file", "title": "Write /etc/motd", "tier": 1, "hosts": [host],
            "parameters": {"path": "/etc/motd", "content": format!("hello {n}\n")}, "outcome": "completed",
            "changed": true, "host_outcomes": {}, "duration_seconds": 1.5,
        }],
    });
    let entry_no = u64::from(n);
    let entry = LedgerEntryRow {
        tenant_id: Default::default(),
        entry_no,
        request_id: request_id.parse()?,
        shares_commit: false,
        created_at: time,
        doc,
    };
    let batch = LedgerBatchRow {
        tenant_id: Default::default(),
        batch_no: entry_no,
        first_entry: entry_no,
        last_entry: entry_no,
        time,
        parent,
        commit: None,
        signer: Some(SshSigner::from_secret(SECRET).fingerprint()),
    };
    Ok((batch, vec![entry]))
}

/// Bytes taken on disk by all files, in whole blocks.
fn size_of(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size_of(&entry.path())?
        } else {
            metadata.len().div_ceil(4096) * 4096
        };
    }
    Ok(bytes)
}
