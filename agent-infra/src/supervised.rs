//! The agent's side of a supervised run: starting the supervisor, holding its life line, and making a
//! stream of what the run says. What is said is left to the caller to understand.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio};

use chiffon_common::Redactor;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe,
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    folder::Folder,
    output::Lines,
    processes::MARK,
    supervise::{End, SUPERVISE_ARG, Spec},
};

/// Longest event; the plugin cuts its texts far below.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Pieces on their way; a flood waits in the pipe, and so does the one who makes it.
const PIECES: usize = 64;

/// Something a run said.
#[derive(Debug)]
pub(crate) enum Said {
    /// A line of the callback plugin, not redacted.
    Event(Vec<u8>),
    /// Lines that Ansible printed, redacted.
    Lines(Vec<String>),
}

/// A supervised run.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    /// Closing it ends the run.
    life_line: Option<ChildStdin>,
    end: PathBuf,
}

impl Supervised {
    /// Starts it. The second value is what it says, and ends when the run has ended and all is read.
    pub(crate) fn start(
        supervisor: &[OsString],
        folder: &Folder,
        name: &str,
        spec: &Spec,
        redactor: &Redactor,
    ) -> io::Result<(Self, Speech)> {
        let description = folder.spec(name);
        match std::fs::remove_file(&description) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => folder.write(&description, serde_json::to_vec(spec)?)?,
        }
        let (program, arguments) = supervisor
            .split_first()
            .ok_or_else(|| io::Error::other("no supervisor is configured"))?;
        let mut child = Command::new(program)
            .arg0("chiffon")
            .args(arguments)
            .arg(SUPERVISE_ARG)
            .arg(&description)
            .env_clear()
            .env(MARK, &spec.run_id)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let life_line = child.stdin.take();
        let (say, said) = mpsc::channel(PIECES);
        let over = CancellationToken::new();
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(read_lines(stdout, Lines::new(redactor), say.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(read_lines(stderr, Lines::new(redactor), say.clone()));
        }
        if folder.events().exists() {
            // With a writing end of our own the pipe has no end before we say so.
            let events = pipe::OpenOptions::new()
                .read_write(true)
                .open_receiver(folder.events())?;
            tokio::spawn(read_events(events, say, over.clone()));
        }
        let end = spec.end.clone();
        Ok((
            Self {
                child,
                life_line,
                end,
            },
            Speech { said, over },
        ))
    }

    /// Tells the supervisor to end everything.
    pub(crate) fn stop(&mut self) {
        self.life_line = None;
    }

    /// Waits for the supervisor, which is the last of the run. `None` where it died before its time.
    pub(crate) async fn ended(&mut self) -> Option<End> {
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "a supervisor cannot be waited for");
        }
        End::read(&self.end)
    }

    /// Kills a supervisor that does not come to an end.
    pub(crate) async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "a supervisor cannot be killed");
        }
    }
}

/// What a run says.
#[derive(Debug)]
pub(crate) struct Speech {
    said: mpsc::Receiver<Said>,
    over: CancellationToken,
}

impl Speech {
    /// The next piece; `None` once the run has ended and everything is read.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        self.said.recv().await
    }

    /// Says that no process of the run is there any more: what is in the pipe is all there will be.
    pub(crate) fn run_is_over(&self) {
        self.over.cancel();
    }
}

impl Drop for Speech {
    /// Nobody listens any more, so nobody needs to read.
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn read_lines(mut from: impl AsyncRead + Unpin, mut lines: Lines, say: mpsc::Sender<Said>) {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let (new, over) = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => (lines.finish(), true),
            Ok(length) => (lines.push(&chunk[..length]), false),
        };
        if !new.is_empty() && say.send(Said::Lines(new)).await.is_err() || over {
            return;
        }
    }
}

async fn read_events(mut from: pipe::Receiver, say: mpsc::Sender<Said>, over: CancellationToken) {
    let mut pending = Vec::new();
    let mut too_long = false;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = tokio::select! {
            biased;
            read = from.read(&mut chunk) => read.unwrap_or(0),
            () = over.cancelled() => from.try_read(&mut chunk).unwrap_or(0),
        };
        if length == 0 {
            return;
        }
        for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
            too_long |= pending.len() + piece.len() > MAX_EVENT;
            if !too_long {
                pending.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut pending);
                let whole = !std::mem::take(&mut too_long);
                if whole && say.send(Said::Event(line)).await.is_err() {
                    return;
                }
            }
        }
    }
}
