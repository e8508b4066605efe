//! The rows of every request held against its last audit record: who edited, deleted or slipped in one is named.
//! What the record itself is worth is for the chain to say.

use std::collections::BTreeMap;

use chiffon_common::{Problem, RequestId};
use chiffon_store::{Error, ListRequests, NumberedAudit, RunRows, SliceHead};

use super::{Shared, replay::docs_of, rows::slice_name, store_problem};

/// Requests listed at once.
const PAGE: u32 = 1000;
/// A request that moves all the time is read again so often.
const TRIES: usize = 5;

impl Shared {
    /// Holds all rows against what the last record of each request says; how many requests, and what does not fit.
    pub(super) async fn verify_rows(
        &self,
        heads: &BTreeMap<String, SliceHead>,
    ) -> Result<(u64, Vec<String>), Problem> {
        let mut faults = Vec::new();
        for (stream, head) in heads {
            let Some(request) = request_of(stream) else {
                continue;
            };
            let fault = self.verify_request(request, *head).await;
            if let Some(fault) = fault.map_err(|error| store_problem(&error))? {
                faults.push(format!("record {}: {fault}", head.seq));
            }
        }
        faults.extend(self.slipped_in(heads).await?);
        Ok((heads.len() as u64, faults))
    }

    /// What of these rows of a request, just read, is not as its last record left them, or was not at any record
    /// before. Nothing to say of a request of before, whose records carry no digest.
    pub(super) async fn altered(
        &self,
        request: RequestId,
        rows: RunRows,
    ) -> Result<Option<String>, Error> {
        let records = self.store.audit_stream(&slice_name(request)).await?;
        match left_by(&records) {
            Ok(Some(head)) if fault_of(&rows, head).is_none() => Ok(None),
            // It may have moved on between the two.
            Ok(Some(head)) => self.verify_request(request, head).await,
            Ok(None) => Ok(None),
            Err(fault) => Ok(Some(fault)),
        }
    }

    async fn newest_head(&self, request: RequestId) -> Result<Option<SliceHead>, Error> {
        let stream = slice_name(request);
        let head_of = |numbered: &NumberedAudit| {
            let digest = numbered.record.entry.slice?;
            let seq = numbered.seq;
            Some(SliceHead { seq, digest })
        };
        let last = self.store.last_of_stream(&stream).await?;
        if let Some(head) = last.as_ref().and_then(head_of) {
            return Ok(Some(head));
        }
        let records = self.store.audit_stream(&stream).await?;
        Ok(records.iter().rev().find_map(head_of))
    }

    async fn verify_request(
        &self,
        request: RequestId,
        mut head: SliceHead,
    ) -> Result<Option<String>, Error> {
        let mut last = None;
        for _try in 0..TRIES {
            let rows = self.store.run(&self.settings.tenant, request).await?;
            let Some(rows) = rows else {
                if self.was_forgotten_after(head.seq, request).await? {
                    return Ok(None);
                }
                return Ok(Some(format!(
                    "the rows of request {request} are missing from the database"
                )));
            };
            last = fault_of(&rows, head);
            if last.is_none() {
                return Ok(None);
            }
            // It may have moved on since the chain was read.
            match self.newest_head(request).await? {
                Some(newest) if newest != head => head = newest,
                _ => {}
            }
        }
        Ok(last)
    }

    /// Whether retention took the rows since the chain was read. Looked up where rows are missing only.
    async fn was_forgotten_after(&self, seq: u64, request: RequestId) -> Result<bool, Error> {
        let mut after = seq;
        loop {
            let page = self.store.audit_after(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(false);
            };
            after = last.seq;
            let mut named = page
                .iter()
                .flat_map(|one| one.record.entry.forgotten_requests());
            if named.any(|one| one == request) {
                return Ok(true);
            }
        }
    }

    /// Requests that no record knows.
    async fn slipped_in(
        &self,
        heads: &BTreeMap<String, SliceHead>,
    ) -> Result<Vec<String>, Problem> {
        let mut faults = Vec::new();
        let mut list = ListRequests {
            limit: PAGE,
            ..ListRequests::default()
        };
        loop {
            let page = self
                .store
                .requests(&self.settings.tenant, list.clone())
                .await;
            let page = page.map_err(|error| store_problem(&error))?;
            let Some(oldest) = page.last() else {
                return Ok(faults);
            };
            list.after = Some((oldest.created_at, oldest.request_id));
            for row in &page {
                let stream = slice_name(row.request_id);
                if heads.contains_key(&stream) {
                    continue;
                }
                let records = self.store.audit_stream(&stream).await;
                if records.map_err(|error| store_problem(&error))?.is_empty() {
                    let request = row.request_id;
                    faults.push(format!("request {request} is known to no audit record"));
                }
            }
        }
    }
}

/// What these records of one stream leave of its rows, if each found them as the one before it left them.
pub(super) fn left_by(records: &[NumberedAudit]) -> Result<Option<SliceHead>, String> {
    let mut left = None;
    for NumberedAudit { seq, record } in records {
        let (leaves, fault) = SliceHead::after(left, *seq, &record.entry);
        if let Some(fault) = fault {
            return Err(fault);
        }
        left = leaves;
    }
    Ok(left)
}

fn request_of(stream: &str) -> Option<RequestId> {
    stream.strip_prefix("request:")?.parse().ok()
}

/// What does not fit: a column that says something else than its document, or the documents as a whole.
fn fault_of(rows: &RunRows, head: SliceHead) -> Option<String> {
    let request = rows.request.request_id;
    let states = std::iter::once(("request", &rows.request.state, &rows.request.doc))
        .chain(rows.tasks.iter().map(|row| ("task", &row.state, &row.doc)))
        .chain(
            rows.decisions
                .iter()
                .map(|row| ("decision", &row.state, &row.doc)),
        );
    for (kind, column, doc) in states {
        if doc["state"]["is"].as_str() != Some(column) {
            return Some(format!(
                "a {kind} of request {request} is listed as {column}, which it is not"
            ));
        }
    }
    match docs_of(rows).proof() {
        Ok(proof) if proof == head.digest => None,
        Ok(_) => Some(format!(
            "the rows of request {request} were changed: they are not as this record left them"
        )),
        Err(error) => Some(format!("the rows of request {request}: {error}")),
    }
}
