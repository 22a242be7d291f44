//! One JSON value as a field sees it: text, number, truth value, or nested JSON kept as text.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::{ATTRIBUTE_BYTES_MAX, names_credential, names_headers};

/// A JSON value. Text borrows from the record where it has no escapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    /// Not there, null, `""` or `"-"`.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number of at most 64 bits.
    Whole(i128),
    /// Any other number. JSON has no NaN and no infinity.
    Float(f64),
    /// A truth value.
    Truth(bool),
    /// An array or an object, as compact JSON. Cut off (and so invalid) once it is longer than an attribute may be; empty
    /// when it holds a credential somewhere: nothing of it is kept.
    Nested(String),
}

impl<'a> Scalar<'a> {
    /// Text that outlives no record.
    pub(super) fn from_text(value: &str) -> Self {
        text(Cow::Owned(value.to_owned()))
    }

    /// An array, as compact JSON.
    pub(super) fn from_seq<A: SeqAccess<'a>>(seq: A) -> Result<Self, A::Error> {
        ScalarVisitor.visit_seq(seq)
    }

    /// Whether the contract calls this absent.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value as text, as attributes keep it.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Absent => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Whole(number) => Cow::Owned(number.to_string()),
            // The debug form keeps the `.0`: version 4.0 is not version 4.
            Self::Float(number) => Cow::Owned(format!("{number:?}")),
            Self::Truth(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
            Self::Nested(json) => Cow::Borrowed(json),
        }
    }
}

pub(super) fn text(value: Cow<'_, str>) -> Scalar<'_> {
    if value.is_empty() || value == "-" { Scalar::Absent } else { Scalar::Text(value) }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar<'de>, E> {
        Ok(text(Cow::Owned(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Whole(i128::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Whole(i128::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Truth(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'de>, A::Error> {
        let mut json = NestedJson::default();
        JsonText(&mut json).visit_seq(seq)?;
        Ok(json.into_scalar())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
        let mut json = NestedJson::default();
        JsonText(&mut json).visit_map(map)?;
        Ok(json.into_scalar())
    }
}

/// Nested JSON as it is being written.
#[derive(Default)]
struct NestedJson {
    text: String,
    holds_credential: bool,
}

impl NestedJson {
    fn into_scalar<'a>(self) -> Scalar<'a> {
        Scalar::Nested(if self.holds_credential { String::new() } else { self.text })
    }
}

/// Writes the value it reads as compact JSON, and stops writing (not reading) past the length of an attribute.
/// The parser's own limit on depth keeps the recursion bounded.
struct JsonText<'t>(&'t mut NestedJson);

impl JsonText<'_> {
    fn push(&mut self, piece: &str) {
        if self.0.text.len() <= ATTRIBUTE_BYTES_MAX {
            self.0.text.push_str(piece);
        }
    }

    fn push_display(&mut self, value: impl fmt::Display) {
        if self.0.text.len() <= ATTRIBUTE_BYTES_MAX {
            // Writing to a string cannot fail.
            let _ = write!(self.0.text, "{value}");
        }
    }

    fn push_quoted(&mut self, value: &str) {
        if self.0.text.len() > ATTRIBUTE_BYTES_MAX {
            return;
        }
        // A string always has a JSON form; an error could only come from the writer, and this one has none.
        self.0.text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

impl<'de> DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.push_quoted(value);
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.push_display(value);
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.push_display(value);
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.push_display(format_args!("{value:?}"));
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.push_display(value);
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.push("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut separator = "[";
        loop {
            let length = self.0.text.len();
            self.push(separator);
            if seq.next_element_seed(JsonText(self.0))?.is_none() {
                self.0.text.truncate(if separator == "[" { length + 1 } else { length });
                break;
            }
            separator = ",";
        }
        self.push("]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut separator = "{";
        // `{"name":"Authorization","value":…}` is a header too.
        let (mut named, mut valued) = (false, false);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            self.push(separator);
            self.0.holds_credential |= names_credential(&key.0);
            self.push_quoted(&key.0);
            self.push(":");
            let start = self.0.text.len();
            map.next_value_seed(JsonText(self.0))?;
            let value = &self.0.text[start..];
            match &*key.0 {
                "name" | "Name" | "key" | "Key" => named |= names_credential(value.trim_matches('"')),
                "value" | "Value" | "values" => valued = true,
                _ => {}
            }
            self.0.holds_credential |= value.starts_with(['{', '[']) && names_headers(&key.0);
            separator = ",";
        }
        self.0.holds_credential |= named && valued;
        self.push(if separator == "{" { "{}" } else { "}" });
        Ok(())
    }
}

/// A name in an object; borrowed where it has no escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn absent_has_four_spellings() {
        for json in ["null", "\"\"", "\"-\"", r#""\u002d""#] {
            assert_eq!(read(json), Scalar::Absent, "{json}");
        }
        assert_eq!(read("0"), Scalar::Whole(0));
    }

    #[test]
    fn nested_values_become_compact_json() {
        for json in ["[]", "{}", "[[],{}]", r#"[1,-2,2.5,true,null,"a\"b"]"#, r#"{"a":{"b":[{"c":"\n"}]},"d":[]}"#] {
            assert_eq!(read(json), Scalar::Nested(json.to_owned()));
        }
        assert_eq!(read("[ 1 , { \"a\" : 2 } ]"), Scalar::Nested("[1,{\"a\":2}]".to_owned()));
    }

    #[test]
    fn nested_credentials_are_withheld_whole() {
        for json in [
            r#"[{"name":"Authorization","value":"Bearer x"}]"#,
            r#"{"a":{"headers":{"x-who":"s3cret"}}}"#,
            r#"{"authorization":"Bearer x"}"#,
            r#"[1,{"a":{"Set-Cookie":["b"]}}]"#,
        ] {
            assert_eq!(read(json), Scalar::Nested(String::new()), "{json}");
        }
    }

    #[test]
    fn nested_text_is_bounded() {
        let json = format!("[{}0]", "[1,2,3],".repeat(10_000));
        let Scalar::Nested(text) = read(&json) else { panic!("not nested") };
        assert!(text.len() > ATTRIBUTE_BYTES_MAX && text.len() < 2 * ATTRIBUTE_BYTES_MAX, "{}", text.len());
    }
}
