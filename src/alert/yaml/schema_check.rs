//! A tree held against a JSON Schema that was made from a type: every mistake, not only the first.
//!
//! It knows what `schemars` writes for our types: objects, lists, numbers, texts, spans of time, names from a list, and
//! enums of which one key says which. It is not a validator for any schema.

use serde_json::Value as Json;

use super::{FileProblem, Node, Value};
use crate::config::Span;
use crate::model::{AlertName, did_you_mean};

/// Names listed in a hint; more would hide the message.
const NAMES_LISTED_MAX: usize = 20;

/// Holds one file against a schema.
#[derive(Debug)]
pub struct SchemaCheck<'a> {
    file: &'a str,
    root: &'a Json,
    problems: Vec<FileProblem>,
}

impl<'a> SchemaCheck<'a> {
    /// Every mistake of `tree` in `file`, as `schema` has it.
    #[must_use]
    pub fn problems(file: &'a str, tree: &Node, schema: &'a Json) -> Vec<FileProblem> {
        let mut check = Self { file, root: schema, problems: Vec::new() };
        if tree.value == Value::Null {
            let keys = names(schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str));
            check.tell(tree.at, "", "is empty").hint = Some(format!("it must have {keys}"));
        } else {
            check.node(tree, schema, "");
        }
        check.problems
    }

    fn tell(&mut self, at: (u64, u64), key: &str, message: impl Into<String>) -> &mut FileProblem {
        let index = self.problems.len();
        self.problems.push(FileProblem::new(self.file, at, key, message));
        &mut self.problems[index]
    }

    fn node(&mut self, node: &Node, schema: &'a Json, key: &str) {
        let schema = self.resolved(schema);
        if schema["format"] == AlertName::FORMAT {
            return self.alert_name(node, key);
        }
        let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(alternatives) = alternatives {
            return self.one_of(node, alternatives, key);
        }
        if let Some(names) = constants(schema) {
            return self.name(node, &names, key);
        }
        let types: Vec<&str> = match &schema["type"] {
            Json::Array(types) => types.iter().filter_map(Json::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        if node.value == Value::Null && types.contains(&"null") {
            return;
        }
        // Of several types the one that is written, else the first is what is wanted.
        let written = types.iter().find(|name| is_of(&node.value, name));
        match written.or_else(|| types.iter().find(|name| **name != "null")) {
            Some(&"object") => self.object(node, schema, key),
            Some(&"array") => self.list(node, schema, key),
            Some(&"string") => self.text(node, schema, key),
            Some(&"integer") => self.integer(node, schema, key),
            Some(&"number") => self.wants(matches!(node.value, Value::Number(_)), node, "a number", key),
            Some(&"boolean") => self.wants(matches!(node.value, Value::Bool(_)), node, "true or false", key),
            _ => {}
        }
    }

    /// Follows a reference into the schema's definitions.
    fn resolved(&self, schema: &'a Json) -> &'a Json {
        let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| &self.root["$defs"][name])
    }

    fn wants(&mut self, holds: bool, node: &Node, what: &str, key: &str) {
        if holds {
            return;
        }
        let problem = self.tell(node.at, key, format!("must be {what}, not {}", node.value.kind()));
        if what == "a text" {
            problem.hint = Some("put it in quotes".to_owned());
        }
    }

    fn integer(&mut self, node: &Node, schema: &Json, key: &str) {
        let Value::Number(number) = &node.value else { return self.wants(false, node, "a whole number", key) };
        let negative = schema["minimum"].as_i64() == Some(0) && number.as_i64().is_some_and(|value| value < 0);
        if negative {
            self.tell(node.at, key, "must not be negative");
        } else if number.is_f64() {
            self.tell(node.at, key, "must be a whole number");
        }
    }

    fn text(&mut self, node: &Node, schema: &Json, key: &str) {
        if schema["format"] != Span::FORMAT {
            return self.wants(node.text().is_some(), node, "a text", key);
        }
        let written = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return self.wants(false, node, "a span of time such as 30s", key),
        };
        if written.parse::<Span>().is_err() || node.text().is_none() {
            let problem = self.tell(node.at, key, format!("`{written}` is no span of time"));
            problem.hint = Some("a number and its unit, such as 250ms, 30s, 5m, 1h or 30d".to_owned());
        }
    }

    fn alert_name(&mut self, node: &Node, key: &str) {
        let Some(written) = node.text() else { return self.wants(false, node, "a text", key) };
        if !AlertName::is_spelled_well(written) {
            let problem = self.tell(node.at, key, format!("`{written}` is no name of an alert"));
            problem.hint = Some("a capital letter, then up to 63 letters and digits: `TooManyRefused`".to_owned());
        }
    }

    fn name(&mut self, node: &Node, known: &[&str], key: &str) {
        let Some(written) = node.text() else { return self.wants(false, node, "one of the names known here", key) };
        if !known.contains(&written) {
            let hint = hint(written, known);
            self.tell(node.at, key, format!("`{written}` is not known")).hint = Some(hint);
        }
    }

    fn list(&mut self, node: &Node, schema: &'a Json, key: &str) {
        let Value::List(elements) = &node.value else { return self.wants(false, node, "a list", key) };
        for (i, element) in elements.iter().enumerate() {
            self.node(element, &schema["items"], &format!("{key}[{i}]"));
        }
    }

    fn object(&mut self, node: &Node, schema: &'a Json, key: &str) {
        let Value::Map(pairs) = &node.value else { return self.wants(false, node, "keys with values", key) };
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object();
        let known: Vec<&str> = properties.unwrap_or(&empty).keys().map(String::as_str).collect();
        for (name, at, value) in pairs {
            let below = joined(key, name);
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.node(value, property, &below),
                None if schema["additionalProperties"].is_object() => {
                    self.node(value, &schema["additionalProperties"], &below);
                }
                None if schema["additionalProperties"] == false => {
                    self.tell(*at, &below, "this key is not known").hint = Some(hint(name, &known));
                }
                None => {}
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if node.get(name).is_none() {
                let meaning = schema["properties"][name]["description"].as_str();
                let hint = meaning.map(|meaning| format!("it says: {}", meaning.trim_end_matches('.')));
                self.tell(node.at, key, format!("the key `{name}` is missing")).hint = hint;
            }
        }
    }

    fn one_of(&mut self, node: &Node, alternatives: &'a [Json], key: &str) {
        let is_null = |schema: &&Json| schema["type"] == "null";
        if alternatives.iter().any(|schema| is_null(&schema)) && node.value == Value::Null {
            return;
        }
        let alternatives: Vec<&'a Json> = alternatives.iter().filter(|schema| !is_null(schema)).collect();
        if let [only] = alternatives[..] {
            return self.node(node, only, key);
        }
        let constants: Vec<&str> = alternatives.iter().filter_map(|schema| constants(schema)).flatten().collect();
        if constants.is_empty() { self.tagged(node, &alternatives, key) } else { self.name(node, &constants, key) }
    }

    /// An enum of which one key says which, such as `detect`.
    fn tagged(&mut self, node: &Node, alternatives: &[&'a Json], key: &str) {
        let tag = |schema: &'a Json| schema["required"][0].as_str();
        let known: Vec<&str> = alternatives.iter().filter_map(|schema| tag(schema)).collect();
        let Value::Map(pairs) = &node.value else {
            self.wants(false, node, "one name with its parameters", key);
            return;
        };
        if pairs.len() != 1 {
            let hint = names(known.iter().copied().take(NAMES_LISTED_MAX));
            let problem = self.tell(node.at, key, format!("must have exactly one key, not {}", pairs.len()));
            problem.hint = Some(format!("one of {hint}"));
            return;
        }
        for (name, at, value) in pairs {
            let below = joined(key, name);
            match alternatives.iter().find(|schema| tag(schema) == Some(name.as_str())) {
                Some(schema) => self.node(value, &schema["properties"][name.as_str()], &below),
                None => {
                    let hint = hint(name, &known);
                    self.tell(*at, key, format!("`{name}` is not known")).hint = Some(hint);
                }
            }
        }
    }
}

/// Whether a value is of a type of JSON Schema.
fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => matches!(value, Value::Map(_)),
        "array" => matches!(value, Value::List(_)),
        "string" => matches!(value, Value::Text(_)),
        "integer" | "number" => matches!(value, Value::Number(_)),
        "boolean" => matches!(value, Value::Bool(_)),
        _ => false,
    }
}

/// The names that a schema allows, where it is one of names.
fn constants(schema: &Json) -> Option<Vec<&str>> {
    if let Some(name) = schema["const"].as_str() {
        return Some(vec![name]);
    }
    schema["enum"].as_array().map(|names| names.iter().filter_map(Json::as_str).collect())
}

fn joined(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What was probably meant, else all there is.
fn hint(written: &str, known: &[&str]) -> String {
    match did_you_mean(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "nothing is expected here".to_owned(),
        None => format!("known here: {}", names(known.iter().copied().take(NAMES_LISTED_MAX))),
    }
}
