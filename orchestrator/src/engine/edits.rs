//! What persons may change directly: an agent's status, a project's title and description. Each is a row that
//! changes from the version that was read, with its audit record in the same commit.

use chiffon_arbiter::Agent;
use chiffon_common::{
    AgentId, AuditEntry, Principal, ProjectId, Subject, TraceId,
    api::{AgentStatus, ProjectEdit},
};
use chiffon_store::{AgentRow, Commit, Error, Expected, ProjectRow, Write};
use serde_json::{Value, json};

use super::Shared;

/// Who changes something, and in which trace.
#[derive(Debug, Clone)]
pub(crate) struct Editor {
    pub(crate) by: Principal,
    pub(crate) trace: TraceId,
}

impl Shared {
    /// One agent's row.
    pub(crate) async fn agent_row(&self, id: &AgentId) -> Result<Option<AgentRow>, Error> {
        let rows = self.store.agents(&self.settings.tenant).await?;
        Ok(rows.into_iter().find(|row| row.agent_id == *id))
    }

    /// Lets an agent have new work, or not.
    pub(crate) async fn set_agent_status(
        &self,
        was: &AgentRow,
        status: AgentStatus,
        editor: &Editor,
    ) -> Result<AgentRow, Error> {
        let row = AgentRow {
            status: status.name().to_owned(),
            version: was.version + 1,
            ..was.clone()
        };
        let data = json!({ "agent_id": row.agent_id, "status": row.status, "from": was.status });
        let audit = self.edited("agent", row.agent_id.to_string(), data, editor);
        let write = Write::Agent(Expected::Version(was.version), row.clone());
        self.commit_edit(write, audit).await?;
        self.nudges.dispatch.notify_one();
        Ok(row)
    }

    /// Makes a project, or says anew what it is.
    pub(crate) async fn put_project(
        &self,
        id: &ProjectId,
        was: Option<&ProjectRow>,
        edit: ProjectEdit,
        editor: &Editor,
    ) -> Result<ProjectRow, Error> {
        let now = self.clock.now();
        let row = ProjectRow {
            tenant_id: self.settings.tenant.clone(),
            project_id: id.clone(),
            title: edit.title,
            description: edit.description,
            version: was.map_or(1, |was| was.version + 1),
            created_at: was.map_or(now, |was| was.created_at),
            updated_at: now,
        };
        let expected = was.map_or(Expected::Absent, |was| Expected::Version(was.version));
        let entry = self.edited("project", id.to_string(), json!({}), editor);
        let audit = AuditEntry {
            project_id: Some(id.clone()),
            ..entry
        };
        self.commit_edit(Write::Project(expected, row.clone()), audit)
            .await?;
        Ok(row)
    }

    pub(super) fn edited(
        &self,
        kind: &str,
        id: String,
        data: Value,
        editor: &Editor,
    ) -> AuditEntry {
        let target = Subject {
            kind: kind.to_owned(),
            id,
        };
        let action = format!("{kind}.edited");
        AuditEntry {
            actor: editor.by.clone(),
            trace_id: editor.trace,
            ..self.audit_of_fleet(&action, target, "asked", Vec::new(), data)
        }
    }

    pub(super) async fn commit_edit(&self, write: Write, audit: AuditEntry) -> Result<(), Error> {
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: vec![write],
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
    }
}

/// What is kept of an agent beside its columns.
pub(crate) fn agent_of(row: &AgentRow) -> Result<Agent, serde_json::Error> {
    serde::Deserialize::deserialize(&row.doc)
}
