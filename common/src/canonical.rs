//! Canonical JSON (RFC 8785): the one byte form of a value, over which digests, seals and chains run.
//!
//! Nearly all values of ours hold whole numbers and plain keys, and no `null`. For them the members of objects are put in order in the
//! text itself; all others are left to the library, whose bytes are the same (a test holds the two against each other).

use std::{
    cell::Cell,
    io::{self, Write},
    ops::Range,
};

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

/// The value has no canonical form (a key that is no string, a number that is not finite).
#[derive(Debug, thiserror::Error)]
#[error("value has no canonical JSON form")]
pub struct CanonicalError(#[source] serde_json::Error);

/// Numbers are doubles there; beyond this, a whole number may not be one.
const MOST_EXACT: u64 = 1 << 53;

/// The canonical bytes of a value.
pub fn to_canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    match plain(value) {
        Some(bytes) => Ok(bytes),
        None => serde_jcs::to_vec(value).map_err(CanonicalError),
    }
}

/// The canonical bytes of a value that needs no more than its members put in order.
fn plain<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let written = Cell::new(0);
    let mut marks = Marks {
        written: &written,
        objects: Vec::with_capacity(8),
        open: Vec::with_capacity(8),
    };
    let mut text = Vec::with_capacity(512);
    let sink = Sink {
        text: &mut text,
        written: &written,
    };
    value
        .serialize(&mut Serializer::with_formatter(sink, &mut marks))
        .ok()?;
    let mut objects = marks.objects;
    let mut is_ordered = true;
    for object in &mut objects {
        is_ordered &= object.order(&text)?;
    }
    if is_ordered {
        return Some(text);
    }
    let mut out = Vec::with_capacity(text.len());
    copy(&text, &objects, 0..text.len(), &mut out)?;
    Some(out)
}

/// Where an object stands in the text, its braces among it.
struct Object {
    place: Range<usize>,
    members: Vec<Member>,
}

/// Where a member stands: its key without the quotes, and its value.
#[derive(Default)]
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

impl Object {
    /// Puts its members in order; whether they were. Nothing for keys whose order is not that of their bytes.
    fn order(&mut self, text: &[u8]) -> Option<bool> {
        let key = |member: &Member| text.get(member.key.clone());
        for member in &self.members {
            let is_plain = |byte: &u8| byte.is_ascii() && *byte != b'\\';
            key(member)?.iter().all(is_plain).then_some(())?;
        }
        if self.members.is_sorted_by(|a, b| key(a) < key(b)) {
            return Some(true);
        }
        self.members.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        // Of two members of one name, the library keeps one.
        let is_strict = self.members.is_sorted_by(|a, b| key(a) < key(b));
        is_strict.then_some(false)
    }
}

/// Copies a piece of the text, with the members of the objects in it in their order. Objects stand in the order in which
/// they begin.
fn copy(text: &[u8], objects: &[Object], piece: Range<usize>, out: &mut Vec<u8>) -> Option<()> {
    let mut at = piece.start;
    let mut next = objects.partition_point(|object| object.place.start < at);
    while let Some(object) = objects.get(next).filter(|one| one.place.start < piece.end) {
        out.extend_from_slice(text.get(at..object.place.start)?);
        out.push(b'{');
        for (number, member) in object.members.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            // With its quotes and the colon.
            out.extend_from_slice(text.get(member.key.start - 1..member.value.start)?);
            copy(text, objects, member.value.clone(), out)?;
        }
        out.push(b'}');
        at = object.place.end;
        next = objects.partition_point(|object| object.place.start < at);
    }
    out.extend_from_slice(text.get(at..piece.end)?);
    Some(())
}

/// The text, and how long it is, which the formatter is not told.
struct Sink<'a> {
    text: &'a mut Vec<u8>,
    written: &'a Cell<usize>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        self.written.set(self.text.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes where objects and their members stand, and refuses numbers whose form is for the library to say.
struct Marks<'a> {
    written: &'a Cell<usize>,
    objects: Vec<Object>,
    /// Those that have begun and not ended.
    open: Vec<usize>,
}

impl Marks<'_> {
    fn innermost(&mut self) -> io::Result<&mut Object> {
        let at = self.open.last().copied();
        let object = at.and_then(|at| self.objects.get_mut(at));
        object.ok_or_else(not_plain)
    }

    fn member(&mut self) -> io::Result<&mut Member> {
        let member = self.innermost()?.members.last_mut();
        member.ok_or_else(not_plain)
    }
}

fn not_plain() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

fn exact(is_exact: bool) -> io::Result<()> {
    is_exact.then_some(()).ok_or_else(not_plain)
}

impl Formatter for &mut Marks<'_> {
    /// A number that is not finite is written as one, too, and has no canonical form.
    fn write_null<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        exact(value.unsigned_abs() <= MOST_EXACT)?;
        write!(writer, "{value}")
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        exact(value <= MOST_EXACT)?;
        write!(writer, "{value}")
    }

    fn write_i128<W: ?Sized + Write>(&mut self, _writer: &mut W, _value: i128) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_u128<W: ?Sized + Write>(&mut self, _writer: &mut W, _value: u128) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_f32<W: ?Sized + Write>(&mut self, _writer: &mut W, _value: f32) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, _writer: &mut W, _value: f64) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_number_str<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(not_plain())
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(not_plain())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let begin = self.written.get();
        self.open.push(self.objects.len());
        self.objects.push(Object {
            place: begin..begin,
            members: Vec::with_capacity(8),
        });
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"}")?;
        let end = self.written.get();
        self.innermost()?.place.end = end;
        self.open.pop();
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let begin = self.written.get() + 1;
        let key = begin..begin;
        self.innermost()?.members.push(Member {
            key,
            ..Member::default()
        });
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        let end = self.written.get() - 1;
        self.member()?.key.end = end;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b":")?;
        let begin = self.written.get();
        self.member()?.value.start = begin;
        Ok(())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        let end = self.written.get();
        self.member()?.value.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn keys_are_sorted_and_space_is_gone() {
        let text = to_canonical(&json!({"b": 1, "a": [true, null, "x\n"]})).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"a":[true,null,"x\n"],"b":1}"#
        );
    }

    /// Members in an order of their own, which a `Value` does not keep.
    #[derive(Serialize)]
    struct Mixed {
        z: u64,
        #[serde(rename = "a b")]
        space: Vec<Mixed>,
        a: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        m: Option<Box<Mixed>>,
        #[serde(flatten)]
        more: BTreeMap<String, Value>,
        numbered: BTreeMap<i32, i64>,
    }

    /// A value that dice make.
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self, sides: u64) -> u64 {
            // Knuth's constants; which they are does not matter here.
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }

        fn text(&mut self) -> String {
            let all = [
                "a", "b", "Z", " ", "!", "\"", "\\", "\n", "\u{1}", "é", "\u{fffd}", "𝄞", "0", "_",
            ];
            (0..self.throw(4))
                .map(|_| all[self.throw(all.len() as u64) as usize])
                .collect()
        }

        fn value(&mut self, depth: u64) -> Value {
            match self.throw(if depth == 0 { 6 } else { 8 }) {
                0 => Value::Null,
                1 => json!(self.throw(2) == 0),
                2 => json!(self.throw(1_000)),
                3 => json!(-(self.throw(1_000) as i64)),
                4 if self.throw(8) == 0 => json!(self.throw(1_000) as f64 / 8.0),
                5 if self.throw(8) == 0 => json!((1_u64 << 53) - 1 + self.throw(3)),
                4 | 5 => json!(self.text()),
                6 => (0..self.throw(4)).map(|_| self.value(depth - 1)).collect(),
                _ => (0..self.throw(5))
                    .map(|_| (self.text(), self.value(depth - 1)))
                    .collect(),
            }
        }

        fn mixed(&mut self, depth: u64) -> Mixed {
            Mixed {
                z: self.throw(100),
                space: (0..if depth == 0 { 0 } else { self.throw(3) })
                    .map(|_| self.mixed(depth - 1))
                    .collect(),
                a: self.value(2),
                m: (depth > 0 && self.throw(2) == 0).then(|| Box::new(self.mixed(depth - 1))),
                // Now and then one with the name of a field.
                more: (0..self.throw(3))
                    .map(|_| (self.text(), self.value(1)))
                    .collect(),
                numbered: (0..self.throw(3)).map(|n| (n as i32 * 7 - 7, -5)).collect(),
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_library() {
        let seed = 20_260_213;
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let mut by_ourselves = 0;
        for _ in 0..3_000 {
            let mixed = dice.mixed(2);
            let expected = serde_jcs::to_vec(&mixed).unwrap();
            by_ourselves += usize::from(plain(&mixed).is_some());
            let found = to_canonical(&mixed).unwrap();
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected)
            );
        }
        // Else it would be held against itself.
        assert!((100..2_900).contains(&by_ourselves), "{by_ourselves}");
    }

    #[test]
    fn what_has_no_such_form_is_refused() {
        assert!(to_canonical(&f64::NAN).is_err());
        assert!(to_canonical(&BTreeMap::from([(vec![1], 1)])).is_err());
    }
}
