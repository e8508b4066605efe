//! The rows of schedules held against their audit records: what a person said of a schedule is under a digest that each
//! record of an edit carries, so a row that somebody edits behind the program's back approves nothing, and is named.
//! What the records themselves are worth is for the chain to say.

use std::collections::BTreeMap;

use chiffon_common::{AuditEntry, CanonicalError, Digest, ScheduleId};
use chiffon_store::{Error, ListSchedules, ScheduleRow, SliceHead};
use serde_json::{Value, json};

use crate::engine::{Shared, verify_rows::left_by};

/// The record of a standing approval is `schedule.` and this.
pub(super) const APPROVED: &str = "approved";
/// What changes whenever it asks, and words.
const PASSING: [&str; 3] = ["because", "last", "missed_count"];
/// Schedules, or records, read at once.
const PAGE: u32 = 1000;
/// One that changes all the time is read again so often.
const TRIES: usize = 5;

/// The stream of what is done to a schedule.
fn stream_of(schedule: impl std::fmt::Display) -> String {
    format!("schedule:{schedule}")
}

/// The digest over what persons said of a schedule: all of the row but its times, its runs and the words of why.
fn proof(row: &ScheduleRow) -> Result<Digest, CanonicalError> {
    let mut said = row.doc.clone();
    if let Value::Object(fields) = &mut said {
        fields.retain(|name, _| !PASSING.contains(&name.as_str()));
    }
    Digest::of_value(&json!({
        "v": 1,
        "tenant_id": row.tenant_id,
        "schedule_id": row.schedule_id,
        "project_id": row.project_id,
        "paused": row.state == "paused",
        "said": said,
    }))
}

/// Makes a record one of an edit: in the stream of its schedule, with the digests over the row as it was and as it is
/// left. What a schedule does by itself when it asks changes nothing that is under them.
pub(super) fn of_edit(
    entry: AuditEntry,
    found: Option<&ScheduleRow>,
    left: Option<&ScheduleRow>,
) -> Result<AuditEntry, CanonicalError> {
    Ok(AuditEntry {
        stream: stream_of(&entry.target.id),
        slice: left.map(proof).transpose()?,
        slice_before: found.map(proof).transpose()?,
        ..entry
    })
}

impl Shared {
    /// Why the standing approval in this row is none: no record gave it, or something else was edited since. One that
    /// is given anew is good again.
    pub(super) async fn standing_fault(&self, row: &ScheduleRow) -> Result<Option<String>, Error> {
        let stream = stream_of(row.schedule_id);
        let records = self.store.audit_stream(&stream).await?;
        let action = format!("schedule.{APPROVED}");
        let given = records
            .iter()
            .rposition(|one| one.record.entry.action == action);
        let since = given.and_then(|given| records.get(given..));
        Ok(match since.map(left_by) {
            None => Some("no audit record tells of it".to_owned()),
            Some(Ok(Some(head))) => fault_of(row, head),
            Some(Ok(None)) => Some("by the audit records it was removed".to_owned()),
            Some(Err(fault)) => Some(fault),
        })
    }

    /// Holds all schedules against what the last record of each says; what does not fit.
    pub(in crate::engine) async fn verify_schedules(
        &self,
        heads: &BTreeMap<String, SliceHead>,
    ) -> Result<Vec<String>, Error> {
        let (tenant, mut faults) = (&self.settings.tenant, Vec::new());
        let mut unknown = Vec::new();
        let mut list = ListSchedules {
            limit: PAGE,
            ..ListSchedules::default()
        };
        loop {
            let page = self.store.schedules(tenant, list.clone()).await?;
            let Some(last) = page.last() else { break };
            list.after = Some((last.created_at, last.schedule_id));
            for row in page {
                match self.newest(row.schedule_id).await? {
                    None => unknown.push(row.schedule_id.to_string()),
                    Some(_) => faults.extend(self.verify_schedule(row).await?),
                }
            }
        }
        for (stream, head) in heads {
            let Some(id) = stream.strip_prefix("schedule:") else {
                continue;
            };
            let Ok(id) = id.parse::<ScheduleId>() else {
                continue;
            };
            let is_gone = self.store.schedule(tenant, id).await?.is_none();
            // It may have been removed since the chain was read.
            if is_gone && matches!(self.newest(id).await?, Some(Some(_))) {
                let seq = head.seq;
                faults.push(format!(
                    "record {seq}: schedule {id} is missing from the database"
                ));
            }
        }
        for id in self.without_record(unknown).await? {
            faults.push(format!("schedule {id} is known to no audit record"));
        }
        Ok(faults)
    }

    /// What the last record of its stream says: nothing of its row where that was removed. `None` without any record.
    async fn newest(&self, schedule: ScheduleId) -> Result<Option<Option<SliceHead>>, Error> {
        let last = self.store.last_of_stream(&stream_of(schedule)).await?;
        Ok(last.map(|last| SliceHead::after(None, last.seq, &last.record.entry).0))
    }

    async fn verify_schedule(&self, mut row: ScheduleRow) -> Result<Option<String>, Error> {
        let id = row.schedule_id;
        let mut fault = None;
        for _try in 0..TRIES {
            fault = match self.newest(id).await? {
                Some(Some(head)) => {
                    let seq = head.seq;
                    fault_of(&row, head).map(|fault| format!("record {seq}: {fault}"))
                }
                _ => Some(format!(
                    "schedule {id} is in the database, and was removed by its records"
                )),
            };
            if fault.is_none() {
                break;
            }
            // It may have been changed between the reads.
            match self.store.schedule(&self.settings.tenant, id).await? {
                Some(now) if now.version != row.version => row = now,
                Some(_) => break,
                None => return Ok(None),
            }
        }
        Ok(fault)
    }

    /// Those of these schedules that no record is about. Records of before are in the streams of their days.
    async fn without_record(&self, mut schedules: Vec<String>) -> Result<Vec<String>, Error> {
        let mut after = 0;
        while !schedules.is_empty() {
            let page = self.store.audit_after(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            let about = |id: &String| {
                let mut targets = page.iter().map(|one| &one.record.entry.target);
                targets.any(|target| target.kind == "schedule" && target.id == *id)
            };
            schedules.retain(|id| !about(id));
        }
        Ok(schedules)
    }
}

/// What of this row is not as a record left it.
fn fault_of(row: &ScheduleRow, head: SliceHead) -> Option<String> {
    let (id, seq) = (row.schedule_id, head.seq);
    match proof(row) {
        Ok(proof) if proof == head.digest => None,
        Ok(_) => Some(format!(
            "the row of schedule {id} was changed: it is not as record {seq} left it"
        )),
        Err(error) => Some(format!("the row of schedule {id}: {error}")),
    }
}
