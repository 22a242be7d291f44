//! JSON records of gateways: an object, or an array of objects, each read once for the paths a mapping wants.
//!
//! `{"url":{"path":"/a"}}` and `{"url.path":"/a"}` are the same. Of a list the first element counts, and `tries.#` is
//! the length of the list `tries`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{Key, Scalar, text};
use super::values::{Path, Values, Wanted};
use super::{Decoded, EVENTS_PER_RECORD_MAX, reject};
use crate::model::RejectionCode;

/// Reads one record; `event` makes something of each object's values. What comes before a mistake in the syntax of an
/// array is kept.
pub(super) fn record(
    record: &str,
    wanted: &Wanted,
    event: &dyn Fn(&Values<'_>) -> Decoded,
    sink: &mut dyn FnMut(u16, Decoded),
) {
    if !record.starts_with(['{', '[']) {
        let message = format!("not a JSON object or array: {}", reject::excerpt(record));
        return sink(0, Err(reject::record(RejectionCode::Syntax, message)));
    }
    let mut parser = serde_json::Deserializer::from_str(record);
    let mut elements = Elements { wanted, event, sink, next: 0, held: None };
    let read = parser.deserialize_any(TopLevel(&mut elements)).and_then(|()| parser.end());
    // A single object counts only once it is known that nothing follows it.
    let held = elements.held.take();
    match read {
        Ok(()) => held.into_iter().for_each(|event| elements.push(event)),
        Err(error) => elements.push(Err(reject::record(RejectionCode::Syntax, reject::not_json(&error)))),
    }
}

struct Elements<'e> {
    wanted: &'e Wanted,
    event: &'e dyn Fn(&Values<'_>) -> Decoded,
    sink: &'e mut dyn FnMut(u16, Decoded),
    next: u16,
    held: Option<Decoded>,
}

impl Elements<'_> {
    fn push(&mut self, decoded: Decoded) {
        (self.sink)(self.next, decoded);
        self.next = self.next.saturating_add(1);
    }
}

struct TopLevel<'t, 'e>(&'t mut Elements<'e>);

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut values = Values::default();
        Node { wanted: self.0.wanted, values: &mut values, path: &mut Path::default() }.visit_map(map)?;
        self.0.held = Some((self.0.event)(&values));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut path = Path::default();
        while self.0.next < EVENTS_PER_RECORD_MAX {
            let mut values = Values::default();
            match seq.next_element_seed(Node { wanted: self.0.wanted, values: &mut values, path: &mut path })? {
                Some(Shape::Object) => self.0.push((self.0.event)(&values)),
                Some(Shape::Other) => {
                    let message = "an element of the array is not an object";
                    self.0.push(Err(reject::record(RejectionCode::Syntax, message)));
                }
                None if self.0.next == 0 => {
                    self.0.push(Err(reject::record(RejectionCode::Empty, "an array without records")));
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
        let mut further = 0_u64;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            further += 1;
        }
        if further > 0 {
            self.0.push(Err(reject::too_many(further)));
        }
        Ok(())
    }
}

/// What a value was.
pub(super) enum Shape {
    Object,
    Other,
}

/// The value at a path: what is wanted of it goes to `values`.
pub(super) struct Node<'n, 'a> {
    pub(super) wanted: &'n Wanted,
    pub(super) values: &'n mut Values<'a>,
    pub(super) path: &'n mut Path,
}

impl<'a> Node<'_, 'a> {
    fn leaf(self, value: Scalar<'a>) -> Shape {
        if let Some(id) = self.wanted.find(self.path.as_str()) {
            self.values.set(id, value);
        }
        Shape::Other
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, 'de> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, 'de> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Shape, E> {
        Ok(self.leaf(text(Cow::Borrowed(value))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(self.leaf(Scalar::from_text(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(self.leaf(Scalar::Whole(i128::from(value))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(self.leaf(Scalar::Whole(i128::from(value))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(self.leaf(Scalar::Float(value)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(self.leaf(Scalar::Truth(value)))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let Self { wanted, values, path } = self;
        let mut length = 0_u64;
        if seq.next_element_seed(Node { wanted, values: &mut *values, path: &mut *path })?.is_some() {
            length = 1;
            while seq.next_element::<IgnoredAny>()?.is_some() {
                length += 1;
            }
        }
        let back = path.enter("#");
        let shape = Node { wanted, values, path: &mut *path }.leaf(Scalar::Whole(i128::from(length)));
        path.leave(back);
        Ok(shape)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let Self { wanted, values, path } = self;
        while let Some(Key(name)) = map.next_key()? {
            let back = path.enter(&name);
            if wanted.find(path.as_str()).is_some() || wanted.is_beginning(path.as_str()) {
                map.next_value_seed(Node { wanted, values: &mut *values, path: &mut *path })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            path.leave(back);
        }
        Ok(Shape::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, paths: &[&str]) -> Vec<String> {
        let mut wanted = Wanted::default();
        let ids: Vec<_> = paths.iter().map(|path| wanted.add(path)).collect();
        let mut values = Values::default();
        let node = Node { wanted: &wanted, values: &mut values, path: &mut Path::default() };
        node.deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap();
        ids.iter().map(|id| values.get(*id).map_or("absent".into(), |value| value.to_text().into_owned())).collect()
    }

    #[test]
    fn dotted_and_nested_names_are_the_same() {
        for json in [r#"{"url":{"path":"/a"}}"#, r#"{"url.path":"/a"}"#, r#"{"URL":{"Path":["/a","/b"]}}"#] {
            assert_eq!(read(json, &["url.path"]), ["/a"], "{json}");
        }
        assert_eq!(read(r#"{"a.b":{"c":1},"a":{"b":{"c":2}}}"#, &["a.b.c"]), ["1"]);
    }

    #[test]
    fn lists_have_a_length_and_a_first_element() {
        let json = r#"{"tries":[{"ip":"a"},{"ip":"b"}],"none":[],"deep":[[1,2],[3]]}"#;
        assert_eq!(read(json, &["tries.#", "tries.ip", "none.#", "deep", "deep.#"]), ["2", "a", "0", "1", "2"]);
    }

    #[test]
    fn absent_values_leave_room_for_later_ones() {
        assert_eq!(read(r#"{"a":"-","a":"","a":null,"a":"x","a":"y"}"#, &["a", "b"]), ["x", "absent"]);
    }
}
