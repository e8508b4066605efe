//! How fast the ledger writes and how much it grows: 2 000 changes on 50 hosts, one commit each.
//! `cargo run --release -p chiffon-orchestrator --example ledger_speed`; figures for `bench/` are taken there.

use std::{path::Path, time::Instant};

use chiffon_orchestrator::ledger::{Batch, Ledger};
use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use jiff::{Timestamp, ToSpan};
use serde_json::json;

const COMMITS: u32 = 2_000;
const BURST: usize = 200;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    println!("one by one:");
    measure(|ledger| {
        let mut parent = None;
        for n in 1..=COMMITS {
            let (batch, entries) = rows(n, parent)?;
            parent = Some(ledger.write(&batch, &entries)?.to_string());
        }
        Ok(())
    })?;
    println!("in bursts of {BURST}:");
    measure(|ledger| {
        let mut parent = None;
        for first in (1..=COMMITS).step_by(BURST) {
            let numbers = (first..=COMMITS).take(BURST);
            let mut batches = numbers
                .map(|n| rows(n, parent.clone()))
                .collect::<Result<Vec<Batch>, _>>()?;
            ledger.chain(&mut batches)?;
            parent = ledger.write_all(&batches)?.last().map(ToString::to_string);
        }
        Ok(())
    })
}

fn measure(write: impl FnOnce(&mut Ledger) -> Outcome<()>) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut ledger = Ledger::open(folder.path())?;
    let empty = size_of(folder.path())?;
    let begun = Instant::now();
    write(&mut ledger)?;
    let seconds = begun.elapsed().as_secs_f64();
    let grown = size_of(folder.path())? - empty;
    let commits = f64::from(COMMITS);
    println!("  {:.0} commits a second", commits / seconds);
    println!(
        "{:.1} KiB a commit before a repack",
        grown as f64 / 1024.0 / commits
    );
    let repack = std::process::Command::new("git")
        .args(["gc", "--quiet"])
        .current_dir(folder.path())
        .status();
    if repack.is_ok_and(|status| status.success()) {
        let grown = size_of(folder.path())?.saturating_sub(empty);
        println!(
            "{:.2} KiB a commit after one",
            grown as f64 / 1024.0 / commits
        );
    }
    Ok(())
}

/// The batch and entry of one change; request ids end in spread bytes, as random ones do.
fn rows(n: u32, parent: Option<String>) -> Outcome<Batch> {
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
        signer: None,
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
