//! Which texts read alike though they differ: those that ask for one key or another. Pure.
//!
//! `WHERE n = 5` and `WHERE n = 7` read about the same, and a point query must not pay for an estimate of its own each
//! time. A day and three years differ in what they are compared with by `>=`: those stay apart.

use crate::model::{SqlLexer, SqlToken, SqlTokenKind};

/// A text without the literals that a name is held equal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Points {
    /// The text, `?` in their places.
    pub(super) text: String,
    /// Names of the parameters (`{name:Type}`) that stand in no other place.
    pub(super) parameters: Vec<String>,
    /// Whether there was any such literal.
    pub(super) any: bool,
}

impl Points {
    /// Looks at a text.
    pub(super) fn of(sql: &str) -> Self {
        let tokens: Vec<SqlToken<'_>> = SqlLexer::new(sql).collect();
        let mut points = Self { text: String::with_capacity(sql.len()), parameters: Vec::new(), any: false };
        let mut elsewhere = Vec::new();
        let mut copied = 0;
        for at in 0..tokens.len() {
            let token = &tokens[at];
            if token.kind != SqlTokenKind::Literal {
                continue;
            }
            let parameter = parameter_name(token.text);
            if !is_point(&tokens, at) {
                elsewhere.extend(parameter);
                continue;
            }
            points.text.push_str(&sql[copied..token.start]);
            points.text.push('?');
            copied = token.start + token.text.len();
            points.any = true;
            points.parameters.extend(parameter);
        }
        points.text.push_str(&sql[copied..]);
        points.parameters.retain(|name| !elsewhere.contains(name));
        points
    }
}

/// `name = literal`, and nothing that goes on with the literal.
fn is_point(tokens: &[SqlToken<'_>], at: usize) -> bool {
    let [.., name, equals] = &tokens[..at] else { return false };
    let ends = tokens
        .get(at + 1)
        .is_none_or(|next| next.kind == SqlTokenKind::Word || [")", ",", ";"].iter().any(|symbol| next.is(symbol)));
    (equals.is("=") || equals.is("==")) && name.name().is_some() && ends
}

/// Name of a parameter `{name:Type}`.
fn parameter_name(literal: &str) -> Option<String> {
    let (name, _) = literal.strip_prefix('{')?.split_once(':')?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> String {
        Points::of(sql).text
    }

    #[test]
    fn texts_that_ask_for_another_key_are_one() {
        assert_eq!(text("SELECT v FROM t WHERE n = 5"), "SELECT v FROM t WHERE n = ?");
        assert_eq!(text("SELECT v FROM t WHERE n=5 AND `s` == 'it''s'"), "SELECT v FROM t WHERE n=? AND `s` == ?");
        assert_eq!(
            text("SELECT f(a = 1, 2) FROM (SELECT 1 WHERE b = 2) LIMIT 3"),
            "SELECT f(a = ?, 2) FROM (SELECT 1 WHERE b = ?) LIMIT 3"
        );
        assert!(Points::of("SELECT 1 WHERE a = 1").any && !Points::of("SELECT 1").any);
    }

    #[test]
    fn ranges_and_what_is_computed_stay_apart() {
        for sql in [
            "SELECT a FROM t WHERE d >= '2026-01-01'",
            "SELECT a FROM t WHERE d <= 5 AND e != 6 AND f <> 7",
            "SELECT a FROM t WHERE d = today() - 5",
            "SELECT a FROM t WHERE d = 5 + 6",
            "SELECT a FROM t WHERE d = 5 * e",
            "SELECT a FROM t WHERE d IN (1, 2)",
            "SELECT a FROM t WHERE d BETWEEN 1 AND 2",
            "SELECT a FROM numbers(10) LIMIT 5",
            "SELECT a FROM t WHERE 5 = d",
        ] {
            assert_eq!(text(sql), sql);
        }
    }

    #[test]
    fn parameters_are_left_out_where_they_are_keys_alone() {
        let points = Points::of(
            "SELECT a FROM t WHERE n = {n:UInt64} AND d >= {d:Date} AND (m = {both:UInt8} OR m > {both:UInt8})",
        );
        assert_eq!(points.parameters, ["n"]);
        assert!(points.text.starts_with("SELECT a FROM t WHERE n = ? AND d >= {d:Date}"), "{}", points.text);
    }
}
