//! Health, agents, and the freeze.

use chiffon_common::{
    AgentId,
    api::{AgentEdit, AgentStatus, AgentView, Freeze, FreezeView, Health, Page},
};
use reqwest::{Method, header};

use super::{Client, Versioned};
use crate::failure::Failure;

impl Client {
    /// `GET /health`.
    pub async fn health(&self) -> Result<Health, Failure> {
        self.get("/health", &[]).await
    }

    /// The same after every page of the database was read.
    pub async fn close_health(&self) -> Result<Health, Failure> {
        let close = [("read_database", "true".to_owned())];
        self.get("/health", &close).await
    }

    /// `GET /api/v1/agents`.
    pub async fn agents(&self) -> Result<Page<AgentView>, Failure> {
        self.get("/api/v1/agents", &[]).await
    }

    /// `GET /api/v1/agents/{id}`.
    pub async fn agent(&self, id: &AgentId) -> Result<Versioned<AgentView>, Failure> {
        let call = self.call(Method::GET, &address(id));
        self.read_versioned(call).await
    }

    /// `PATCH /api/v1/agents/{id}`, from the version that was read.
    pub async fn set_agent_status(
        &self,
        was: &Versioned<AgentView>,
        status: AgentStatus,
    ) -> Result<AgentView, Failure> {
        let call = self.call(Method::PATCH, &address(&was.value.agent_id));
        let call = call.header(header::IF_MATCH, &was.tag);
        self.read(call.json(&AgentEdit { status })).await
    }

    /// `GET /api/v1/freeze`.
    pub async fn frozen(&self) -> Result<Versioned<FreezeView>, Failure> {
        self.read_versioned(self.call(Method::GET, FREEZE)).await
    }

    /// `PUT /api/v1/freeze`, whichever version there is: one that stands is told, not written over.
    pub async fn freeze(&self, reason: &str) -> Result<FreezeView, Failure> {
        let call = self.call(Method::PUT, FREEZE).header(header::IF_MATCH, "*");
        let reason = reason.to_owned();
        self.read(call.json(&Freeze { reason })).await
    }

    /// `DELETE /api/v1/freeze`, of the freeze that was read.
    pub async fn thaw(&self, was: &Versioned<FreezeView>) -> Result<FreezeView, Failure> {
        let call = self.call(Method::DELETE, FREEZE);
        self.read(call.header(header::IF_MATCH, &was.tag)).await
    }
}

const FREEZE: &str = "/api/v1/freeze";

/// An id may hold a slash.
fn address(id: &AgentId) -> String {
    format!("/api/v1/agents/{}", super::escaped(id.as_str()))
}
