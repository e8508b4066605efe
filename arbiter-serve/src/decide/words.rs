//! What a caller is told whose event or result has no permitted form, or is refused by a rule. The words themselves are
//! those of every program that speaks `/v0` (`chiffon_common`).

use chiffon_common::{EventError, ReasonCode, refused_by_rule, refused_form};

use super::Refused;

/// A form that the JSON types alone cannot hold; `text_at` is where the text of this contract stands.
pub(super) fn malformed(error: &EventError, text_at: &str) -> Refused {
    Refused {
        problem: Box::new(refused_form(error, text_at)),
        reason: Some(ReasonCode::SchemaInvalid),
    }
}

/// A rule refuses it; `field` is what it goes by.
pub(super) fn by_rule(reason: ReasonCode, field: &str) -> Refused {
    Refused {
        problem: Box::new(refused_by_rule(reason, field)),
        reason: Some(reason),
    }
}
