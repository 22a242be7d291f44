//! What of a query's text is the same each time it is asked: literals, lists, comments, spacing, the case of keywords and
//! the format of the answer taken out. Names, aliases, settings and everything that may change the plan stay. Pure; no SQL
//! is validated.
//!
//! ClickHouse's own `normalized_query_hash` changes with keyword case and with the length of an `IN` list, so that one
//! dashboard panel has many hashes; this one does not.

mod facts;
mod heredocs;
mod keywords;
mod lexer;
mod lists;
mod placeholder;
#[cfg(test)]
mod properties;
mod scopes;

pub use facts::{SQL_SETTINGS_MAX, SQL_TABLES_MAX, SqlFacts, SqlKind, format_clause as sql_format_clause, sql_facts};

pub use placeholder::sql_with_database;

pub use lexer::{Kind as SqlTokenKind, Lexer as SqlLexer, Token as SqlToken};

use self::facts::{format_clause, statement_tokens};
use self::keywords::{FUNCTIONS_ANY_CASE, KEYWORD_FUNCTIONS, is_keyword};
use self::lexer::{Kind, Token};
use self::lists::{collapse_alternatives, collapse_lists, without_signs};
use super::Text;

/// Longest text that is looked at, in bytes: what follows is data of an INSERT or tells nothing more.
pub const SQL_BYTES_MAX: usize = 65_536;

/// The text with every literal as `?`, lists of literals and chains of the same alternative as one, and one way of spacing.
#[must_use]
pub fn normalise_sql(text: &str) -> String {
    let tokens = collapse_alternatives(collapse_lists(without_signs(normal_tokens(cut(text)))));
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
        (token == "(" || token == "[") && is_word && (KEYWORD_FUNCTIONS.contains(&before) || !is_keyword(before));
    matches!(before, "(" | "[" | ".") || matches!(token, ")" | "]" | "," | ".") || calls
}

/// Each token as it stands in the normal form.
fn normal_tokens(text: &str) -> Vec<String> {
    let mut tokens = statement_tokens(text);
    while tokens.last().is_some_and(|last| last.is(";")) {
        tokens.pop();
    }
    // How a read is answered does not change what it costs. An INSERT's format says what its data is.
    if !tokens.iter().any(|token| token.is("insert"))
        && let Some(at) = format_clause(&tokens)
    {
        tokens.drain(at..at + 2);
    }
    let normal = |(i, token): (usize, &Token<'_>)| {
        let before = i.checked_sub(1).map(|i| tokens[i]);
        normal_token(token, before.as_ref(), tokens.get(i + 1))
    };
    tokens.iter().enumerate().map(normal).collect()
}

fn normal_token(token: &Token<'_>, before: Option<&Token<'_>>, next: Option<&Token<'_>>) -> String {
    match token.kind {
        // Which table or column it is is not in the text; that it is one, and not a value, is.
        Kind::Literal if token.text.starts_with('{') && token.text.contains(":Identifier") => token.text.to_owned(),
        Kind::Literal => "?".to_owned(),
        Kind::Symbol if token.text == "−" => "-".to_owned(),
        Kind::Symbol => token.text.to_owned(),
        // Some clients quote every name. A name that needs no quotes is the same without.
        Kind::QuotedName => token.name().filter(|name| is_plain(name)).unwrap_or(token.text).to_owned(),
        Kind::Word => {
            let lower = token.text.to_ascii_lowercase();
            let is_member = before.is_some_and(|before| before.is("."));
            let is_call = next.is_some_and(|next| next.is("("));
            let in_any_case = is_keyword(&lower) || (is_call && FUNCTIONS_ANY_CASE.contains(&lower.as_str()));
            if in_any_case && !is_member { lower } else { token.text.to_owned() }
        }
    }
}

fn is_plain(name: &str) -> bool {
    let is_start = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_start && is_word && !is_keyword(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn chains_of_the_same_alternative_are_one() {
        let normal = "select a from t where (b = ? or c = ?) and d = ? group by a";
        for text in [
            "SELECT a FROM t WHERE (b = 1 OR c = 2) AND d = 3 GROUP BY a",
            "SELECT a FROM t WHERE (b = 1 OR b = 2 OR c = 2 or c = 3) AND d = 3 OR (b = 1 OR c = 4) and d = 5 GROUP BY a",
        ] {
            assert_eq!(normalise_sql(text), normal, "{text}");
        }
        let others = [
            "SELECT a FROM t WHERE b = 1 OR c = 1 OR b = 2",
            "SELECT a FROM t WHERE b = 1 OR c = 1",
            "SELECT a FROM t WHERE b = 1 OR b > 1",
            "SELECT a FROM t WHERE x AND b = 1 OR b = 1",
            "SELECT a FROM t WHERE b = 1",
        ];
        let normal: std::collections::BTreeSet<String> = others.iter().map(|text| normalise_sql(text)).collect();
        assert_eq!(normal.len(), others.len());
    }

    #[test]
    fn quotes_that_are_not_needed_and_the_format_do_not_matter() {
        let all = [
            "SELECT `a`, \"b\" FROM `db`.\"t\" FORMAT JSON",
            "SELECT a, b FROM db.t FORMAT Native;",
            "select a, “b” from db.t",
        ];
        assert!(all.iter().all(|text| normalise_sql(text) == "select a, b from db.t"));
        assert_ne!(normalise_sql("SELECT `from` FROM t"), normalise_sql("SELECT from FROM t"));
        assert_ne!(normalise_sql("SELECT Count FROM t"), normalise_sql("SELECT count FROM t"));
        assert_eq!(normalise_sql("SELECT Count(*) FROM t"), normalise_sql("SELECT COUNT ( * ) FROM t"));
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
