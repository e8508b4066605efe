//! `chiffon audit verify`, `anchor` and `accept-key`. Writing the records out is left to `export`.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use chiffon_common::{
    api::{AcceptKey as Accept, AuditAnchor, VerifyAudit},
    visible,
};

use super::{Context, export::export, read};
use crate::{
    args::{AcceptKey, Anchor, Audit, Verify},
    exit::Exit,
    failure::Failure,
    output,
};

pub async fn audit(context: &mut Context<'_>, args: &Audit) -> Result<Exit, Failure> {
    match args {
        Audit::Verify(args) => verify(context, args).await,
        Audit::Anchor(args) => anchor(context, args).await,
        Audit::Export(args) => export(context, args).await,
        Audit::AcceptKey(args) => accept_key(context, args).await,
    }
}

/// More are held against it in several calls, or not at all: the newest say most.
const ANCHORS: usize = 1000;

async fn verify(context: &mut Context<'_>, args: &Verify) -> Result<Exit, Failure> {
    let mut asked = VerifyAudit {
        remote: args.remote,
        ..VerifyAudit::default()
    };
    if let Some(path) = &args.anchors {
        asked.anchors = read_anchors(path)?;
    }
    let report = read(context, async |client| client.verify_audit(&asked).await).await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &report, || {
        let counted = format!(
            "{} records in {} streams, {} seals, {} requests, {} ledger commits{}",
            report.records,
            report.streams,
            report.seals,
            report.requests,
            report.ledger_commits,
            anchored(report.anchors)
        );
        let listed = |lines: &[String]| {
            let lines = lines.iter().map(|line| format!("\n  {}", visible(line)));
            lines.collect::<String>()
        };
        let notes = match report.notes.is_empty() {
            true => String::new(),
            false => format!("\nThis was told before:{}", listed(&report.notes)),
        };
        match report.faults.is_empty() {
            true => format!("{}: {counted}. Everything fits.{notes}", paint.good("ok")),
            false => format!(
                "{}: {counted} hold. This does not fit:{}\n{}{notes}",
                paint.bad("broken"),
                listed(&report.faults),
                what_to_do(&report.faults)
            ),
        }
    });
    match report.faults.is_empty() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

/// Where the next steps stand, by what does not fit.
fn what_to_do(faults: &[String]) -> String {
    let of_ledger =
        |fault: &String| fault.starts_with("ledger") || fault.contains("the ledger was");
    let mut pages = Vec::new();
    if faults.iter().any(|fault| !of_ledger(fault)) {
        pages.push("`chiffon explain 5508` for records and database");
    }
    if faults.iter().any(of_ledger) {
        pages.push("`chiffon explain 5507` for the ledger");
    }
    let pages = pages.join(", ");
    format!("What to do: keep a copy of the data folder as it is, then {pages}.")
}

fn anchored(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => ", one anchor".to_owned(),
        count => format!(", {count} anchors"),
    }
}

async fn anchor(context: &mut Context<'_>, args: &Anchor) -> Result<Exit, Failure> {
    let head = read(context, async |client| client.audit_head().await).await?;
    let Some(path) = &args.to else {
        output::one(context.terminal, &head, || {
            let commit = head.ledger_commit.as_deref().unwrap_or("none yet");
            format!(
                "seal {} over records up to {}: {}\nledger commit: {}",
                head.seal_no,
                head.last_seq,
                visible(&head.hash),
                visible(commit)
            )
        });
        return Ok(Exit::Ok);
    };
    add_anchor(path, &head)?;
    let words = format!("Noted seal {} in {}.", head.seal_no, path.display());
    context.terminal.say(&words);
    Ok(Exit::Ok)
}

async fn accept_key(context: &mut Context<'_>, args: &AcceptKey) -> Result<Exit, Failure> {
    let asked = Accept {
        key: args.key.clone(),
        because: args.because.clone(),
    };
    let key = read(context, async |client| {
        client.accept_ledger_key(&asked).await
    })
    .await?;
    output::one(context.terminal, &key, || {
        let (now, before) = (visible(&key.key), key.replaced.as_deref().map(visible));
        match (before, key.record) {
            (Some(before), Some(record)) => format!(
                "{now} signs the ledger from now on, in the place of {before}: record {record} says so."
            ),
            (Some(before), None) => {
                format!("{now} signs the ledger from now on, in the place of {before}.")
            }
            (None, _) => format!("{now} signs the ledger already; nothing has changed."),
        }
    });
    Ok(Exit::Ok)
}

/// On the disk before it is told: an anchor that a loss of power takes back is none.
fn add_anchor(path: &Path, head: &AuditAnchor) -> Result<(), Failure> {
    let line = serde_json::to_string(head).map_err(|error| Failure::internal(error.to_string()))?;
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    })();
    written.map_err(|error: std::io::Error| {
        Failure::usage(
            format!("{} cannot be written: {error}.", path.display()),
            "Name a file that can be written, best on a medium that this machine cannot change later.",
        )
    })
}

fn read_anchors(path: &Path) -> Result<Vec<AuditAnchor>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let todo = match error.kind() {
            ErrorKind::NotFound => "Write one with: chiffon audit anchor --to FILE",
            _ => "Name the file that `chiffon audit anchor --to` has written.",
        };
        Failure::usage(format!("{shown} cannot be read: {error}."), todo)
    })?;
    let mut anchors = Vec::new();
    for (line, number) in text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty())
    {
        let anchor = serde_json::from_str(line).map_err(|error| {
            Failure::usage(
                format!("Line {number} of {shown} is no anchor: {error}."),
                "Name the file that `chiffon audit anchor --to` has written.",
            )
        })?;
        anchors.push(anchor);
    }
    if anchors.is_empty() {
        let todo = "Write one with: chiffon audit anchor --to FILE";
        return Err(Failure::usage(format!("{shown} holds no anchor."), todo));
    }
    let older = anchors.len().saturating_sub(ANCHORS);
    Ok(anchors.split_off(older))
}
