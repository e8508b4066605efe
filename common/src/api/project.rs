//! Projects: groups of requests.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ProjectId;

/// One project: `GET /api/v1/projects/{id}`. Its version stands in the header `ETag`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectView {
    /// Its id.
    pub project_id: ProjectId,
    /// What people call it; empty where nobody has said so.
    pub title: String,
    /// What it is for; empty where nobody has said so.
    pub description: String,
    /// When it came into being: with its first request, or by a person's word.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// `PUT /api/v1/projects/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProjectEdit {
    /// What people call it: 200 characters at most.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub title: String,
    /// What it is for: 4,000 characters at most.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 4000))]
    pub description: String,
}
