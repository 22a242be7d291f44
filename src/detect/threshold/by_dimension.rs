//! Something for each of some dimensions, as rule files write it: `where: {service: [api, web]}`, `by: {service: column}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::model::Dimension;

/// Something for each of some dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByDimension<T: Default>(pub BTreeMap<Dimension, T>);

impl<T: Default> ByDimension<T> {
    /// No dimension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: JsonSchema + Default> JsonSchema for ByDimension<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ByDimensionOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>().to_value();
        let properties: serde_json::Map<String, serde_json::Value> =
            Dimension::ALL.into_iter().map(|dimension| (dimension.as_str().to_owned(), value.clone())).collect();
        json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Any of these.
    Several(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Texts {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }

    /// The only text, where it stands for itself and nothing else.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.as_slice() {
            [only] if !only.is_empty() && !only.ends_with('*') => Some(only),
            _ => None,
        }
    }

    /// Whether a text is one of them. One that ends in `*` stands for all that begin so, an empty one for what is absent.
    #[must_use]
    pub fn name(&self, text: &str) -> bool {
        self.as_slice().iter().any(|own| match own.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == own,
        })
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One text or several. `*` at the end stands for anything, an empty text for what is absent.",
            "type": ["string", "array"],
            "items": { "type": "string" },
        })
    }
}
