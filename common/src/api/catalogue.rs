//! The catalogue: what may run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, EntryId, Tier};

/// One catalogue entry: `GET /api/v1/catalogue`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryView {
    /// Its id.
    pub id: EntryId,
    /// Its title.
    pub title: String,
    /// What it does.
    pub description: String,
    /// Sentences that reach it.
    pub examples: Vec<String>,
    /// Its tier.
    pub tier: Tier,
    /// What a check run is worth, `exact`, `simulated`, `blind`, `acts`: the metadata's word, lowered by the scan.
    pub preview: String,
    /// Why a check run tells no more than that, the gravest reason first, each with file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preview_because: Vec<String>,
    /// Why the tier is higher than the metadata says, each with file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tier_because: Vec<String>,
    /// How it is taken back, or why not.
    pub undo: String,
    /// Longest run.
    pub timeout_seconds: u64,
    /// Declared parameters.
    pub parameters: Vec<ParameterView>,
    /// The catalogue folder or repository it came from.
    pub origin: String,
    /// Its playbook, seen from there.
    pub playbook: String,
    /// Over its metadata and every file that it needs: what an acceptance names.
    pub digest: Digest,
    /// Whether what it says of itself counts: it was shipped, or a person has accepted it as it is.
    pub accepted: bool,
}

/// A person's word that entries count as what they say of themselves, as long as they stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptEntries {
    /// Each once.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 5000))]
    pub entries: Vec<AcceptEntry>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptEntry {
    /// Which.
    pub entry: EntryId,
    /// The digest that was read; another one is refused.
    pub digest: Digest,
    /// Its tier, where its metadata names none; the scan can raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// One declared parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// `str`, `int`, `float`, `bool`, `list`, `dict`, `path`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// The value where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The permitted values, where they are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
}

/// `GET /api/v1/catalogue`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogueView {
    /// What loaded.
    pub entries: Vec<EntryView>,
    /// What did not, each with file, line and reason.
    pub broken: Vec<BrokenFile>,
}

/// A catalogue file that did not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrokenFile {
    /// Path of the file, or of the folder where the whole catalogue folder is meant.
    pub file: String,
    /// Line, from 1; absent where the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Why.
    pub reason: String,
}
