//! What may run, and where.

use chiffon_common::{
    EntryId, HostName,
    api::{AcceptEntries, CatalogueView, EntryRun, HostView, InventoryView, RequestAccepted},
};
use reqwest::Method;

use super::{Client, IDEMPOTENCY_KEY, escaped};
use crate::failure::Failure;

impl Client {
    /// `GET /api/v1/catalogue`.
    pub async fn catalogue(&self) -> Result<CatalogueView, Failure> {
        self.get("/api/v1/catalogue", &[]).await
    }

    /// `PUT /api/v1/acceptances`.
    pub async fn accept(&self, accept: &AcceptEntries) -> Result<CatalogueView, Failure> {
        let call = self.call(Method::PUT, "/api/v1/acceptances");
        self.read(call.json(accept)).await
    }

    /// `POST /api/v1/catalogue/{id}/run`.
    pub async fn run_entry(
        &self,
        entry: &EntryId,
        run: &EntryRun,
        key: Option<&str>,
    ) -> Result<RequestAccepted, Failure> {
        let path = format!("/api/v1/catalogue/{}/run", escaped(entry.as_str()));
        let mut call = self.call(Method::POST, &path).json(run);
        if let Some(key) = key {
            call = call.header(IDEMPOTENCY_KEY, key);
        }
        self.read(call).await
    }

    /// `POST /api/v1/inventory/{id}/clear`.
    pub async fn clear(&self, host: &HostName) -> Result<HostView, Failure> {
        self.post_nothing(&format!("/api/v1/inventory/{host}/clear"))
            .await
    }

    /// `GET /api/v1/inventory`.
    pub async fn inventory(&self) -> Result<InventoryView, Failure> {
        self.get("/api/v1/inventory", &[]).await
    }
}
