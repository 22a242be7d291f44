//! Rejections: one line each, with at most a short excerpt of the value.

use crate::model::{RejectionCode, RejectionReason};

/// Longest excerpt of a value in a message, in bytes.
const EXCERPT_BYTES_MAX: usize = 40;

/// The record as a whole is at fault.
pub(super) fn record(code: RejectionCode, message: impl Into<String>) -> RejectionReason {
    RejectionReason { code, field: None, message: message.into() }
}

/// A field is at fault.
pub(super) fn field(code: RejectionCode, field: &'static str, message: impl Into<String>) -> RejectionReason {
    RejectionReason { code, field: Some(field), message: message.into() }
}

/// More events in a record than are read.
pub(super) fn too_many(further: u64) -> RejectionReason {
    let message = format!("{further} events after the first {} of one record", super::EVENTS_PER_RECORD_MAX);
    record(RejectionCode::TooManyEvents, message)
}

/// A required field is absent.
pub(super) fn missing(name: &'static str) -> RejectionReason {
    field(RejectionCode::MissingField, name, format!("`{name}` is required"))
}

/// A field's value is not what it should be; the message names the field, what was expected and what was found.
pub(super) fn value(code: RejectionCode, name: &'static str, expected: &str, found: &str) -> RejectionReason {
    field(code, name, format!("`{name}` must be {expected}, not {}", excerpt(found)))
}

/// What the parser found wrong, and where. Where a value has another type than it should have, the parser would quote it
/// whole, as long as it is: only what should be there is said.
pub(super) fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return format!("not JSON: {text}");
    }
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("not the JSON that it should be: expected {expected}"),
        None => format!("not the JSON that it should be, at line {} column {}", error.line(), error.column()),
    }
}

/// The first bytes of `text`, quoted, control characters escaped.
pub(super) fn excerpt(text: &str) -> String {
    let mut quoted = String::with_capacity(EXCERPT_BYTES_MAX + 8);
    quoted.push('`');
    for character in text.chars() {
        let start = quoted.len();
        if character.is_control() {
            quoted.extend(character.escape_default())
        } else {
            quoted.push(character)
        }
        if quoted.len() > EXCERPT_BYTES_MAX + 1 {
            quoted.truncate(start);
            quoted.push('…');
            break;
        }
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "`a\\nb`");
        let long = excerpt(&"é".repeat(100));
        assert_eq!(long, format!("`{}…`", "é".repeat(20)));
    }
}
