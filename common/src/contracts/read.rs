//! Reading what comes from outside within bounds: size, UTF-8, depth, version, form; each fault with its code.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::shape::{Unshaped, shape};
use crate::{ErrorCode, pointer_part, visible};

/// Most bytes of one contract document.
pub const MAX_CONTRACT_BYTES: usize = 256 * 1024;

/// Deepest nesting of arrays and objects. The deepest contract has four levels, and a call's parameters some.
pub const MAX_CONTRACT_DEPTH: usize = 32;

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// More bytes than may be.
    #[error("the body has {0} bytes; {MAX_CONTRACT_BYTES} are permitted")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the body is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// Nested too deep.
    #[error("the body is nested deeper than {MAX_CONTRACT_DEPTH} levels")]
    TooDeep,
    /// Of a later or unknown version.
    #[error("version {0} is not understood; this program understands 0")]
    Version(String),
    /// Not JSON, or not this form.
    #[error("{}", in_words(&why.to_string()))]
    Form {
        /// Where: a JSON pointer (RFC 6901), empty for the whole.
        pointer: String,
        /// What is wrong there.
        why: serde_json::Error,
    },
}

impl ContractError {
    /// The code that it is answered with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Version(_) => ErrorCode::UnknownVersion,
            Self::NotUtf8(_) | Self::TooDeep | Self::Form { .. } => ErrorCode::MalformedMessage,
        }
    }

    /// The place that it is about: a JSON pointer, empty for the whole document.
    pub fn pointer(&self) -> &str {
        match self {
            Self::Version(_) => "/v",
            Self::Form { pointer, .. } => pointer,
            Self::TooLarge(_) | Self::NotUtf8(_) | Self::TooDeep => "",
        }
    }

    /// What can be done.
    pub const fn todo(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "send less at once",
            Self::NotUtf8(_) => "send JSON in UTF-8",
            Self::TooDeep => "send it flatter; no contract needs that depth",
            Self::Version(_) => "send \"v\": 0, or ask /v0/contracts what is understood",
            Self::Form { .. } => "send what the schema in /v0/contracts permits",
        }
    }
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    v: Option<serde_json::Value>,
}

/// A document of a contract, from its bytes. Its own bounds are [`validate`](crate::Event::validate)'s to hold.
///
/// # Errors
/// The first bound that it breaks: size, UTF-8, depth, version, form. A list in place of an object and a key that stands
/// twice are faults of the form, wherever they are.
pub fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, ContractError> {
    if bytes.len() > MAX_CONTRACT_BYTES {
        return Err(ContractError::TooLarge(bytes.len()));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| ContractError::NotUtf8(error.valid_up_to()))?;
    if depth(text) > MAX_CONTRACT_DEPTH {
        return Err(ContractError::TooDeep);
    }
    // With a place where there is a fault, which costs more than most documents are read for.
    let read = serde_json::from_str(text).map_err(|error| unread::<T>(text, error))?;
    shape(text, &read).map_err(|Unshaped { pointer, why }| ContractError::Form { pointer, why })?;
    Ok(read)
}

fn unread<T: DeserializeOwned>(text: &str, error: serde_json::Error) -> ContractError {
    // A later version has another form, so the version is what is wrong with it.
    match serde_json::from_str::<Versioned>(text).map(|read| read.v) {
        Ok(Some(v)) if v.as_f64() != Some(0.0) => {
            return ContractError::Version(v.to_string().chars().take(40).collect());
        }
        _ => {}
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => ContractError::Form {
            pointer: path_pointer(error.path()),
            why: error.into_inner(),
        },
        // What comes behind it is wrong.
        Ok(_) => ContractError::Form {
            pointer: String::new(),
            why: error,
        },
    }
}

/// What a reader says is wrong, without the types of this program, which mean nothing to anybody else.
pub fn in_words(why: &str) -> String {
    let Some((before, rest)) = why.split_once("expected struct ") else {
        return why.to_owned();
    };
    let (_, after) = rest.split_once(' ').unwrap_or_default();
    // A list is read as the values of the fields in their order, and so one that is too short is no fault of its length.
    match before.starts_with("invalid length") {
        true => {
            let at = after.find("at line ").map_or("", |at| &after[at..]);
            format!("invalid type: sequence, expected an object {at}")
        }
        false => format!("{before}expected an object {after}"),
    }
    .trim_end()
    .to_owned()
}

/// A path of a reader as a JSON pointer.
pub fn path_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", pointer_part(&visible(key))),
        Segment::Enum { variant } => format!("/{}", pointer_part(variant)),
        Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

/// The deepest nesting, counted without a stack of our own: brackets within strings are none.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn each_bound_has_its_word() {
        let code = |bytes: &[u8]| read::<Event>(bytes).unwrap_err();
        assert!(matches!(
            code(&vec![b' '; MAX_CONTRACT_BYTES + 1]),
            ContractError::TooLarge(_)
        ));
        assert!(matches!(
            code(b"{\"v\":\"\xff\"}"),
            ContractError::NotUtf8(6)
        ));
        assert!(matches!(
            code("[".repeat(10_000).as_bytes()),
            ContractError::TooDeep
        ));
        assert!(matches!(code(br#"{"v":1}"#), ContractError::Version(_)));
        assert!(matches!(code(br#"{"v":"0"}"#), ContractError::Version(_)));
        assert!(matches!(code(br#"{"v":0.0}"#), ContractError::Form { .. }));
        assert!(matches!(code(b"{"), ContractError::Form { .. }));
    }

    #[test]
    fn a_fault_of_the_form_has_its_place() {
        let event = r#"{"v":0,"event_id":"e","tenant_id":"t","source":"s","room_id":"r","actor":{"id":"a","kind":"k"},"content":{"type":"text","text":"hi"},"ts":"2026-01-02T03:04:05Z"}"#;
        assert!(read::<Event>(event.as_bytes()).is_ok());
        for (was, is, pointer) in [
            ("\"text\":\"hi\"", "\"text\":7", "/content/text"),
            ("\"kind\":\"k\"", "\"kin/d\":\"k\"", "/actor/kin~1d"),
            ("2026-01", "9999-13", "/ts"),
            // Another form, and a version that may have it.
            ("\"v\":0,\"event_id\":\"e\"", "\"v\":1", "/v"),
            (",\"actor\":{\"id\":\"a\",\"kind\":\"k\"}", "", ""),
            ("05Z\"}", "05Z\"} {}", ""),
            ("{\"id\":\"a\",\"kind\":\"k\"}", "[\"a\",\"k\"]", "/actor"),
            (
                "\"text\":\"hi\"",
                "\"text\":\"hi\",\"call\":{\"entry\":\"e\",\"hosts\":[],\"parameters\":{\"a\":{\"b\":1,\"b\":2}}}",
                "/content/call/parameters/a",
            ),
        ] {
            let text = event.replacen(was, is, 1);
            let error = read::<Event>(text.as_bytes()).unwrap_err();
            assert_eq!(error.pointer(), pointer, "{text}: {error}");
        }
    }

    #[test]
    fn a_fault_is_told_without_the_types_of_the_program() {
        let event = r#"{"v":0,"event_id":"e","tenant_id":"t","source":"s","room_id":"r","actor":["a"],"content":0,"ts":0}"#;
        for (text, why) in [
            (
                "[0]",
                "invalid type: sequence, expected an object at line 1 column 3",
            ),
            (
                "null",
                "invalid type: null, expected an object at line 1 column 4",
            ),
            (
                event,
                "invalid type: sequence, expected an object at line 1 column 78",
            ),
        ] {
            let error = read::<Event>(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), why, "{text}");
        }
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        assert_eq!(depth(r#"{"a":"[[[{\"","b":[[]]}"#), 3);
    }
}
