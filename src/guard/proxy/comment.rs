//! `log_comment`: what the client wrote there, with who asks and what as the guard knows it.

use serde_json::{Map, Value};

/// Longest comment of a client that is taken along; ClickHouse keeps it with every query.
const COMMENT_BYTES_MAX: usize = 8_192;

/// The client's comment with `tenant` and `fingerprint`. One that is no JSON object becomes its member `comment`.
pub(super) fn merged_comment(own: Option<&str>, tenant: &str, fingerprint: &str) -> String {
    let own = own.filter(|own| own.len() <= COMMENT_BYTES_MAX);
    let mut members = own.map_or_else(Map::new, |own| match serde_json::from_str(own) {
        Ok(Value::Object(members)) => members,
        _ if own.is_empty() => Map::new(),
        _ => Map::from_iter([("comment".to_owned(), Value::from(own))]),
    });
    members.insert("tenant".to_owned(), Value::from(tenant));
    members.insert("fingerprint".to_owned(), Value::from(fingerprint));
    Value::Object(members).to_string()
}

/// The release that a client's comment names.
pub(super) fn version(own: Option<&str>) -> Option<String> {
    let comment: Value = serde_json::from_str(own?).ok()?;
    comment.get("version")?.as_str().filter(|version| !version.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_keeps_its_own_members_but_not_the_guards() {
        let merged = merged_comment(Some(r#"{"service":"api","version":"1.2","tenant":"x"}"#), "grafana", "f00");
        assert_eq!(merged, r#"{"fingerprint":"f00","service":"api","tenant":"grafana","version":"1.2"}"#);
        assert_eq!(
            merged_comment(Some("nightly"), "a", "f"),
            r#"{"comment":"nightly","fingerprint":"f","tenant":"a"}"#
        );
        assert_eq!(merged_comment(None, "a", "f"), r#"{"fingerprint":"f","tenant":"a"}"#);
        assert_eq!(version(Some(r#"{"version":"1.2"}"#)).as_deref(), Some("1.2"));
        assert_eq!(version(Some("1.2")), None);
    }
}
