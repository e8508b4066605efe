//! Schedules: what is asked at set times.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, EntryId, HostName, Plan, ProjectId, RequestId, RoomId, ScheduleId};

/// The states of a schedule, as they stand in [`ScheduleView::state`] and may be filtered by.
pub const SCHEDULE_STATES: [&str; 3] = ["active", "paused", "ended"];

/// What becomes of times that passed unused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// They are passed over.
    Skip,
    /// However many they are, it is asked once.
    #[default]
    Once,
    /// Each within the window is asked, one after the other, the latest hundred at most.
    All,
}

/// `POST /api/v1/schedules` and `PUT /api/v1/schedules/{id}`: a schedule as a person says it. One of `cron` and `at`,
/// and one of `text` and `entry`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleEdit {
    /// What people call it: 200 characters at most.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub title: String,
    /// Five fields (minute, hour, day of month, month, day of week), or `@hourly`, `@daily`, `@weekly`, `@monthly`,
    /// `@yearly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub cron: Option<String>,
    /// One time: RFC 3339, RFC 9557 (`2030-05-01T03:00[Europe/Berlin]`), or date and time in the schedule's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub at: Option<String>,
    /// A name of the IANA time zone database, or an offset such as `+02:00`. If absent, the one that is written at `at`,
    /// else `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub zone: Option<String>,
    /// What becomes of times that passed unused; `once` if absent.
    #[serde(default)]
    pub missed: MissedRuns,
    /// How old a time may be for `all`, in seconds; a day if absent, a week at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 60, maximum = 604800))]
    pub missed_within_seconds: Option<u64>,
    /// The sentence: 1 to 8,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: Option<String>,
    /// An entry of the catalogue, in place of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
    /// Where the entry runs: hosts and groups of the inventory; may be left out where there is one host only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub hosts: Vec<String>,
    /// Parameters as the entry declares them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub parameters: Map<String, Value>,
    /// The group that its requests belong to; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

/// One schedule: `GET /api/v1/schedules/{id}`. Its version stands in the header `ETag`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// Its id.
    pub schedule_id: ScheduleId,
    /// What people call it; empty where nobody has said so.
    pub title: String,
    /// `active`, `paused`, `ended`.
    pub state: String,
    /// Why it is in this state, for people.
    pub because: String,
    /// In whose name it asks: whoever said last what it asks.
    pub owner: String,
    /// The cron expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The same as clocks of its zone show it, with offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_local: Option<String>,
    /// The time zone.
    pub zone: String,
    /// What becomes of times that passed unused.
    pub missed: MissedRuns,
    /// How old a time may be, for `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_within_seconds: Option<u64>,
    /// The sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
    /// Where the entry runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub parameters: Map<String, Value>,
    /// The group that its requests belong to.
    pub project_id: ProjectId,
    /// The conversation that its requests belong to: `GET /api/v1/requests?room_id=` lists them.
    pub room_id: RoomId,
    /// When it asks next; absent while it is paused and once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The last request it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request: Option<RequestId>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// Whether that one has not ended: until it has, nothing is asked again.
    pub last_is_open: bool,
    /// How many of its times passed unused since it was made or resumed.
    pub missed_count: u64,
    /// The standing approval, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// When it came into being.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A person's word that one exact plan may run every time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StandingView {
    /// Digest of the plan that was read, without what differs each time.
    pub digest: Digest,
    /// Who gave it.
    pub approver: String,
    /// When.
    pub given_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
}

/// `GET /api/v1/schedules/{id}/plan`: what it would do now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchedulePlan {
    /// The plan, which belongs to no request and waits for nobody.
    pub plan: Plan,
    /// What a standing approval of it names.
    pub standing_digest: Digest,
    /// What a person should know before it runs: hosts on which the outcome of another change is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `PUT /api/v1/schedules/{id}/standing`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StandingEdit {
    /// `standing_digest` of the plan that was read.
    pub digest: Digest,
    /// Until when it is to be good: a year at most.
    pub until: Timestamp,
}

/// `GET /api/v1/schedules/{id}/next` and `POST /api/v1/schedules/next`: when it would ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextTimes {
    /// The time zone that the expression is read in.
    pub zone: String,
    /// The next times, earliest first; fewer than asked for where it ends.
    pub times: Vec<Timestamp>,
    /// The same as clocks of that zone show them, with offset.
    pub local: Vec<String>,
}

/// `POST /api/v1/schedules/next`: tries an expression without storing anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NextTry {
    /// As in [`ScheduleEdit`].
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub cron: String,
    /// As in [`ScheduleEdit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub zone: Option<String>,
    /// How many times: 1 to 100; 5 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub count: Option<u32>,
}
