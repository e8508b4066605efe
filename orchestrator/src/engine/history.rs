//! Retention: what is forgotten with age, in small transactions beside the work. Requests go whole, with a record that
//! names them; the audit chain and the ledger's entries never go.

use std::{collections::BTreeSet, time::Duration};

use chiffon_common::{AuditEntry, ErrorCode, Problem, RequestId, Subject};
use chiffon_store::{Commit, Error, StoredAnswer, Write};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Shared, posts::Post, rows::slice_name};

/// How often old rows are forgotten.
const EVERY: Duration = Duration::from_secs(3600);
/// How long output, metrics and stored answers are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Requests that go in one transaction.
const BATCH: u32 = 50;
/// Requests that had to stay because they are not as their records say; with more of them it ends for this time, since
/// somebody was at work in the database.
const ODD: usize = 200;
/// Between two transactions, so that work comes first.
const BREATH: Duration = Duration::from_millis(20);

/// How metrics are thinned: older than this, one report of each agent is left in so many seconds.
const THINNED: [(SignedDuration, u32); 2] = [
    (SignedDuration::from_hours(24), 60),
    (SignedDuration::from_hours(24 * 7), 3600),
];
/// Metrics are thinned an hour at a time.
const SLICE_SECONDS: i64 = 3600;

impl Shared {
    /// Forgets for ever. In a process that does not stay only once somebody asked for something: one that was started
    /// for a look, as by `audit verify`, finds everything as it was.
    pub(crate) async fn forget(&self) {
        if !self.settings.stays {
            self.nudges.asked.notified().await;
        }
        // Up to where metrics are thinned, by each of the two rules; after a start it is gone over again.
        let mut thinned = [None; THINNED.len()];
        loop {
            if !self.has_post(Post::Retention).await.unwrap_or_default() {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            self.forget_old().await;
            let rules = THINNED.iter().filter(|_| self.settings.stays);
            for (rule, done) in rules.zip(&mut thinned) {
                if let Err(error) = self.thin(*rule, done).await {
                    tracing::warn!(%error, "old metrics could not be thinned; trying again");
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn forget_old(&self) {
        let now = self.clock.now();
        let Ok(before) = now.checked_sub(KEPT) else {
            return tracing::warn!("the clock is too early to forget anything");
        };
        match self.store.forget(before).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "forgot rows older than thirty days"),
            Err(error) => tracing::warn!(%error, "old rows could not be forgotten; trying again"),
        }
        let days = i64::from(self.settings.history_days);
        let Ok(before) = now.checked_sub(SignedDuration::from_hours(24 * days)) else {
            return;
        };
        if days == 0 {
            return;
        }
        match self.forget_requests(before).await {
            Ok(0) => {}
            Ok(requests) => tracing::info!(requests, days, "forgot requests that ended long ago"),
            Err(error) => {
                tracing::warn!(%error, "old requests could not be forgotten; trying again")
            }
        }
    }

    async fn forget_requests(&self, before: Timestamp) -> Result<usize, Error> {
        let tenant = &self.settings.tenant;
        let mut gone = 0;
        let mut odd = BTreeSet::new();
        loop {
            // Those that stay are found again each time, and must not stand before the others.
            let limit = BATCH + u32::try_from(odd.len()).unwrap_or(BATCH);
            let old = self.store.forgettable(tenant, before, limit).await?;
            let known = odd.len();
            let mut may = Vec::new();
            for request in old {
                if odd.contains(&request) {
                    continue;
                }
                match self.must_stay(request, before).await? {
                    None => may.push(request),
                    Some(why) => {
                        tracing::warn!(code = %ErrorCode::PlanAltered, %request, %why, "a request is listed as ended long ago and does not fit its audit records; it is kept: run `chiffon audit verify`");
                        odd.insert(request);
                    }
                }
            }
            if !may.is_empty() {
                self.forget_these(&may, before).await?;
                gone += may.len();
            } else if odd.len() == known {
                return Ok(gone);
            }
            if odd.len() > ODD {
                tracing::warn!(
                    requests = odd.len(),
                    "too many requests do not fit their audit records; nothing more is forgotten for now"
                );
                return Ok(gone);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// One transaction: the rows, and the record that names them.
    async fn forget_these(&self, requests: &[RequestId], before: Timestamp) -> Result<(), Error> {
        let target = Subject {
            kind: "history".to_owned(),
            id: before.strftime("%Y-%m-%d").to_string(),
        };
        let because = format!("{} requests that ended before {before}", requests.len());
        let data = json!({ "requests": requests, "before": before, "because": because });
        let entry = self.audit_of_fleet(
            AuditEntry::HISTORY_FORGOTTEN,
            target,
            "retention",
            Vec::new(),
            data,
        );
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: requests.iter().copied().map(Write::ForgetRequest).collect(),
            audit: vec![entry],
            ..Commit::default()
        };
        chiffon_failpoint::hit!("history.commit.before");
        self.commit(commit).await.map(drop)
    }

    /// What is still known of a request whose rows were forgotten; nothing where no record says that they were.
    pub(crate) async fn forgotten(&self, request: RequestId) -> Result<Option<Problem>, Error> {
        let Some(last) = self.store.last_of_stream(&slice_name(request)).await? else {
            return Ok(None);
        };
        let Some(by) = self.store.forgotten_by(request).await? else {
            return Ok(None);
        };
        let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let (last_at, last_was) = (last.record.entry.ts, &last.record.entry.action);
        let detail = format!(
            "request {request} was forgotten with age on {} (audit record {}); its last audit record is {} of {}: {last_was}",
            day(by.record.entry.ts),
            by.seq,
            last.seq,
            day(last_at),
        );
        let todo = match self.store.ledger_commit(request).await? {
            Some(commit) => format!(
                "what it did stands in commit {commit} of the ledger (`chiffon log`, `git show`), its records in `chiffon audit export`"
            ),
            None => "its records stand in `chiffon audit export`".to_owned(),
        };
        Ok(Some(Problem::new(
            ErrorCode::RequestForgotten,
            detail,
            todo,
        )))
    }

    /// What is kept of an idempotency key, unless the request that it tells of was forgotten: then the key goes with it.
    pub(crate) async fn still_answered(
        &self,
        key: &str,
        stored: Option<StoredAnswer>,
    ) -> Result<Option<StoredAnswer>, Error> {
        let request = stored.as_ref().and_then(|stored| {
            let id = stored.answer.pointer("/body/request_id")?;
            id.as_str()?.parse::<RequestId>().ok()
        });
        let (Some(kept), Some(request)) = (&stored, request) else {
            return Ok(stored);
        };
        let tenant = &self.settings.tenant;
        let is_there = self.store.run(tenant, request).await?.is_some();
        if is_there || self.forgotten(request).await?.is_none() {
            return Ok(stored);
        }
        let commit = Commit {
            tenant_id: tenant.clone(),
            writes: vec![Write::ForgetKey {
                key: key.to_owned(),
                kept: kept.clone(),
            }],
            ..Commit::default()
        };
        self.commit(commit).await?;
        Ok(None)
    }

    /// Thins what has come of age since the last time.
    async fn thin(
        &self,
        (age, step_seconds): (SignedDuration, u32),
        done: &mut Option<i64>,
    ) -> Result<(), Error> {
        let now = self.clock.now().as_second();
        let whole = |second: i64| second - second.rem_euclid(SLICE_SECONDS);
        let until = whole(now - age.as_secs());
        let mut from = done.unwrap_or_else(|| whole(now - KEPT.as_secs()));
        while from < until {
            let to = from + SLICE_SECONDS;
            let (Ok(first), Ok(last)) = (Timestamp::from_second(from), Timestamp::from_second(to))
            else {
                return Ok(());
            };
            self.store.thin_metrics(first, last, step_seconds).await?;
            from = to;
            *done = Some(to);
        }
        Ok(())
    }
}
