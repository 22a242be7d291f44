//! Attributes and bodies of OTLP JSON: `[{"key":"http.route","value":{"stringValue":"/a"}}]`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{Key, Scalar};
use super::values::{Path, Values, Wanted};

/// A list of attributes: what is wanted of them goes to `values`.
pub(super) struct Attributes<'n, 'a> {
    pub(super) wanted: &'n Wanted,
    pub(super) values: &'n mut Values<'a>,
}

impl<'de> DeserializeSeed<'de> for Attributes<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let pairs = Option::<Pairs<'de>>::deserialize(deserializer)?;
        put_all(pairs.unwrap_or_default(), self.wanted, &mut Path::default(), self.values);
        Ok(())
    }
}

/// A body: the members of one that is a map are as good as attributes.
pub(super) struct Body<'n, 'a> {
    pub(super) wanted: &'n Wanted,
    pub(super) values: &'n mut Values<'a>,
}

impl<'de> DeserializeSeed<'de> for Body<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if let Any::Map(pairs) = Any::deserialize(deserializer)? {
            put_all(pairs, self.wanted, &mut Path::default(), self.values);
        }
        Ok(())
    }
}

/// Pairs, of which those without a name are nothing. As many as the record has bytes for.
#[derive(Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Any<'a>)>);

/// An `AnyValue`.
enum Any<'a> {
    Scalar(Scalar<'a>),
    /// Of a list the first element counts, and the length.
    List(Option<Box<Any<'a>>>, u64),
    Map(Pairs<'a>),
}

fn put_all<'a>(pairs: Pairs<'a>, wanted: &Wanted, path: &mut Path, values: &mut Values<'a>) {
    for (name, value) in pairs.0 {
        let back = path.enter(&name);
        put(value, wanted, path, values);
        path.leave(back);
    }
}

fn put<'a>(value: Any<'a>, wanted: &Wanted, path: &mut Path, values: &mut Values<'a>) {
    match value {
        Any::Scalar(value) => {
            if let Some(id) = wanted.find(path.as_str()) {
                values.set(id, value);
            }
        }
        Any::List(first, length) => {
            if let Some(first) = first {
                put(*first, wanted, path, values);
            }
            let back = path.enter("#");
            put(Any::Scalar(Scalar::Whole(i128::from(length))), wanted, path, values);
            path.leave(back);
        }
        Any::Map(pairs) if wanted.is_beginning(path.as_str()) => put_all(pairs, wanted, path, values),
        Any::Map(_) => {}
    }
}

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of attributes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Pair(pair)) = seq.next_element()? {
                    pairs.extend(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_seq(PairsVisitor)
    }
}

/// A `KeyValue`, if it has both.
struct Pair<'a>(Option<(Cow<'a, str>, Any<'a>)>);

impl<'de> Deserialize<'de> for Pair<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Pair<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute: an object of `key` and `value`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pair<'de>, A::Error> {
                let (mut key, mut value) = (None, None);
                while let Some(Key(name)) = map.next_key()? {
                    match &*name {
                        "key" => key = Some(map.next_value::<Key<'de>>()?.0),
                        "value" => value = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Pair(key.zip(value)))
            }
        }
        deserializer.deserialize_map(PairVisitor)
    }
}

impl<'de> Deserialize<'de> for Any<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value: an object such as {\"stringValue\":\"a\"}")
            }

            fn visit_unit<E>(self) -> Result<Any<'de>, E> {
                Ok(Any::Scalar(Scalar::Absent))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any<'de>, A::Error> {
                let mut value = Any::Scalar(Scalar::Absent);
                while let Some(Key(name)) = map.next_key()? {
                    match &*name {
                        "stringValue" | "string_value" | "boolValue" | "bool_value" | "intValue" | "int_value"
                        | "doubleValue" | "double_value" => value = Any::Scalar(map.next_value()?),
                        "arrayValue" | "array_value" => {
                            let First(first, length) = map.next_value::<Inner<First<'de>>>()?.0;
                            value = Any::List(first, length);
                        }
                        "kvlistValue" | "kvlist_value" => value = Any::Map(map.next_value::<Inner<Pairs<'de>>>()?.0),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(value)
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}

/// `{"values":…}`.
struct Inner<T>(T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Inner<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InnerVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for InnerVisitor<T> {
            type Value = Inner<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of `values`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inner<T>, A::Error> {
                let mut values = T::default();
                while let Some(Key(name)) = map.next_key()? {
                    if name == "values" {
                        values = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Inner(values))
            }
        }
        deserializer.deserialize_map(InnerVisitor(std::marker::PhantomData))
    }
}

/// The first element of a list, and how many there are.
#[derive(Default)]
struct First<'a>(Option<Box<Any<'a>>>, u64);

impl<'de> Deserialize<'de> for First<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor;
        impl<'de> Visitor<'de> for FirstVisitor {
            type Value = First<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<First<'de>, A::Error> {
                let Some(first) = seq.next_element()? else { return Ok(First(None, 0)) };
                let mut length = 1;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    length += 1;
                }
                Ok(First(Some(Box::new(first)), length))
            }
        }
        deserializer.deserialize_seq(FirstVisitor)
    }
}
