//! SQL files as text: statements, parameters, and a query without the format it is asked in. No dialect is validated.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{SqlLexer, SqlToken, SqlTokenKind, sql_format_clause};

/// The text with comments blanked and literals and quoted names crossed out: of the same length, so that places in one are
/// places in the other.
fn mask(text: &str) -> Vec<u8> {
    let mut masked = vec![b' '; text.len()];
    for token in SqlLexer::new(text) {
        let place = &mut masked[token.start..token.start + token.text.len()];
        match token.kind {
            SqlTokenKind::Literal | SqlTokenKind::QuotedName => place.fill(b'x'),
            SqlTokenKind::Word | SqlTokenKind::Symbol => place.copy_from_slice(token.text.as_bytes()),
        }
    }
    masked
}

/// The statements of a file, without those that are nothing but comments.
#[must_use]
pub(super) fn statements(text: &str) -> Vec<&str> {
    let masked = mask(text);
    let mut start = 0;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in masked.iter().enumerate().filter(|(_, byte)| **byte == b';') {
        ranges.push(start..at);
        start = at + 1;
    }
    ranges.push(start..text.len());
    ranges.retain(|range| !masked[range.clone()].trim_ascii().is_empty());
    // Statements end at bytes of ASCII, so the ranges are those of characters.
    ranges.into_iter().filter_map(|range| text.get(range)).collect()
}

/// Parameters of a query, `{name:Type}`, by name with their type.
#[must_use]
pub(super) fn parameters(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for token in SqlLexer::new(text).filter(|token| token.kind == SqlTokenKind::Literal) {
        let inside = token.text.strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
        if let Some((name, kind)) = inside.and_then(|inside| inside.split_once(':')) {
            found.insert(name.trim(), kind.trim());
        }
    }
    found
}

/// The query without what follows its last word of SQL, a semicolon and comments, and without `FORMAT …`, which says how
/// the answer is written and not what it takes. What it sets stays, wherever that stands.
#[must_use]
pub(super) fn without_format(text: &str) -> String {
    let tokens: Vec<SqlToken<'_>> = SqlLexer::new(text).collect();
    let end_of = |last: Option<&SqlToken<'_>>| last.map_or(0, |last| last.start + last.text.len());
    let end = end_of(tokens.iter().rev().find(|token| !token.is(";")));
    match sql_format_clause(&tokens) {
        Some(at) => format!("{}{}", &text[..end_of(tokens[..at].last())], &text[end_of(tokens.get(at + 1))..end]),
        None => text[..end].to_owned(),
    }
}

/// A value that a parameter of this type gets where nobody gives one. `None`: it has to be given.
#[must_use]
pub(super) fn default_value(kind: &str) -> Option<&'static str> {
    let inner = ["LowCardinality(", "Nullable("].into_iter().find_map(|outer| kind.strip_prefix(outer));
    if let Some(inner) = inner {
        return default_value(inner.trim_end_matches(')'));
    }
    let (name, _) = kind.split_once('(').unwrap_or((kind, ""));
    match name.trim() {
        "String" | "FixedString" => Some(""),
        "Bool" => Some("false"),
        "Date" | "Date32" => Some("2026-01-01"),
        "DateTime" | "DateTime64" => Some("2026-01-01 00:00:00"),
        "UUID" => Some("00000000-0000-0000-0000-000000000000"),
        "Array" => Some("[]"),
        name if ["UInt", "Int", "Float", "Decimal"].iter().any(|number| name.starts_with(number)) => Some("1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_of_the_statement_alone() {
        let text = "-- first; not here\nCREATE TABLE a (x String DEFAULT 'a;''b\\';') ; /* ; */ INSERT INTO a SELECT ';'\n;;-- end";
        let found = statements(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].trim().ends_with("INSERT INTO a SELECT ';'"), "{found:?}");
        assert!(statements(" -- nothing\n/* ; */").is_empty());
        assert_eq!(statements("SELECT 'é;").len(), 1);
        let hidden = "SELECT /* /* ; */ ; */ 1 // ; '\n, $a$;'$a$ # ; '\n, ‘;’; SELECT 2";
        assert_eq!(statements(hidden).len(), 2);
    }

    #[test]
    fn parameters_have_names_and_types_and_maps_and_texts_are_none() {
        let text =
            "SELECT {a:UInt32}, '{b:String}', {'k': 1}, {from:DateTime64(3, 'UTC')} -- {c:Date}\n FROM {database}.t";
        let expected = BTreeMap::from([("a", "UInt32"), ("from", "DateTime64(3, 'UTC')")]);
        assert_eq!(parameters(text), expected);
    }

    #[test]
    fn a_format_at_the_end_is_left_out_and_nothing_else() {
        for (text, query) in [
            ("SELECT 1 FORMAT JSONEachRow", "SELECT 1"),
            ("SELECT 1\nformat Null ; -- so\n", "SELECT 1"),
            ("SELECT format", "SELECT format"),
            ("SELECT 'FORMAT x'", "SELECT 'FORMAT x'"),
            ("SELECT 1 LIMIT 5;", "SELECT 1 LIMIT 5"),
            ("", ""),
            ("FORMAT", "FORMAT"),
            ("SELECT a FROM t FORMAT JSON SETTINGS max_threads = 1; -- x", "SELECT a FROM t SETTINGS max_threads = 1"),
            ("SELECT a FROM t SETTINGS max_threads = 1 FORMAT JSON", "SELECT a FROM t SETTINGS max_threads = 1"),
            (
                "SELECT format FROM t WHERE format = 1 ORDER BY format DESC",
                "SELECT format FROM t WHERE format = 1 ORDER BY format DESC",
            ),
        ] {
            assert_eq!(without_format(text), query, "{text}");
        }
    }

    #[test]
    fn types_have_values() {
        for (kind, value) in [
            ("UInt32", Some("1")),
            ("LowCardinality(Nullable(String))", Some("")),
            ("DateTime64(3, 'UTC')", Some("2026-01-01 00:00:00")),
            ("Array(String)", Some("[]")),
            ("Identifier", None),
        ] {
            assert_eq!(default_value(kind), value, "{kind}");
        }
    }
}
