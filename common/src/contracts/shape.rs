//! Whether a document has the shape of what was read from it. The reader of a struct takes a list of its fields for it, and
//! the reader of an enum an object that names the variant; the schemas take neither, and a key that stands twice means
//! whatever its reader likes best. So the text is read once more and held against what came of it: the contracts, the bodies
//! of the HTTP API and what comes over the bus alike.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor},
};
use serde_json::Value;

use super::path_pointer;

/// A document that has another shape than what was read from it.
#[derive(Debug)]
pub struct Unshaped {
    /// Where: a JSON pointer (RFC 6901), empty for the whole.
    pub pointer: String,
    /// What stands there.
    pub why: serde_json::Error,
}

/// Holds a text against what was read from it.
///
/// # Errors
/// A list in place of an object, an object in place of a text, a key that stands twice, wherever it is.
pub fn shape<T: Serialize>(text: &str, read: &T) -> Result<(), Unshaped> {
    let read = serde_json::to_value(read).map_err(|why| Unshaped {
        pointer: String::new(),
        why,
    })?;
    let like = Like(Some(&read));
    if like
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .is_ok()
    {
        return Ok(());
    }
    // Once more with the place, which costs more than most documents are read for.
    let mut reader = serde_json::Deserializer::from_str(text);
    placed(like, &mut reader)
}

/// The same for a document that was taken apart already, where no key can stand twice any more.
pub(crate) fn shape_of(document: &Value, read: &Value) -> Result<(), Unshaped> {
    placed(Like(Some(read)), document)
}

fn placed<'de, D>(like: Like<'_>, from: D) -> Result<(), Unshaped>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    let mut track = serde_path_to_error::Track::new();
    let again = like.deserialize(serde_path_to_error::Deserializer::new(from, &mut track));
    again.map_err(|why| Unshaped {
        pointer: path_pointer(&track.path()),
        why,
    })
}

/// Reads a document and keeps nothing of it: lists and objects must stand where `0` has them, and no object has a key
/// twice. What `0` does not have, because it was passed over, may be anything without such a key.
#[derive(Clone, Copy)]
struct Like<'a>(Option<&'a Value>);

impl<'de> DeserializeSeed<'de> for Like<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Like<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(Value::Object(_)) => "an object",
            Some(Value::Array(_)) => "a list",
            Some(Value::String(_)) => "a text",
            _ => "another value",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let items = match self.0 {
            None => None,
            Some(Value::Array(items)) => Some(items),
            Some(_) => return Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        };
        let mut at = 0;
        while from
            .next_element_seed(Like(items.and_then(|items| items.get(at))))?
            .is_some()
        {
            at += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let fields = match self.0 {
            None => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(_) => return Err(A::Error::invalid_type(Unexpected::Map, &self)),
        };
        let mut keys = BTreeSet::new();
        while let Some(key) = from.next_key_seed(Key)? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} stands there twice"
                )));
            }
            from.next_value_seed(Like(fields.and_then(|fields| fields.get(key.as_ref()))))?;
            keys.insert(key);
        }
        Ok(())
    }
}

/// A key, which is copied only where it is escaped.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
