//! Events over HTTP: `arbiter serve` with the memory store and its audit on the disk, and in the same run, at the same
//! rate and by the same load, a policy server (OPA) with an equivalent rule, and the disk alone: as many bytes, written
//! and synced by a loop that does nothing else.
//!
//! The load shares the two cores with what it measures; the server's own time of CPU for an event is told beside it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    load::{Told, load},
    opa,
    table::{milliseconds, quantile, row},
};

const PROGRAM: &str = "target/release/arbiter";
const ROOMS: u64 = 100_000;
const GOAL: &str = "10,000 a second, p99 under 5 ms";
const CONFIG: &str = "listen: 127.0.0.1:0
policy: {roles: {all: [request_generation]}, grants: [{role: all}]}
planner: {reply_policy: always}
gate: {generation_timeout_ms: 60000}
";

/// Asks at this rate.
pub(crate) fn measure(rate: u32) -> anyhow::Result<()> {
    let folder = crate::on_disk()?;
    let (mut told, cpu) = {
        let served = serve(folder.path())?;
        let before = served.cpu()?;
        let told = load(&served.address, "/v0/events", rate, event)?;
        let cpu = served.cpu()?.saturating_sub(before);
        (told, cpu)
    };
    let line = line_bytes(folder.path())?;
    let mut disk = disk(folder.path(), rate, line)?;
    let disk = (quantile(&mut disk, 0.5), quantile(&mut disk, 0.99));
    let (p50, p99) = (
        quantile(&mut told.times, 0.5),
        quantile(&mut told.times, 0.99),
    );
    row(
        "`arbiter serve`, events a second over HTTP, audit on",
        &format!("{:.0} (p50 {p50:.2} ms, p99 {p99:.2} ms)", told.reached),
        &format!(
            "the disk alone, {line} bytes an event at the same rate: p50 {:.2} ms, p99 {:.2} ms",
            disk.0, disk.1
        ),
        &format!("{:.2}", told.reached / f64::from(rate)),
        GOAL,
    );
    beside(rate, micros(cpu, &told))
}

/// The policy server, if there is one to be had.
fn beside(rate: u32, ours: f64) -> anyhow::Result<()> {
    let what = "`arbiter serve`, CPU of the server for an event, audit and all";
    let ours_told = format!("{ours:.0} µs");
    let program = match opa::program() {
        Ok(program) => program,
        Err(why) => {
            eprintln!("bench: OPA was NOT RUN: {why:#}");
            row(what, &ours_told, "OPA: NOT RUN, see the log", "-", "none");
            return Ok(());
        }
    };
    let folder = crate::on_disk()?;
    let served = Served::new(opa::start(&program, folder.path())?)?;
    let before = served.cpu()?;
    let mut told = load(&served.address, opa::PATH, rate, |n| {
        opa::question(&event(n))
    })?;
    let cpu = micros(served.cpu()?.saturating_sub(before), &told);
    row(
        what,
        &ours_told,
        &format!("OPA, one decision, nothing kept or logged: {cpu:.0} µs"),
        &format!("{:.2}", ours / cpu),
        "none",
    );
    let (p50, p99) = (
        quantile(&mut told.times, 0.5),
        quantile(&mut told.times, 0.99),
    );
    row(
        "`arbiter serve` beside OPA at the same load",
        "see above",
        &format!(
            "OPA: {:.0} a second (p50 {p50:.2} ms, p99 {p99:.2} ms)",
            told.reached
        ),
        "-",
        GOAL,
    );
    Ok(())
}

fn micros(cpu: Duration, told: &Told) -> f64 {
    cpu.as_secs_f64() * 1e6 / told.calls as f64
}

/// A server of this measure; dropped, it ends.
pub(crate) struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// `child` and where it listens.
    fn new((child, address): (Child, String)) -> anyhow::Result<Self> {
        Ok(Self { child, address })
    }

    /// Time of CPU of all its threads so far (proc(5): fields 14 and 15 of `stat`, in hundredths of a second).
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("no such stat")?;
        let ticks = after_name.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn serve(folder: &Path) -> anyhow::Result<Served> {
    fs::write(folder.join("config.yaml"), CONFIG)?;
    let program = std::env::current_dir()?.join(PROGRAM);
    let mut child = Command::new(program)
        .arg("serve")
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .context(PROGRAM)?;
    let out = child.stdout.take().context("its output is piped")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let address = line.trim().rsplit_once('/');
    let address = address.map(|(_, address)| address.to_owned());
    let address = address.context("it does not listen")?;
    Served::new((child, address))
}

fn event(n: u64) -> String {
    let (room, tenant) = (n % ROOMS, n % 8);
    format!(
        r#"{{"v":0,"event_id":"e-{n}","tenant_id":"tenant-{tenant}","source":"bench","room_id":"room-{room}","actor":{{"id":"local:anna","kind":"person"}},"content":{{"type":"text","text":"How full are the disks on this machine?","mentions_chiffon":true}},"ts":"2026-01-02T03:04:05Z"}}"#,
    )
}

/// Bytes of one record, as they lie on the disk.
fn line_bytes(folder: &Path) -> anyhow::Result<usize> {
    let (mut bytes, mut lines) = (0, 0);
    for file in fs::read_dir(folder.join("audit"))? {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            bytes += fs::metadata(&path)?.len() as usize;
            lines += BufReader::new(File::open(&path)?).split(b'\n').count();
        }
    }
    Ok(bytes / lines.max(1))
}

/// Appends records as they are due and syncs all that are due at once, and does nothing else: how long each took from
/// due to durable, in milliseconds. No server with this promise can be faster on this disk.
fn disk(folder: &Path, rate: u32, line: usize) -> anyhow::Result<Vec<f64>> {
    let mut file = File::options()
        .create_new(true)
        .append(true)
        .open(folder.join("alone"))?;
    let between = Duration::from_secs(1) / rate.max(1);
    let calls = u64::from(rate) * 5;
    let begun = Instant::now();
    let due_of = |n: u64| begun + Duration::from_nanos(between.as_nanos() as u64 * n);
    let mut times = Vec::with_capacity(calls as usize);
    let mut done = 0;
    while done < calls {
        std::thread::sleep(due_of(done).saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let due = (done..calls).take_while(|n| due_of(*n) <= now).count() as u64;
        file.write_all(&vec![b'x'; line * due as usize])?;
        file.sync_data()?;
        times.extend((done..done + due).map(|n| milliseconds(due_of(n).elapsed())));
        done += due;
    }
    Ok(times)
}
