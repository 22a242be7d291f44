//! Native events (contract, DESIGN §4): one JSON object, or an array of them, read in one pass.
//!
//! Names occur once: of a repeated name the first value counts, the others are kept nowhere. An `attributes` object is
//! taken apart for every kind of event; other unknown fields become attributes themselves.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::native_fields::{Fields, slot};
use super::scalar::{Key, Scalar};
use super::{Decoded, EVENTS_PER_RECORD_MAX, reject};
use crate::model::{Attributes, RejectionCode, names_headers};

/// Reads one record. What comes before a mistake in the syntax of an array is kept.
pub(super) fn record(text: &str, sink: &mut dyn FnMut(u16, Decoded)) {
    if !text.starts_with(['{', '[']) {
        // The parser would quote the whole value in its message.
        let message = format!("not a JSON object or array: {}", reject::excerpt(text));
        return sink(0, Err(reject::record(RejectionCode::Syntax, message)));
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut elements = Elements { sink, next: 0, held: None };
    let read = parser.deserialize_any(TopLevel(&mut elements)).and_then(|()| parser.end());
    // A single object counts only once it is known that nothing follows it.
    let held = elements.held.take();
    match read {
        Ok(()) => held.into_iter().for_each(|event| elements.push(event)),
        Err(error) => {
            let rejection = reject::record(RejectionCode::Syntax, reject::not_json(&error));
            elements.push(Err(rejection));
        }
    }
}

struct Elements<'s> {
    sink: &'s mut dyn FnMut(u16, Decoded),
    next: u16,
    held: Option<Decoded>,
}

impl Elements<'_> {
    fn push(&mut self, decoded: Decoded) {
        (self.sink)(self.next, decoded);
        self.next = self.next.saturating_add(1);
    }
}

struct TopLevel<'e, 's>(&'e mut Elements<'s>);

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event: an object, or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.held = Some(event(map)?);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.next < EVENTS_PER_RECORD_MAX {
            match seq.next_element_seed(Element)? {
                Some(decoded) => self.0.push(decoded),
                None if self.0.next == 0 => {
                    self.0.push(Err(reject::record(RejectionCode::Empty, "an array without events")));
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

/// One element of an array. Anything but an object is a rejection, and does not end the array.
struct Element;

impl<'de> DeserializeSeed<'de> for Element {
    type Value = Decoded;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decoded, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn not_an_object() -> Decoded {
    Err(reject::record(RejectionCode::Syntax, "an element of the array is not an object"))
}

impl<'de> Visitor<'de> for Element {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Decoded, A::Error> {
        event(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Decoded, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_an_object())
    }

    fn visit_str<E>(self, _: &str) -> Result<Decoded, E> {
        Ok(not_an_object())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Decoded, E> {
        Ok(not_an_object())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Decoded, E> {
        Ok(not_an_object())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Decoded, E> {
        Ok(not_an_object())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Decoded, E> {
        Ok(not_an_object())
    }

    fn visit_unit<E>(self) -> Result<Decoded, E> {
        Ok(not_an_object())
    }
}

/// Reads the object to its end whatever it holds: only syntax is an error of the parser.
fn event<'de, A: MapAccess<'de>>(mut map: A) -> Result<Decoded, A::Error> {
    let mut fields = Fields::default();
    while let Some(Key(name)) = map.next_key()? {
        if name == "attributes" {
            map.next_value_seed(AttributesObject(&mut fields.attributes))?;
        } else if let Some(slot) = slot(&name) {
            fields.set(slot, map.next_value()?);
        } else {
            insert(&mut fields.attributes, &name, &map.next_value()?);
        }
    }
    Ok(fields.event())
}

fn insert(attributes: &mut Attributes, name: &str, value: &Scalar<'_>) {
    match value {
        Scalar::Absent => {}
        // Headers hold credentials under names of anybody's choice.
        Scalar::Nested(_) if names_headers(name) => attributes.leave_out(),
        value => attributes.insert(name, &value.to_text()),
    }
}

struct AttributesObject<'t>(&'t mut Attributes);

impl<'de> DeserializeSeed<'de> for AttributesObject<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AttributesObject<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(name)) = map.next_key()? {
            insert(self.0, &name, &map.next_value()?);
        }
        Ok(())
    }

    // Anything else is an unknown field that happens to be called so.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let value = Scalar::from_seq(seq)?;
        insert(self.0, "attributes", &value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        insert(self.0, "attributes", &Scalar::from_text(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        insert(self.0, "attributes", &Scalar::Whole(i128::from(value)));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        insert(self.0, "attributes", &Scalar::Whole(i128::from(value)));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        insert(self.0, "attributes", &Scalar::Float(value));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        insert(self.0, "attributes", &Scalar::Truth(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
