//! A YAML document as it stands: values with their places, before anything is known of what they should be.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line and column, from 1.
    pub at: (u64, u64),
    /// What is there.
    pub value: Value,
}

/// What can stand in a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their places, and values.
    Map(Vec<(String, (u64, u64), Node)>),
}

impl Value {
    /// What kind of value it is, for a person.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "keys with values",
        }
    }
}

impl Node {
    /// The value of a key, where this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(pairs) = &self.value else { return None };
        pairs.iter().find(|(name, ..)| name == key).map(|(_, _, value)| value)
    }

    /// The elements, where this is a list.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        let elements = if let Value::List(elements) = &self.value { elements.as_slice() } else { &[] };
        elements.iter()
    }

    /// Whether this is a list of nothing.
    #[must_use]
    pub fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(elements) if elements.is_empty())
    }

    /// The text, where this is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The place of a path below this node (`detect.rate_limit.windows[1].short`), or of the last part of it that is
    /// there: what has its default is written nowhere.
    #[must_use]
    pub fn place(&self, path: &str) -> (u64, u64) {
        let (mut node, mut place) = (self, self.at);
        for part in path.split(['.', '[']) {
            let below = match part.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
                Some(index) => node.elements().nth(index),
                None => node.get(part),
            };
            let Some(below) = below else { return place };
            (node, place) = (below, below.at);
        }
        place
    }

    /// The same without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(elements) => elements.iter().map(Self::to_json).collect(),
            Value::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, _, value)| (key.clone(), value.to_json()));
                serde_json::Value::Object(pairs.collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        // Where an alias stands for the value, that is the place its author looks at.
        Ok(Self { at: (spanned.referenced.line(), spanned.referenced.column()), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    /// Infinity and "not a number" are no numbers in JSON: they stay texts, and are refused where a number belongs.
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(serde_json::Number::from_f64(value).map_or_else(|| Value::Text(value.to_string()), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = pairs.next_entry::<Spanned<String>, Node>()? {
            map.push((key.value, (key.referenced.line(), key.referenced.column()), value));
        }
        Ok(Value::Map(map))
    }
}
