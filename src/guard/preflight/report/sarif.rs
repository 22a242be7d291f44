//! SARIF 2.1.0 (OASIS), as code hosts read it: findings as annotations of the queries' files.

use serde_json::{Value, json};

use super::sentence;
use crate::guard::preflight::judge::{KINDS, Kind, Report};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The report as a SARIF log. Notes are results of level `note`.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let rules: Vec<Value> = KINDS.into_iter().map(rule).chain([note_rule()]).collect();
    let mut results = Vec::new();
    for query in &report.queries {
        let uri = uri(&query.path.display().to_string());
        for finding in &query.findings {
            results.push(result(finding.kind.code(), "error", &sentence(&query.query, finding), &uri));
        }
        for note in &query.notes {
            results.push(result("note", "note", &format!("{}: {note}", query.query), &uri));
        }
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "floodmark guard preflight",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(kind: Kind) -> Value {
    let text = match kind {
        Kind::Failed => "The query cannot be run within the limits of a preflight.",
        Kind::NoBaseline => "Nobody has accepted what the query reads and takes.",
        Kind::LessData => "A table holds much less than when the baseline was accepted: nothing can be compared.",
        Kind::ReadRows => "The query reads more rows than its budget or its baseline allows.",
        Kind::ReadBytes => "The query reads more bytes than its budget or its baseline allows.",
        Kind::Memory => "The query takes more memory than its budget or its baseline allows.",
        Kind::Index => "An index that the query has to use narrows nothing any more.",
        Kind::Projection => "A projection that the query has to use is not read any more.",
    };
    json!({"id": kind.code(), "shortDescription": {"text": text}})
}

fn note_rule() -> Value {
    json!({"id": "note", "shortDescription": {"text": "Worth knowing about the query; no failure."}})
}

fn result(rule: &str, level: &str, message: &str, uri: &str) -> Value {
    json!({
        "ruleId": rule,
        "level": level,
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}],
    })
}

/// A path as a relative reference (RFC 3986): what is not plain is percent-encoded.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
