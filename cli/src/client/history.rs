//! The record of every decision, and that of every outcome.

use std::time::Duration;

use chiffon_common::{
    RequestId,
    api::{
        AcceptKey, AuditAnchor, AuditReport, LedgerKey, LedgerLine, Page, ReplayReport, VerifyAudit,
    },
};
use reqwest::Method;
use serde_json::Value;

use super::Client;
use crate::failure::Failure;

/// Records in one answer: as many as the server gives.
const RECORDS: u32 = 500;

/// A million requests are gone through one by one, and a ledger that is being put back is waited for.
const VERIFYING: Duration = Duration::from_secs(3600);

/// Where a page of records begins.
#[derive(Debug, Clone)]
pub enum AuditFrom {
    /// After this number.
    After(u64),
    /// Where the page before ended.
    Cursor(String),
}

impl Client {
    /// `GET /api/v1/audit`. The records as they came: an export must not lose what a later version adds.
    pub async fn audit(&self, from: &AuditFrom) -> Result<Page<Value>, Failure> {
        let place = match from {
            AuditFrom::After(number) => ("after", number.to_string()),
            AuditFrom::Cursor(cursor) => ("cursor", cursor.clone()),
        };
        let query = [("limit", RECORDS.to_string()), place];
        self.get("/api/v1/audit", &query).await
    }

    /// `POST /api/v1/audit/verify`.
    pub async fn verify_audit(&self, asked: &VerifyAudit) -> Result<AuditReport, Failure> {
        let call = self.call(Method::POST, "/api/v1/audit/verify");
        self.read(call.json(asked).timeout(VERIFYING)).await
    }

    /// `POST /api/v1/audit/key`.
    pub async fn accept_ledger_key(&self, asked: &AcceptKey) -> Result<LedgerKey, Failure> {
        self.post("/api/v1/audit/key", asked).await
    }

    /// `GET /api/v1/audit/head`.
    pub async fn audit_head(&self) -> Result<AuditAnchor, Failure> {
        self.get("/api/v1/audit/head", &[]).await
    }

    /// `POST /api/v1/requests/{id}/replay`.
    pub async fn replay(&self, id: RequestId) -> Result<ReplayReport, Failure> {
        self.post_nothing(&format!("/api/v1/requests/{id}/replay"))
            .await
    }

    /// `GET /api/v1/ledger`.
    pub async fn ledger(&self, limit: u32) -> Result<Page<LedgerLine>, Failure> {
        self.get("/api/v1/ledger", &[("limit", limit.to_string())])
            .await
    }
}
