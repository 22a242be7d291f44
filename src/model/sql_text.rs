//! What of a query's text is the same each time it is asked: literals, lists, comments, spacing and the case of keywords
//! taken out. Names, aliases and everything that may change the plan stay. Pure; no SQL dialect is validated.
//!
//! ClickHouse's own `normalized_query_hash` changes with keyword case and with the length of an `IN` list, so that one
//! dashboard panel has many hashes; this one does not.

use super::Text;

/// Longest text that is looked at, in bytes: what follows is data of an INSERT or tells nothing more.
pub const SQL_BYTES_MAX: usize = 65_536;

/// Words of SQL and functions that ClickHouse takes in any case.
const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "anti",
    "any",
    "array",
    "as",
    "asc",
    "asof",
    "avg",
    "between",
    "by",
    "case",
    "cast",
    "count",
    "cross",
    "cube",
    "delete",
    "desc",
    "describe",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "false",
    "final",
    "first",
    "format",
    "from",
    "full",
    "global",
    "group",
    "having",
    "if",
    "ilike",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "last",
    "left",
    "like",
    "limit",
    "max",
    "min",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "prewhere",
    "qualify",
    "right",
    "rollup",
    "row",
    "rows",
    "sample",
    "select",
    "semi",
    "settings",
    "show",
    "sum",
    "table",
    "then",
    "top",
    "totals",
    "true",
    "truncate",
    "union",
    "update",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// Those of them that are functions: no space before their bracket.
const FUNCTIONS: &[&str] =
    &["any", "array", "avg", "cast", "count", "first", "if", "last", "left", "max", "min", "right", "sum"];

/// The text with every literal as `?`, lists of literals as one, and one way of spacing.
#[must_use]
pub fn normalise_sql(text: &str) -> String {
    let tokens = collapse_lists(without_signs(tokens(cut(text))));
    let mut normal = String::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| tokens[i].as_str());
        if before.is_some_and(|before| !joins(before, token)) {
            normal.push(' ');
        }
        normal.push_str(token);
    }
    normal
}

/// A short stable name of the query: FNV-1a of the normalised text, 16 hexadecimal digits.
#[must_use]
pub fn sql_fingerprint(normalised: &str) -> Text {
    let hash = normalised
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // Names decide nothing but equality; the fold spreads FNV's weak high bits.
    Text::from(format!("{:016x}", hash ^ (hash >> 29)))
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(SQL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// No space after an opening bracket or a dot, none before a closing one, a comma, a dot or a call's bracket.
fn joins(before: &str, token: &str) -> bool {
    let is_word = before.bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let calls =
        (token == "(" || token == "[") && is_word && (FUNCTIONS.contains(&before) || !KEYWORDS.contains(&before));
    matches!(before, "(" | "[" | ".") || matches!(token, ")" | "]" | "," | ".") || calls
}

fn tokens(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let (length, token) = next_token(rest, tokens.last().map(String::as_str));
        at += length.max(1);
        let is_data = |tokens: &[String]| {
            let last_two = tokens.len().checked_sub(2).map(|i| tokens[i].as_str());
            tokens.first().is_some_and(|first| first == "insert") && last_two == Some("format")
        };
        if let Some(token) = token {
            tokens.push(token);
            if is_data(&tokens) {
                break;
            }
        }
    }
    while tokens.last().is_some_and(|last| last == ";") {
        tokens.pop();
    }
    tokens
}

/// Length of what stands first, and the token it is (nothing for spaces and comments).
fn next_token(rest: &str, before: Option<&str>) -> (usize, Option<String>) {
    let bytes = rest.as_bytes();
    let literal = || Some("?".to_owned());
    match bytes[0] {
        b if b.is_ascii_whitespace() => (1, None),
        b'-' if rest.starts_with("--") => (line(rest), None),
        b'#' if matches!(bytes.get(1), None | Some(b' ' | b'!')) => (line(rest), None),
        b'/' if rest.starts_with("/*") => (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), None),
        b'\'' => (quoted(bytes, b'\''), literal()),
        quote @ (b'"' | b'`') => {
            let length = quoted(bytes, quote);
            (length, Some(rest[..length].to_owned()))
        }
        // A parameter `{name:Type}`, not a map literal.
        b'{' => match rest.find('}').filter(|end| rest[..*end].contains(':') && !rest[1..*end].contains(['{', '\''])) {
            Some(end) => (end + 1, literal()),
            None => (1, Some("{".to_owned())),
        },
        // `t.1` is a member of a tuple.
        b'0'..=b'9' if before == Some(".") => word(rest),
        b'0'..=b'9' => (number(bytes), literal()),
        b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => word(rest),
        _ => {
            let two = rest.get(..2).filter(|two| matches!(*two, "<=" | ">=" | "!=" | "<>" | "||" | "::" | "->" | "=="));
            let token = two.unwrap_or(&rest[..1]);
            (token.len(), Some(token.to_owned()))
        }
    }
}

fn line(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

/// Length of a quoted text with its quotes; a backslash or a doubled quote does not end it.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        let doubled = bytes[at] == quote && bytes.get(at + 1) == Some(&quote);
        if bytes[at] == quote && !doubled {
            return at + 1;
        }
        at += if bytes[at] == b'\\' || doubled { 2 } else { 1 };
    }
    bytes.len()
}

fn number(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        let exponent = matches!(byte, b'+' | b'-') && matches!(bytes[at - 1], b'e' | b'E') && bytes[1] | 0x20 != b'x';
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent) {
            break;
        }
        at += 1;
    }
    at
}

fn word(rest: &str) -> (usize, Option<String>) {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let lower = rest[..length].to_ascii_lowercase();
    let token = if KEYWORDS.binary_search(&lower.as_str()).is_ok() { lower } else { rest[..length].to_owned() };
    (length, Some(token))
}

/// A sign before a literal belongs to it, unless there is something to take it from.
fn without_signs(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token == "?" && kept.last().is_some_and(|last| last == "-" || last == "+") {
            let operand = kept.len().checked_sub(2).map(|i| kept[i].as_str());
            let is_operand = operand.is_some_and(|o| {
                let ends = o.bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric() || b"_)]?\"`".contains(&b));
                ends && !KEYWORDS.contains(&o)
            });
            if !is_operand {
                kept.pop();
            }
        }
        kept.push(token);
    }
    kept
}

/// `(?, ?, ?)` becomes `(?)`, `(?), (?)` becomes `(?)`, whatever the length of a list and the depth of its tuples.
fn collapse_lists(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        kept.push(token);
        while collapse_last(&mut kept) {}
    }
    kept
}

fn collapse_last(kept: &mut Vec<String>) -> bool {
    let ends_with = |kept: &[String], end: &[&str]| {
        kept.len() >= end.len() && kept[kept.len() - end.len()..].iter().zip(end).all(|(a, b)| a == b)
    };
    let repeats: [(&[&str], usize); 5] = [
        (&["?", ",", "?"], 2),
        (&["(", "?", ")", ",", "(", "?", ")"], 4),
        (&["[", "?", "]", ",", "[", "?", "]"], 4),
        (&["(", "(", "?", ")", ")"], 0),
        (&["[", "(", "?", ")", "]"], 0),
    ];
    for (pattern, dropped) in repeats {
        if !ends_with(kept, pattern) {
            continue;
        }
        if dropped > 0 {
            kept.truncate(kept.len() - dropped);
        } else {
            let end = kept.split_off(kept.len() - 5);
            kept.extend([end[0].clone(), "?".to_owned(), end[4].clone()]);
        }
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_in_order() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn literals_lists_comments_spacing_and_case_do_not_matter() {
        let normal =
            "select count(), uniq(user) from db.hits as h where d >= toDate(?) and id in (?) and x = ? limit ?";
        for text in [
            "SELECT count(), uniq(user) FROM db.hits AS h WHERE d >= toDate('2026-01-01') AND id IN (1) AND x = 'a' LIMIT 10",
            "select count( ) ,uniq(user) -- how many\nfrom db . hits as h where d>=toDate('it''s \\' so') and id in (1,2, 3)\n\
             and x=-7.5e-3 limit 1000;",
            "/* app: x */ Select COUNT(), uniq(user) From db.hits As h Where d >= toDate({from:Date}) And id In (0x1F, -2) \
             And x = {x:Float64} Limit 5 ;",
        ] {
            assert_eq!(normalise_sql(text), normal, "{text}");
        }
        assert_eq!(sql_fingerprint(normal).len(), 16);
    }

    #[test]
    fn tuples_and_values_of_any_length_are_one() {
        let one = normalise_sql("SELECT a FROM t WHERE (a, b) IN ((1, 'x'))");
        assert_eq!(one, normalise_sql("SELECT a FROM t WHERE (a, b) IN ((1, 'x'), (2, 'y'), (3, 'z'))"));
        let insert = normalise_sql("INSERT INTO t VALUES (1, 'a')");
        assert_eq!(insert, normalise_sql("INSERT INTO t VALUES (1, 'a'), (2, 'b')"));
        assert_eq!(normalise_sql("INSERT INTO t FORMAT JSONEachRow {\"a\": 1}"), "insert into t format JSONEachRow");
    }

    #[test]
    fn names_case_of_names_and_arithmetic_matter() {
        let all =
            ["SELECT a FROM t", "SELECT a FROM T", "SELECT b FROM t", "SELECT a - 1 FROM t", "SELECT a FROM t FINAL"];
        let normal: std::collections::BTreeSet<String> = all.iter().map(|text| normalise_sql(text)).collect();
        assert_eq!(normal.len(), all.len());
        assert_eq!(normalise_sql("SELECT a-1"), "select a - ?");
        assert_eq!(normalise_sql("SELECT t.1, `it's`"), "select t.1, `it's`");
    }

    #[test]
    fn damaged_text_is_taken_as_it_is() {
        for text in ["", "'", "\"abc", "/* no end", "{a:", "é'é\\", "--", "1e", "SELECT '\\"] {
            let _ = normalise_sql(text);
        }
        let long = "é".repeat(SQL_BYTES_MAX);
        assert!(normalise_sql(&long).len() <= SQL_BYTES_MAX);
    }
}
