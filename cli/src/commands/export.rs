//! `chiffon audit export`: all records as they came, one a line, page by page, so that no record of any length
//! has to be held at once.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::Value;

use super::{Context, only_lines};
use crate::{
    args::Export,
    client::{AuditFrom, Client},
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    session::{Need, Session, interrupted},
    terminal::Terminal,
};

pub async fn export(context: &mut Context<'_>, args: &Export) -> Result<Exit, Failure> {
    only_lines(context.terminal)?;
    let session = Session::open(context, Need::Records).await?;
    let ended = write_all(context, &session.client, args).await;
    session.close().await;
    let written = ended?;
    let words = match (written.count, written.last) {
        (0, _) => format!("No records after number {}.", args.after),
        (1, Some(last)) => format!("One record: number {last}."),
        (count, last) => {
            let last = last.unwrap_or_default();
            format!("{count} records, the last is number {last}.")
        }
    };
    context.terminal.say(&words);
    Ok(Exit::Ok)
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    count: u64,
    last: Option<u64>,
}

async fn write_all(
    context: &mut Context<'_>,
    client: &Client,
    args: &Export,
) -> Result<Written, Failure> {
    let terminal = context.terminal;
    let interrupt = &mut context.interrupt;
    let Some(path) = &args.out else {
        let mut out = Out::Terminal(terminal);
        return records(client, args.after, &mut out, interrupt).await;
    };
    let mut out = Out::File(BufWriter::new(made(path)?), path);
    let written = records(client, args.after, &mut out, interrupt).await;
    let written = written.and_then(|written| out.end().map(|()| written));
    if written.is_err() {
        // Half an export must not be taken for a whole one.
        let _stays = fs::remove_file(path);
    }
    written
}

async fn records(
    client: &Client,
    after: u64,
    out: &mut Out<'_>,
    interrupt: &mut Interrupt,
) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut from = AuditFrom::After(after);
    loop {
        let page = tokio::select! {
            page = client.audit(&from) => page?,
            () = interrupt.wait() => return Err(interrupted()),
        };
        for record in &page.items {
            out.line(&record.to_string())?;
            written.count += 1;
            written.last = record.get("seq").and_then(Value::as_u64).or(written.last);
        }
        match page.next_cursor {
            Some(cursor) if !out.is_closed() => from = AuditFrom::Cursor(cursor),
            _ => return Ok(written),
        }
    }
}

enum Out<'a> {
    Terminal(&'a Terminal),
    File(BufWriter<File>, &'a Path),
}

impl Out<'_> {
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Terminal(terminal) => {
                terminal.data(text);
                Ok(())
            }
            Self::File(file, path) => {
                writeln!(file, "{text}").map_err(|error| not_written(path, &error))
            }
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Terminal(terminal) => terminal.is_closed(),
            Self::File(..) => false,
        }
    }

    /// Only what lies on the disk is an export.
    fn end(&mut self) -> Result<(), Failure> {
        match self {
            Self::Terminal(_) => Ok(()),
            Self::File(file, path) => file
                .flush()
                .and_then(|()| file.get_ref().sync_all())
                .map_err(|error| not_written(path, &error)),
        }
    }
}

fn made(path: &Path) -> Result<File, Failure> {
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::plain(
            Exit::Conflict,
            format!("{} is there already.", path.display()),
            "Name another file by --out, or move that one away: nothing is overwritten.",
        ),
        _ => not_written(path, &error),
    })
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::plain(
        Exit::Failure,
        format!("{} cannot be written: {error}.", path.display()),
        "Name a file by --out in a folder that you may write to, on a disk with room.",
    )
}
