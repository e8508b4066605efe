//! The rows of every request held against its last audit record: who edited, deleted or slipped in one is named.
//! What the record itself is worth is for the chain to say.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::{Digest, RequestId};
use chiffon_store::{Error, ListRequests, NumberedAudit, RunRows, SliceHead};
use jiff::Timestamp;

use super::{
    Shared,
    recorded::told_at,
    replay::docs_of,
    rows::slice_name,
    verify_columns::{differing, untimely},
};

/// Requests listed at once.
const PAGE: u32 = 1000;
/// A request that moves all the time is read again so often.
const TRIES: usize = 5;

impl Shared {
    /// Holds all rows against what the last record of each request says; how many requests, and what does not fit.
    pub(super) async fn verify_rows(
        &self,
        heads: &BTreeMap<String, SliceHead>,
    ) -> Result<(u64, Vec<String>), Error> {
        let mut faults = Vec::new();
        let mut requests = 0;
        let mut limits = BTreeSet::new();
        for (stream, head) in heads {
            let Some(request) = request_of(stream) else {
                continue;
            };
            requests += 1;
            let fault = self.verify_request(request, *head, &mut limits).await;
            let fault: Vec<_> = or_named(fault.map(Vec::from_iter))?;
            faults.extend(
                fault
                    .iter()
                    .map(|fault| format!("record {}: {fault}", head.seq)),
            );
        }
        faults.extend(self.altered_limits(&limits).await?);
        faults.extend(or_named(self.slipped_in(heads).await)?);
        Ok((requests, faults))
    }

    /// Which of these limits, by which recorded events were judged, are gone or no longer what they were.
    async fn altered_limits(&self, limits: &BTreeSet<Digest>) -> Result<Vec<String>, Error> {
        let mut faults = Vec::new();
        for digest in limits {
            let doc = self.store.run_policy(*digest).await?;
            let is = doc.map(|doc| Digest::of_value(&doc).is_ok_and(|is| is == *digest));
            let how = match is {
                Some(true) => continue,
                Some(false) => "were changed",
                None => "are missing from the database",
            };
            faults.push(format!(
                "the limits {digest}, by which recorded events were judged, {how}"
            ));
        }
        Ok(faults)
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
            Ok(Some(head)) if misfit(&rows, head).is_none() => Ok(None),
            // It may have moved on between the two.
            Ok(Some(head)) => {
                let mut limits = BTreeSet::new();
                self.verify_request(request, head, &mut limits).await
            }
            Ok(None) => Ok(None),
            Err(fault) => Ok(Some(fault)),
        }
    }

    async fn newest_head(&self, request: RequestId) -> Result<Option<SliceHead>, Error> {
        let stream = slice_name(request);
        let head_of = |numbered: &NumberedAudit| {
            SliceHead::after(None, numbered.seq, &numbered.record.entry).0
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
        limits: &mut BTreeSet<Digest>,
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
            last = match misfit(&rows, head) {
                Some(fault) => Some(fault),
                None => self.unheard(&rows, limits).await?,
            };
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

    /// Which recorded event of these rows is missing: each version of the request's row was led to by one; or which row
    /// was written at the time of none.
    /// A chain whose first record knows no rows is of before, when none were kept.
    async fn unheard(
        &self,
        rows: &RunRows,
        limits: &mut BTreeSet<Digest>,
    ) -> Result<Option<String>, Error> {
        let request = rows.request.request_id;
        let tenant = &self.settings.tenant;
        let events = self.store.run_events(tenant, request).await?;
        let now = rows.request.version;
        limits.extend(events.iter().map(|event| event.policy));
        let last = events.last().map_or(now, |event| event.version);
        if last > now {
            // It may have moved on between the reads: an event and the version it leads to are one commit.
            let again = self.store.run(tenant, request).await?;
            let again = again.map_or(last, |rows| rows.request.version);
            if again < last {
                return Ok(Some(format!(
                    "request {request} has {now} in its column version, and its events lead to {last}"
                )));
            }
        }
        // What came since the rows were read is not theirs.
        let theirs = events.iter().filter(|event| event.version <= now);
        let kept: Vec<u64> = theirs.clone().map(|event| event.version).collect();
        let Some(missing) = (1..=now).find(|version| kept.binary_search(version).is_err()) else {
            let times: Option<Vec<_>> = theirs.map(told_at).collect();
            return Ok(match times {
                Some(times) => untimely(rows, &times),
                None => Some(format!("an event of request {request} says no time")),
            });
        };
        let records = self.store.audit_stream(&slice_name(request)).await?;
        let first = records.first().map(|first| &first.record.entry);
        let is_before = first.is_none_or(|first| first.slice.is_none());
        Ok((!is_before).then(|| format!("event {missing} of request {request} is missing")))
    }

    /// Why the rows of an ended request must not be forgotten as those of before this moment; nothing if they may. The
    /// last record says when it ended, and must be about these very rows.
    pub(super) async fn must_stay(
        &self,
        request: RequestId,
        before: Timestamp,
    ) -> Result<Option<String>, Error> {
        let last = self.store.last_of_stream(&slice_name(request)).await?;
        let Some(NumberedAudit { seq, record }) = last else {
            return Ok(Some("no audit record knows it".to_owned()));
        };
        if !record.is_intact() {
            return Ok(Some(format!("record {seq} was changed")));
        }
        let ts = record.entry.ts;
        if ts >= before {
            return Ok(Some(format!("it ended at {ts}, by record {seq}")));
        }
        match self.store.run(&self.settings.tenant, request).await? {
            Some(rows) => self.altered(request, rows).await,
            None => Ok(Some("its rows are gone already".to_owned())),
        }
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
    async fn slipped_in(&self, heads: &BTreeMap<String, SliceHead>) -> Result<Vec<String>, Error> {
        let mut faults = Vec::new();
        let mut list = ListRequests {
            limit: PAGE,
            ..ListRequests::default()
        };
        loop {
            let page = self
                .store
                .requests(&self.settings.tenant, list.clone())
                .await?;
            let Some(oldest) = page.last() else {
                return Ok(faults);
            };
            list.after = Some((oldest.created_at, oldest.request_id));
            for row in &page {
                let stream = slice_name(row.request_id);
                if heads.contains_key(&stream) {
                    continue;
                }
                if self.store.audit_stream(&stream).await?.is_empty() {
                    let request = row.request_id;
                    faults.push(format!("request {request} is known to no audit record"));
                }
            }
        }
    }
}

/// What was found, or what cannot be read in words: that is a fault of the rows like another, and no reason to look no
/// further.
pub(super) fn or_named<T: FromIterator<String>>(found: Result<T, Error>) -> Result<T, Error> {
    match found {
        Err(Error::Corrupt(why)) => Ok([why].into_iter().collect()),
        other => other,
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

/// What does not fit of one read of the rows: a column that says something else than its document, or the documents as
/// a whole.
fn misfit(rows: &RunRows, head: SliceHead) -> Option<String> {
    differing(rows).or_else(|| fault_of(rows, head))
}

fn fault_of(rows: &RunRows, head: SliceHead) -> Option<String> {
    let request = rows.request.request_id;
    let docs = docs_of(rows);
    let endings = match head.endings {
        Some(_) => docs.endings(),
        // Nothing had ended, or the record is of before.
        None => Ok(None),
    };
    match (endings, docs.proof()) {
        (Ok(endings), Ok(proof)) if proof == head.digest && endings == head.endings => None,
        (Ok(_), Ok(proof)) if proof == head.digest => Some(format!(
            "what is said of how request {request} ended was changed: it is not as this record left it"
        )),
        (Ok(_), Ok(_)) => Some(format!(
            "the rows of request {request} were changed: they are not as this record left them"
        )),
        (Err(error), _) | (_, Err(error)) => {
            Some(format!("the rows of request {request}: {error}"))
        }
    }
}
