//! Health and agents.

use chiffon_common::{
    AgentId,
    api::{AgentEdit, AgentStatus, AgentView, Health, Page},
};
use reqwest::{Method, header};

use super::{Client, Versioned};
use crate::failure::Failure;

impl Client {
    /// `GET /health`.
    pub async fn health(&self) -> Result<Health, Failure> {
        self.get("/health", &[]).await
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
}

/// An id may hold a slash.
fn address(id: &AgentId) -> String {
    format!("/api/v1/agents/{}", super::escaped(id.as_str()))
}
