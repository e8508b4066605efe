//! One id type for every noun, so that a task id cannot stand where a request id belongs.
//!
//! Ids made by Chiffon are UUIDs (version 7, minted by the shell that calls, never here); ids that
//! people or other systems choose are validated strings. Raw `Uuid` and `String` stop at the wire.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Unexpected, Visitor},
};
use uuid::Uuid;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID.
    #[error("{} must be a UUID, not {text:?}", spoken(kind))]
    NotUuid {
        /// Which id was read.
        kind: &'static str,
        /// What was found, shortened.
        text: String,
    },
    /// Not a permitted name.
    #[error(
        "{} must be 1 to {max} characters of letters, digits and . _ : @ / -, not {text:?}",
        spoken(kind)
    )]
    NotName {
        /// Which id was read.
        kind: &'static str,
        /// Longest permitted length in characters.
        max: usize,
        /// What was found, shortened.
        text: String,
    },
}

/// The name of a type as people say it: `RoomId` is a room id.
fn spoken(kind: &str) -> String {
    let mut words = String::new();
    for c in kind.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {words}")
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A UUID as RFC 9562 writes it and the schemas have it (`format: uuid`). Other readers of UUIDs also take braces, `urn:uuid:`
/// and bare digits, by which one id would have many names.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
    struct Written;
    impl Visitor<'_> for Written {
        type Value = Uuid;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a UUID such as 0199e2f4-77a1-7c40-8000-000000000001")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
            let wrong = || E::invalid_value(Unexpected::Str(&shortened(text)), &self);
            // No other form has as many bytes.
            match text.len() {
                36 => Uuid::parse_str(text).map_err(|_| wrong()),
                _ => Err(wrong()),
            }
        }
    }
    from.deserialize_str(Written)
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
        pub struct $name(#[serde(deserialize_with = "written")] Uuid);

        impl $name {
            /// Wraps a UUID that the caller minted or read from a database.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID, for the database and wire edges.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError::NotUuid {
                    kind: stringify!($name),
                    text: shortened(text),
                })
            }
        }
    )+};
}

uuid_ids! {
    /// A request: what a person asked the fleet to do.
    RequestId,
    /// A plan: ordered steps of one request.
    PlanId,
    /// An action of a response plan.
    ActionId,
    /// A task: one step at work (a bead in the Arbiter documents).
    TaskId,
    /// A question to a person.
    DecisionId,
    /// A schedule: what is asked at set times.
    ScheduleId,
    /// One message on the bus; the same through every resend.
    MessageId,
    /// The correlation id that follows an event through every process.
    TraceId,
    /// One audit record.
    AuditId,
    /// The life of an agent's journal: a lost journal is a new incarnation.
    Incarnation,
    /// One start of a process; tells a restarted agent from a silent one.
    BootId,
}

macro_rules! name_ids {
    ($($(#[$doc:meta])* $name:ident($max:literal)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[cfg(feature = "openapi")]
        crate::schema::text_schema!($name, $max, "^[A-Za-z0-9._:@/-]+$");

        impl $name {
            /// Longest permitted length in characters.
            pub const MAX: usize = $max;

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                let permitted = |c: char| c.is_ascii_alphanumeric() || "._:@/-".contains(c);
                if text.is_empty() || text.len() > $max || !text.chars().all(permitted) {
                    return Err(IdError::NotName {
                        kind: stringify!($name),
                        max: $max,
                        text: shortened(&text),
                    });
                }
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

name_ids! {
    /// The owner of everything; `default` where nobody chose one.
    TenantId(64),
    /// A group of requests; `default` where nobody chose one.
    ProjectId(64),
    /// A conversation.
    RoomId(128),
    /// The id an outside system gave its event; unique within a tenant (RFC-ARB-0001, 8).
    EventId(128),
    /// A member of the fleet: `infrastructure`, `infrastructure.<name>`, `desktop.<hostname>`.
    AgentId(128),
}

impl Default for TenantId {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for ProjectId {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_id_refuses_control_characters_spaces_and_excess() {
        for bad in ["", "a b", "a\nb", "\u{0}", "ü", &"x".repeat(65)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?} was taken");
        }
        assert_eq!(
            "home:lab-1".parse::<TenantId>().unwrap().as_str(),
            "home:lab-1"
        );
    }

    #[test]
    fn a_uuid_id_names_its_kind_in_the_error() {
        let error = "nonsense".parse::<TaskId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a task id must be a UUID, not \"nonsense\""
        );
    }

    #[test]
    fn json_refuses_what_from_str_refuses() {
        assert!(serde_json::from_str::<RoomId>("\"a b\"").is_err());
    }
}
