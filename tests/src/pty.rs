//! A program at a terminal: a pseudo-terminal with a person at its other end, who reads, types and presses Ctrl-C.
//!
//! `setsid` of util-linux gives the program a session with that terminal, which needs `unsafe` otherwise.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::report::not_run;
use crate::wait::poll;

/// Wide enough that no line of a table is broken by the terminal.
const SIZE: Winsize = Winsize {
    ws_row: 50,
    ws_col: 200,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// A started program and its terminal. Dropping it kills the program.
pub struct Pty {
    child: Child,
    keys: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Pty {
    /// Starts a command at a terminal of its own, or `None` where there is no `setsid`: then `what` is reported as
    /// not run.
    ///
    /// # Panics
    /// When the system gives no pseudo-terminal.
    pub fn start_or_report(what: &str, command: &Command) -> Option<Self> {
        let keys = File::from(
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .expect("a pseudo-terminal"),
        );
        grantpt(&keys).expect("it may be used");
        unlockpt(&keys).expect("it may be opened");
        tcsetwinsize(&keys, SIZE).expect("it has a size");
        let name = ptsname(&keys, Vec::new()).expect("it has a name");
        let path = OsStr::from_bytes(name.to_bytes()).to_owned();
        let side = || {
            let opened = OpenOptions::new().read(true).write(true).open(&path);
            opened.expect("the side of the program")
        };
        let mut setsid = Command::new("setsid");
        setsid.arg("--ctty").arg(command.get_program());
        setsid.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => setsid.env(name, value),
                None => setsid.env_remove(name),
            };
        }
        setsid.stdin(side()).stdout(side()).stderr(side());
        let Ok(child) = setsid.spawn() else {
            not_run(what, "setsid is missing");
            return None;
        };
        // Its own copies of the program's side would keep the terminal open for ever.
        drop(setsid);
        let screen = Arc::default();
        let reading = keys.try_clone().expect("a second handle");
        read(reading, Arc::clone(&screen));
        Some(Self {
            child,
            keys,
            screen,
        })
    }

    /// Everything that the terminal was told so far, escape codes included.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }

    /// The same without escape codes, as a person reads it from top to bottom.
    pub fn text(&self) -> String {
        without_codes(&self.raw())
    }

    /// Types these keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn keys(&mut self, keys: &str) {
        let typed = self.keys.write_all(keys.as_bytes());
        typed.expect("the terminal takes keys");
    }

    /// Waits until the terminal shows `needle` this many times.
    ///
    /// # Panics
    /// When `timeout` has passed before.
    #[track_caller]
    pub fn wait_for(&mut self, needle: &str, times: usize, timeout: Duration) {
        let found = poll(timeout, || {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            let found = self.text().matches(needle).count() >= times;
            (found || ended).then_some(found)
        });
        // The last words of a program may come after its end.
        let found = found == Some(true) || {
            let last = || (self.text().matches(needle).count() >= times).then_some(());
            found == Some(false) && poll(Duration::from_secs(1), last).is_some()
        };
        assert!(
            found,
            "{needle:?} was not shown {times} times:\n{}",
            self.text()
        );
    }

    /// Waits for the end of the program; its exit code and all that was shown.
    ///
    /// # Panics
    /// When it still runs after `timeout`.
    #[track_caller]
    pub fn wait(mut self, timeout: Duration) -> (Option<i32>, String) {
        let ended = poll(timeout, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        let Some(status) = ended else {
            panic!("it still ran after {timeout:?}:\n{}", self.text());
        };
        // What it wrote last is on its way through the terminal.
        let mut length = 0;
        let _settled = poll(Duration::from_secs(2), || {
            let before = std::mem::replace(&mut length, self.lock().len());
            (before == length && length > 0).then_some(())
        });
        (status.code(), self.raw())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn read(mut terminal: File, screen: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        // It ends with an error when the program's side is closed.
        while let Ok(length @ 1..) = terminal.read(&mut piece) {
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            screen.extend_from_slice(&piece[..length]);
        }
    });
}

/// Takes away what a terminal obeys (ECMA-48): control sequences, titles, single-character escapes.
pub fn without_codes(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                Some('[') => while rest.next_if(|c| !('@'..='~').contains(c)).is_some() {},
                Some(']') => while rest.next_if(|c| *c != '\u{7}').is_some() {},
                _ => continue,
            },
            '\r' => continue,
            c => {
                shown.push(c);
                continue;
            }
        }
        // The character that ends the sequence.
        rest.next();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Option<Pty> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Pty::start_or_report("a terminal", &command)
    }

    #[test]
    fn a_program_sees_a_terminal_and_what_is_typed() {
        let script = "test -t 0 && test -t 1 && echo ready; read line; echo \"got $line\"; exit 3";
        let Some(mut pty) = shell(script) else { return };
        pty.wait_for("ready", 1, SOON);
        pty.keys("word\n");
        let (code, shown) = pty.wait(SOON);
        assert_eq!(code, Some(3));
        assert!(shown.contains("got word"), "{shown:?}");
    }

    #[test]
    fn ctrl_c_is_a_signal() {
        let Some(mut pty) = shell("trap 'echo caught; exit 5' INT; echo ready; sleep 60 & wait")
        else {
            return;
        };
        pty.wait_for("ready", 1, SOON);
        pty.keys("\u{3}");
        let (code, shown) = pty.wait(SOON);
        assert_eq!(code, Some(5), "{shown:?}");
    }

    #[test]
    fn codes_are_taken_away_and_text_stays() {
        let text = "\u{1b}[1mbold\u{1b}[0m \u{1b}]0;title\u{7}x\r\n\u{1b}7y";
        assert_eq!(without_codes(text), "bold x\ny");
    }
}
