//! A load of HTTP calls at a fixed rate, from one thread over kept connections: arbiter and policy server are asked by
//! the same one. A call's time is counted from the moment it was due, so that a slow answer counts for all behind it.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::event::{Timespec, epoll};

use crate::table::milliseconds;

/// More than are under way at the goal's rate and time, so that no call waits for a connection where the server keeps up.
const CONNECTIONS: usize = 256;
/// Calls that do not count: connections, caches and branch predictors warm up.
const UNCOUNTED: Duration = Duration::from_secs(2);
const COUNTED: Duration = Duration::from_secs(10);
/// Longest silence of the server.
const SILENCE: Duration = Duration::from_secs(60);

/// What came of it.
pub(crate) struct Told {
    /// From due to answered, in milliseconds.
    pub(crate) times: Vec<f64>,
    /// Answers a second, over the counted part and until its last answer.
    pub(crate) reached: f64,
    /// All answers, the uncounted ones among them.
    pub(crate) calls: u64,
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    /// When its call was due, and whether it counts; nothing while it is free.
    due: Option<(Instant, bool)>,
}

/// Calls `rate` times a second for twelve seconds, of which ten count. `call` makes the body of call `n`.
pub(crate) fn load(
    address: &str,
    path: &str,
    rate: u32,
    call: impl Fn(u64) -> String,
) -> anyhow::Result<Told> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut all = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).with_context(|| format!("at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
        let (answer, due) = (Vec::with_capacity(4096), None);
        all.push(Connection {
            stream,
            answer,
            due,
        });
    }
    let mut free: Vec<usize> = (0..CONNECTIONS).rev().collect();
    let between = Duration::from_secs(1) / rate.max(1);
    let calls = u64::from(rate) * (UNCOUNTED + COUNTED).as_secs();
    let (mut sent, mut answered) = (0_u64, 0_u64);
    let mut times = Vec::with_capacity(calls as usize);
    let mut ready = Vec::with_capacity(CONNECTIONS);
    let begun = Instant::now();
    let due_of = |n: u64| begun + Duration::from_nanos(between.as_nanos() as u64 * n);
    let mut heard = begun;
    while answered < calls {
        while sent < calls && due_of(sent) <= Instant::now() {
            let Some(connection) = free.pop().and_then(|at| all.get_mut(at)) else {
                break;
            };
            let due = due_of(sent);
            connection.due = Some((due, due >= begun + UNCOUNTED));
            connection
                .stream
                .write_all(request(address, path, &call(sent)).as_bytes())?;
            sent += 1;
        }
        // Where all connections are taken, an answer is what is waited for.
        let until = match free.is_empty() || sent == calls {
            true => Duration::from_secs(1),
            false => due_of(sent).saturating_duration_since(Instant::now()),
        };
        let until = Timespec::try_from(until)?;
        ready.clear();
        epoll::wait(
            &poll,
            rustix::buffer::spare_capacity(&mut ready),
            Some(&until),
        )?;
        for event in &ready {
            let at = event.data.u64() as usize;
            let connection = all.get_mut(at).context("no such connection")?;
            if let Some((due, counts)) = connection.read()? {
                heard = Instant::now();
                answered += 1;
                free.push(at);
                if counts {
                    times.push(milliseconds(heard - due));
                }
            }
        }
        ensure!(
            heard.elapsed() < SILENCE,
            "no answer for {} s",
            SILENCE.as_secs()
        );
    }
    let reached = times.len() as f64 / (heard - begun - UNCOUNTED).as_secs_f64();
    Ok(Told {
        times,
        reached,
        calls,
    })
}

impl Connection {
    /// Takes what has arrived; once the answer is whole, when its call was due.
    fn read(&mut self) -> anyhow::Result<Option<(Instant, bool)>> {
        let mut piece = [0; 8192];
        match self.stream.read(&mut piece) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(length) => self
                .answer
                .extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !is_whole(&self.answer)? {
            return Ok(None);
        }
        self.answer.clear();
        Ok(self.due.take())
    }
}

fn request(address: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn is_whole(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let (head, body) = answer.split_at(head + 4);
    let head = std::str::from_utf8(head)?;
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "answered {head:?} {:?}",
        String::from_utf8_lossy(body)
    );
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let length = length.context("an answer without a length")??;
    Ok(body.len() >= length)
}
