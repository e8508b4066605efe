//! Requests, their plans and their questions.

use std::time::Duration;

use chiffon_common::{
    DecisionId, Plan, RequestId, TaskId,
    api::{
        Answer, CancelRequest, DecisionView, Follow, NewRequest, Page, RequestAccepted,
        RequestView, Resolve, ResolveTask, UndoRequest,
    },
};

use super::Client;
use crate::failure::Failure;

/// Which requests to list.
#[derive(Debug, Clone, Default)]
pub struct ListRequests {
    /// At most this many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only those that have not ended.
    pub open_only: bool,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this group.
    pub project: Option<String>,
    /// Only of this conversation.
    pub room: Option<String>,
}

/// Which questions to list.
#[derive(Debug, Clone, Default)]
pub struct ListDecisions {
    /// At most this many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this request.
    pub request: Option<RequestId>,
    /// Only of requests of this group.
    pub project: Option<String>,
}

impl Client {
    /// `POST /api/v1/requests`.
    pub async fn ask(&self, request: &NewRequest) -> Result<RequestAccepted, Failure> {
        self.post("/api/v1/requests", request).await
    }

    /// `GET /api/v1/requests/{id}`.
    pub async fn request(&self, id: RequestId) -> Result<RequestView, Failure> {
        self.get(&format!("/api/v1/requests/{id}"), &[]).await
    }

    /// `GET /api/v1/requests`.
    pub async fn requests(&self, list: &ListRequests) -> Result<Page<RequestView>, Failure> {
        let mut query = vec![("limit", list.limit.to_string())];
        if list.open_only {
            query.push(("open_only", true.to_string()));
        }
        let optional = [
            ("cursor", &list.cursor),
            ("state", &list.state),
            ("project_id", &list.project),
            ("room_id", &list.room),
        ];
        for (name, value) in optional {
            query.extend(value.clone().map(|value| (name, value)));
        }
        self.get("/api/v1/requests", &query).await
    }

    /// `GET /api/v1/requests/{id}/follow`: answers when something is new, or after 25 s.
    pub async fn follow(&self, id: RequestId, after: u64, version: u64) -> Result<Follow, Failure> {
        let query = [
            ("after", after.to_string()),
            ("version", version.to_string()),
        ];
        self.get(&format!("/api/v1/requests/{id}/follow"), &query)
            .await
    }

    /// `POST /api/v1/requests/{id}/cancel`.
    pub async fn cancel(&self, id: RequestId) -> Result<RequestView, Failure> {
        self.post_nothing(&format!("/api/v1/requests/{id}/cancel"))
            .await
    }

    /// The same, because the command was to take no longer than this.
    pub async fn cancel_late(
        &self,
        id: RequestId,
        limit: Duration,
    ) -> Result<RequestView, Failure> {
        let why = CancelRequest {
            limit_seconds: Some(limit.as_secs()),
        };
        let path = format!("/api/v1/requests/{id}/cancel");
        self.post(&path, &why).await
    }

    /// `POST /api/v1/requests/{id}/retry`.
    pub async fn retry(&self, id: RequestId) -> Result<RequestAccepted, Failure> {
        self.post_nothing(&format!("/api/v1/requests/{id}/retry"))
            .await
    }

    /// `POST /api/v1/tasks/{id}/retry`.
    pub async fn retry_task(&self, task: TaskId) -> Result<RequestView, Failure> {
        self.post_nothing(&format!("/api/v1/tasks/{task}/retry"))
            .await
    }

    /// `POST /api/v1/tasks/{id}/resolve`.
    pub async fn resolve_task(
        &self,
        task: TaskId,
        said: &ResolveTask,
    ) -> Result<RequestView, Failure> {
        self.post(&format!("/api/v1/tasks/{task}/resolve"), said)
            .await
    }

    /// `POST /api/v1/requests/{id}/undo`.
    pub async fn undo(
        &self,
        id: RequestId,
        asked: &UndoRequest,
    ) -> Result<RequestAccepted, Failure> {
        self.post(&format!("/api/v1/requests/{id}/undo"), asked)
            .await
    }

    /// `GET /api/v1/requests/{id}/plan`.
    pub async fn plan(&self, id: RequestId) -> Result<Plan, Failure> {
        self.get(&format!("/api/v1/requests/{id}/plan"), &[]).await
    }

    /// `GET /api/v1/decisions`.
    pub async fn decisions(&self, list: &ListDecisions) -> Result<Page<DecisionView>, Failure> {
        let mut query = vec![("limit", list.limit.to_string())];
        let request = list.request.map(|id| id.to_string());
        let optional = [
            ("cursor", &list.cursor),
            ("state", &list.state),
            ("request_id", &request),
            ("project_id", &list.project),
        ];
        for (name, value) in optional {
            query.extend(value.clone().map(|value| (name, value)));
        }
        self.get("/api/v1/decisions", &query).await
    }

    /// `GET /api/v1/decisions/{id}`.
    pub async fn decision(&self, id: DecisionId) -> Result<DecisionView, Failure> {
        self.get(&format!("/api/v1/decisions/{id}"), &[]).await
    }

    /// `POST /api/v1/decisions/{id}/resolve`.
    pub async fn resolve_with(
        &self,
        id: DecisionId,
        said: &Resolve,
    ) -> Result<RequestView, Failure> {
        self.post(&format!("/api/v1/decisions/{id}/resolve"), said)
            .await
    }

    /// `GET /api/v1/requests/{id}/plan/bytes`: what the plan's digest is the digest of.
    pub async fn plan_bytes(&self, id: RequestId) -> Result<Vec<u8>, Failure> {
        self.bytes(&format!("/api/v1/requests/{id}/plan/bytes"))
            .await
    }

    /// `POST /approve`.
    pub async fn answer(&self, answer: &Answer) -> Result<RequestView, Failure> {
        self.post("/approve", answer).await
    }
}
