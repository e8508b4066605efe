//! An export of the orchestrator's audit (`chiffon audit export`): every judgement of its control plane again, as `replay`
//! does with the files of `arbiter serve`. There, the table is the truth and this file is drawn from it, so what is held
//! here of the chain is what one file can show: each record's own hash, and the record before it in its stream. That the
//! file is whole is for `chiffon audit verify` to say.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use chiffon_arbiter::{Judged, Led, Policy, Recorded, StageRecord};
use chiffon_common::{AuditEntry, AuditRecord, CanonicalError, Digest, GENESIS};
use serde::Deserialize;
use serde_json::Value;

use super::{Aside, Difference, Replayed, Rules, Unproven, both, counts, why};
use crate::{audit::Lines, record::Next};

/// A line of an export.
#[derive(Deserialize)]
struct Exported {
    seq: u64,
    record: AuditRecord,
}

/// Whether a file is such an export: its first line says so.
pub(crate) fn is_export(path: &Path) -> io::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut lines = Lines::open(path)?;
    let first = lines.next()?;
    Ok(first.is_some_and(|line| {
        serde_json::from_slice::<Value>(line.bytes)
            .is_ok_and(|value| value["record"]["entry"].is_object())
    }))
}

/// Judges all of it again: by the rules that were in force, or by `policy`.
pub(super) fn replay(path: &Path, policy: Option<&Policy>) -> Result<Replayed, Unproven> {
    let unreadable = |source| Unproven::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut lines = Lines::open(path).map_err(unreadable)?;
    let mut told = Told {
        file: path.to_owned(),
        replayed: Replayed {
            files: 1,
            ..Replayed::default()
        },
        ..Told::default()
    };
    while let Some(line) = lines.next().map_err(unreadable)? {
        let number = line.number;
        let broken = |why: String| Unproven::Broken {
            file: path.to_owned(),
            line: number,
            why,
        };
        let read: Exported = serde_json::from_slice(line.bytes)
            .map_err(|error| broken(format!("it is no record of an export: {error}")))?;
        told.follow(&read).map_err(broken)?;
        told.judge(&read.record.entry, policy, number)?;
    }
    match told.replayed.decisions {
        0 => Err(Unproven::Nothing(path.to_owned())),
        _ => Ok(told.replayed),
    }
}

/// What was read so far.
#[derive(Default)]
struct Told {
    file: PathBuf,
    replayed: Replayed,
    seq: u64,
    /// Position and hash of the last record of each stream.
    streams: HashMap<String, (u64, String)>,
    rules: HashMap<Digest, Rules>,
}

impl Told {
    /// Holds a record against its hash and the one before it.
    fn follow(&mut self, read: &Exported) -> Result<(), String> {
        let record = &read.record;
        if read.seq <= self.seq {
            return Err(format!("record {} stands behind {}", read.seq, self.seq));
        }
        self.seq = read.seq;
        if !record.is_intact() {
            return Err("its hash is not that of what it says".to_owned());
        }
        let here = (record.position, record.hash.clone());
        let before = self.streams.insert(record.entry.stream.clone(), here);
        let follows = match before {
            Some((position, hash)) => record.position == position + 1 && record.previous == hash,
            // An export may begin later.
            None => (record.position == 0) == (record.previous == GENESIS),
        };
        match follows {
            true => Ok(()),
            false => Err("it does not follow the record before it in its stream".to_owned()),
        }
    }

    fn judge(
        &mut self,
        entry: &AuditEntry,
        policy: Option<&Policy>,
        line: u64,
    ) -> Result<(), Unproven> {
        let broken = |why: String| Unproven::Broken {
            file: self.file.clone(),
            line,
            why,
        };
        let Some(judgement) = entry.data.get("judgement") else {
            self.replayed.others += 1;
            return Ok(());
        };
        let unread = |error: serde_json::Error| {
            broken(format!("it holds no judgement of this version: {error}"))
        };
        let recorded = Recorded::deserialize(judgement).map_err(unread)?;
        let stages = match entry.data.get("stages") {
            Some(stages) => Vec::<StageRecord>::deserialize(stages).map_err(unread)?,
            None => Vec::new(),
        };
        fits(entry, &recorded).map_err(broken)?;
        if let Some(policy) = &recorded.policy {
            let digest = Digest::of_value(policy).map_err(|error| broken(error.to_string()))?;
            if digest != recorded.rules {
                let why = format!("its rules have the digest {digest}, not the one it names");
                return Err(broken(why));
            }
            let (policy, program) = (policy.clone(), recorded.program.clone());
            self.rules.insert(digest, Rules { policy, program });
        }
        let Some(then) = self.rules.get(&recorded.rules) else {
            let why = "the rules it names stand nowhere before it; export from the beginning";
            return Err(broken(why.to_owned()));
        };
        // Whether text starts work is what makes it an orchestrator, and no rule of a configuration of `arbiter`.
        let other = policy.map(|policy| Policy {
            jobs: then.policy.jobs,
            ..policy.clone()
        });
        let by = other.as_ref().unwrap_or(&then.policy);
        let differs = |by: &Policy| match recorded.again(by)? {
            Ok(led_to) => held(&recorded.led_to, &stages, &led_to),
            Err(why) => Ok(Some(Difference::Answer(why))),
        };
        let difference = differs(by).map_err(|error| broken(error.to_string()))?;
        self.replayed.decisions += 1;
        let difference = match difference {
            None => return Ok(()),
            Some(Difference::Aside(_)) if policy.is_some() => {
                self.replayed.aside += 1;
                return Ok(());
            }
            Some(Difference::Answer(text) | Difference::Aside(text)) => text,
        };
        let differs_by =
            |policy: &Policy| Ok(counts(differs(policy)?.as_ref(), *policy == then.policy));
        let why = why(then, by, differs_by);
        Err(Unproven::Differs {
            file: self.file.clone(),
            line,
            about: about(&recorded.judged),
            difference,
            why: why.map_err(|error: CanonicalError| broken(error.to_string()))?,
        })
    }
}

/// Whether the record's own fields are those of its judgement.
fn fits(entry: &AuditEntry, recorded: &Recorded) -> Result<(), String> {
    let (tenant, plan) = match &recorded.judged {
        Judged::Event { event, .. } => {
            let plan = recorded.led_to.answer.get("plan_id");
            (&event.tenant_id, plan.cloned())
        }
        // What they answer is found by the plan that it all goes back to.
        Judged::Generation { result, .. } => {
            let plan = serde_json::to_value(result.plan_id).ok();
            (&result.tenant_id, plan)
        }
        Judged::Action { result, asked, .. } => {
            let plan = serde_json::to_value(asked.plan_id).ok();
            (&result.tenant_id, plan)
        }
    };
    let other = |field: &str| Err(format!("its {field} is not that of what was judged"));
    match () {
        () if entry.tenant_id != *tenant => other("tenant_id"),
        () if entry.data.get("response_plan") != plan.as_ref() => other("response_plan"),
        () => Ok(()),
    }
}

fn held(
    then: &Led,
    stages: &[StageRecord],
    now: &Led,
) -> Result<Option<Difference>, CanonicalError> {
    let next = |led: &Led| Next {
        room: led.room.clone().map(std::borrow::Cow::Owned),
        tenant: led.tenant.clone().map(std::borrow::Cow::Owned),
    };
    let (next_then, next_now) = (next(then), next(now));
    // The stages of results are none.
    both(
        (&then.answer, &Aside::of(stages, &next_then)),
        (&now.answer, &Aside::of(&now.stages, &next_now)),
    )
}

fn about(judged: &Judged) -> String {
    match judged {
        Judged::Event { event, .. } => {
            format!("event {} of tenant {}", event.event_id, event.tenant_id)
        }
        Judged::Generation { result, .. } => format!(
            "the generation for plan {} of tenant {}",
            result.plan_id, result.tenant_id
        ),
        Judged::Action { result, .. } => format!(
            "the result of action {} of tenant {}",
            result.action_id, result.tenant_id
        ),
    }
}
