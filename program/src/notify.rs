//! What a service manager is told (the protocol of sd_notify): that the program is ready, ends, is alive, and in a sentence
//! what it waits for. Without one, nothing is sent anywhere.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use crate::Env;

/// Speaks to the service manager that started this program, if one did.
#[derive(Debug)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// By `NOTIFY_SOCKET`.
    pub fn of(env: &Env) -> Self {
        let socket = env.get("NOTIFY_SOCKET").and_then(|place| {
            connected(place)
                .inspect_err(
                    |error| tracing::warn!(%error, "the service manager cannot be told anything"),
                )
                .ok()
        });
        Self(socket)
    }

    /// It does its work.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It is not ready yet, and not to be given up for that: it waits for something that may take its time.
    pub fn still_starting(&self) {
        self.tell("EXTEND_TIMEOUT_USEC=60000000");
    }

    /// It ends in good order.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// It is alive.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// What it does, or waits for.
    pub fn status(&self, words: &str) {
        // One line: what comes after it would be a message of its own.
        let line = words.lines().next().unwrap_or_default();
        self.tell(&format!("STATUS={line}"));
    }

    fn tell(&self, what: &str) {
        if let Some(socket) = &self.0 {
            // A manager that takes nothing finds out by itself.
            let _not_told = socket.send(what.as_bytes());
        }
    }
}

/// How often the manager wants a sign of life: half of what it waits for one, by `WATCHDOG_USEC`.
pub fn watchdog_period(env: &Env) -> Option<Duration> {
    let pid = env.text("WATCHDOG_PID");
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let microseconds = env.text("WATCHDOG_USEC")?.parse::<u64>().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds) / 2)
}

fn connected(place: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match place.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(place)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_line_by_line_and_nobody_is_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("notify");
        let manager = UnixDatagram::bind(&place).unwrap();
        let env = Env::from([("NOTIFY_SOCKET", place.to_str().unwrap())]);
        let notifier = Notifier::of(&env);
        notifier.ready();
        notifier.status("waits for the broker\nREADY=0");
        let mut heard = Vec::new();
        for _ in 0..2 {
            let mut buffer = [0; 100];
            let length = manager.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert_eq!(heard, ["READY=1", "STATUS=waits for the broker"]);
        Notifier::of(&Env::default()).ready();
    }

    #[test]
    fn a_sign_of_life_comes_twice_in_the_time_it_is_waited_for() {
        let env = Env::from([("WATCHDOG_USEC", "10000000")]);
        assert_eq!(watchdog_period(&env), Some(Duration::from_secs(5)));
        let other = Env::from([("WATCHDOG_USEC", "10000000"), ("WATCHDOG_PID", "1")]);
        assert_eq!(watchdog_period(&other), None);
        assert_eq!(watchdog_period(&Env::default()), None);
    }
}
