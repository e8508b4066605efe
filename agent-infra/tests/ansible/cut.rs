//! A connection that is cut while a task runs on the host: the task is not repeated, what it left is ended, and where that
//! cannot be done, the end is unknown.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use chiffon_agent::{Ended, Progress, Swept, Worker};
use chiffon_common::{ErrorCode, ResultStatus};
use chiffon_tests::{Sshd, wait_for};
use tokio_util::sync::CancellationToken;

use crate::{
    remote::inventory,
    room::{Room, tells, worker},
};

/// Stands between ssh and its server, and can take the line away from the one while the other still holds it.
struct Line {
    port: u16,
    callers: Arc<Mutex<Vec<TcpStream>>>,
    is_dead: Arc<AtomicBool>,
}

impl Line {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            callers: Arc::default(),
            is_dead: Arc::default(),
        };
        let (callers, is_dead) = (Arc::clone(&line.callers), Arc::clone(&line.is_dead));
        // It goes with the test program.
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(called) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                if is_dead.load(Ordering::SeqCst) {
                    continue;
                }
                carry(&caller, &called, false);
                // The server never hears that the caller is gone, as behind a router that lost its state.
                carry(&called, &caller, true);
                callers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(caller);
            }
        });
        line
    }

    /// Whoever speaks now is cut off; whether those who come next get through.
    fn cut(&self, others_get_through: bool) {
        self.is_dead.store(!others_get_through, Ordering::SeqCst);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        for caller in callers.drain(..) {
            let _closed_already = caller.shutdown(Shutdown::Both);
        }
    }
}

fn carry(from: &TcpStream, to: &TcpStream, tells_the_end: bool) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut piece = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        if tells_the_end {
            let _closed_already = to.shutdown(Shutdown::Both);
        }
        // The other side of the line stays held for longer than any test takes.
        thread::sleep(Duration::from_secs(600));
    });
}

const LONG: &str = "    - name: Take long\n      ansible.builtin.shell: \"echo begin >> {{ out }}; sleep SECONDS; echo end >> {{ out }}\"\n";

fn sleepers(seconds: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let wanted = format!("sleep\0{seconds}\0").into_bytes();
    lines.filter(|line| *line == wanted).count()
}

/// Where it happened; the server ends with it.
struct Place {
    room: Room,
    line: Line,
    #[expect(dead_code, reason = "held, so that it goes on serving")]
    server: Sshd,
}

/// Runs a long task over a line that is cut once it has begun.
async fn cut_off(seconds: &str, others_get_through: bool) -> Option<(Place, Ended)> {
    let server = Sshd::start_or_report("a connection that is cut")?;
    let line = Line::to(server.port());
    let (own, proxied) = (server.port().to_string(), line.port.to_string());
    let tasks = LONG.replace("SECONDS", seconds);
    let hosts = inventory(&server).replace(&own, &proxied);
    let mut room = Room::with_inventory(&tasks, &hosts, &["nas"]);
    let key = server.host_key_line().replace(&own, &proxied) + "\n";
    room.add("inventory/known_hosts", &key);
    let out = room.path("out");
    room.parameter("out", out.to_str().unwrap());
    let cut = |piece: &Progress| {
        if tells(piece, "Take long") && sleepers(seconds) == 0 {
            wait_for("it sleeps", Duration::from_secs(60), || {
                (sleepers(seconds) > 0).then_some(())
            });
            line.cut(others_get_through);
        }
        false
    };
    let (ended, _) = room.run_until(CancellationToken::new(), cut).await;
    Some((Place { room, line, server }, ended))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_connection_is_cut_runs_once_and_is_ended() {
    let Some((place, ended)) = cut_off("2203", true).await else {
        return;
    };
    assert_eq!(ended.status, ResultStatus::Interrupted, "{ended:?}");
    assert_eq!(ended.error.unwrap().code, ErrorCode::Interrupted);
    assert_eq!(place.room.read("out"), "begin\n");
    assert_eq!(sleepers("2203"), 0, "it still runs on the host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_host_stays_away_the_end_is_unknown() {
    let Some((place, ended)) = cut_off("2204", false).await else {
        return;
    };
    assert_eq!(ended.status, ResultStatus::Unknown, "{ended:?}");
    assert_eq!(ended.error.unwrap().code, ErrorCode::OutcomeUnknown);
    assert_eq!(place.room.read("out"), "begin\n");
    // It comes back, and an agent that starts anew sweeps.
    place.line.is_dead.store(false, Ordering::SeqCst);
    let worker = worker(place.room.temporary.path());
    let swept = worker.sweep(place.room.work.attempt, Some(place.room.path("run")));
    assert_eq!(swept.await, Swept::Clean);
    assert_eq!(sleepers("2204"), 0, "it still runs on the host");
}
