//! The freeze: a person's word that nothing more is to be started. Who keeps it and who obeys it is left to the
//! store and to the arbiter's gate.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who froze the fleet, since when, and why. While it stands nothing is started; what runs goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Frozen {
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, in that person's words; never empty.
    pub reason: String,
}

impl Frozen {
    /// In words for people: who, since when, and why.
    pub fn words(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        format!("frozen by {} since {since}: {}", self.by, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_who_since_when_and_why() {
        let frozen = Frozen {
            by: "local:anna".to_owned(),
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
            reason: "backup".to_owned(),
        };
        assert_eq!(
            frozen.words(),
            "frozen by local:anna since 2026-01-02 03:04 UTC: backup"
        );
    }
}
