//! Events over HTTP: `arbiter serve` with the memory store and its audit on the disk, asked over kept connections at a
//! fixed rate. A call's time is counted from the moment it was due, so that a slow answer counts for all behind it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::table::{milliseconds, quantile, row};

const PROGRAM: &str = "target/release/arbiter";
const CONNECTIONS: u32 = 32;
const SECONDS: u32 = 10;
const ROOMS: u32 = 100_000;
const CONFIG: &str = "listen: 127.0.0.1:0
policy: {roles: {all: [request_generation]}, grants: [{role: all}]}
planner: {reply_policy: always}
gate: {generation_timeout_ms: 60000}
";

/// Asks at this rate for ten seconds, behind two seconds that do not count.
pub(crate) fn measure(rate: u32) -> anyhow::Result<()> {
    let folder = crate::on_disk()?;
    let served = Served::start(folder.path())?;
    let begun = Instant::now() + Duration::from_millis(200);
    let asking = (0..CONNECTIONS).map(|connection| {
        let address = served.address.clone();
        thread::spawn(move || ask(&address, connection, rate, begun))
    });
    let asking: Vec<_> = asking.collect();
    let mut times = Vec::new();
    for one in asking {
        let Ok(found) = one.join() else {
            bail!("a connection panicked");
        };
        times.extend(found?);
    }
    let took = begun.elapsed().as_secs_f64();
    let reached = times.len() as f64 / took;
    let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    row(
        "`arbiter serve`, events a second over HTTP, audit on",
        &format!("{reached:.0} (p50 {p50:.2} ms, p99 {p99:.2} ms)"),
        "the goal",
        &format!("{:.2}", reached / f64::from(rate)),
        "10,000 a second, p99 under 5 ms",
    );
    Ok(())
}

struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::write(folder.join("config.yaml"), CONFIG)?;
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
        let address = line
            .trim()
            .rsplit_once('/')
            .map(|(_, address)| address.to_owned());
        let address = address.context("it does not listen")?;
        Ok(Self { child, address })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// One connection's share of the rate; the times of its calls in milliseconds.
fn ask(address: &str, connection: u32, rate: u32, begun: Instant) -> anyhow::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::with_capacity(1 << 14, stream.try_clone()?);
    let between = Duration::from_secs(1) * CONNECTIONS / rate.max(1);
    let calls = rate * (SECONDS + 2) / CONNECTIONS;
    let uncounted = rate * 2 / CONNECTIONS;
    let mut times = Vec::with_capacity(calls as usize);
    // Not all at the same moment.
    let first = begun + between * connection / CONNECTIONS;
    for n in 0..calls {
        let due = first + between * n;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(request(address, connection, n).as_bytes())?;
        read(&mut answers)?;
        if n >= uncounted {
            times.push(milliseconds(due.elapsed()));
        }
    }
    Ok(times)
}

fn request(address: &str, connection: u32, n: u32) -> String {
    let room = (n * CONNECTIONS + connection) % ROOMS;
    let body = format!(
        r#"{{"v":0,"event_id":"e-{connection}-{n}","tenant_id":"tenant-{}","source":"bench","room_id":"room-{room}","actor":{{"id":"local:anna","kind":"person"}},"content":{{"type":"text","text":"How full are the disks on this machine?","mentions_chiffon":true}},"ts":"2026-01-02T03:04:05Z"}}"#,
        connection % 8
    );
    let length = body.len();
    format!(
        "POST /v0/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn read(answers: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let (mut line, mut length) = (String::new(), 0_usize);
    answers.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200"), "answered {line:?}");
    loop {
        line.clear();
        answers.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body)?;
    Ok(())
}
