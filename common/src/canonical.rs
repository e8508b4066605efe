//! Canonical JSON (RFC 8785): the one byte form of a value, over which digests, seals and chains run.

use serde::Serialize;

/// The value has no canonical form (a key that is no string, a number that is not finite).
#[derive(Debug, thiserror::Error)]
#[error("value has no canonical JSON form")]
pub struct CanonicalError(#[source] serde_json::Error);

/// The canonical bytes of a value.
pub fn to_canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_jcs::to_vec(value).map_err(CanonicalError)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_space_is_gone() {
        let text = to_canonical(&json!({"b": 1, "a": [true, null, "x\n"]})).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"a":[true,null,"x\n"],"b":1}"#
        );
    }
}
