//! The text alone: what is refused before ClickHouse sees any of it.

use super::FenceError;
use crate::model::{SQL_BYTES_MAX, SqlKind, SqlLexer, SqlToken, SqlTokenKind, sql_facts};

const SETTINGS: &str = "the text sets settings, which only the service does";
const FORMAT: &str = "the text says a format: what comes back is said by the header Accept";
const OUTFILE: &str = "the text writes a file";
const PARAMETER: &str = "the text names a parameter, and parameters are for named queries";
const ESCAPES: &str = "a quoted name has a backslash or a line break in it";
const PREWHERE: &str = "PREWHERE looks at rows before those of others are taken out: write WHERE";

/// Refuses what is not one plain SELECT. `with_parameters`: the text is a named query, and its parameters are given.
///
/// # Errors
/// See [`FenceError`].
pub fn check_text(text: &str, is_restricted: bool, with_parameters: bool) -> Result<(), FenceError> {
    if text.len() > SQL_BYTES_MAX {
        return Err(FenceError::TooLong(SQL_BYTES_MAX));
    }
    let facts = sql_facts(text);
    if facts.statements != 1 {
        return Err(FenceError::Statements(facts.statements));
    }
    if facts.kind != SqlKind::Select {
        return Err(FenceError::NotASelect);
    }
    let tokens: Vec<SqlToken<'_>> = SqlLexer::new(text).collect();
    let clause = |holds: bool, why: &'static str| if holds { Err(FenceError::Clause(why)) } else { Ok(()) };
    clause(!facts.settings.is_empty(), SETTINGS)?;
    clause(facts.format.is_some(), FORMAT)?;
    let is_outfile = |two: &[SqlToken<'_>]| two[0].is("into") && two[1].is("outfile");
    clause(tokens.windows(2).any(is_outfile), OUTFILE)?;
    let is_parameter = |token: &SqlToken<'_>| token.kind == SqlTokenKind::Literal && token.text.starts_with('{');
    clause(!with_parameters && tokens.iter().any(is_parameter), PARAMETER)?;
    // The parser prints names as they are: one with a line break in it would look like several nodes.
    let is_escaped = |token: &SqlToken<'_>| {
        token.kind == SqlTokenKind::QuotedName && token.text.contains(|c: char| c == '\\' || c.is_control())
    };
    clause(tokens.iter().any(is_escaped), ESCAPES)?;
    // A condition in PREWHERE is evaluated before the filter of the subscription: whether it fails tells of rows of others.
    if is_restricted && tokens.iter().any(|token| token.is("prewhere")) {
        return Err(FenceError::NotYours(PREWHERE.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        check_text(text, true, false).err().map(|error| error.to_string())
    }

    #[test]
    fn one_plain_select_passes() {
        for text in [
            "SELECT count() FROM requests",
            "-- why\nWITH x AS (SELECT 1) SELECT * FROM x;",
            "SELECT 'a; DROP TABLE requests', settings, format FROM requests",
            "FROM requests SELECT count() WHERE route = 'SETTINGS a = 1 FORMAT JSON'",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }

    #[test]
    fn anything_else_does_not() {
        for (text, why) in [
            ("", "exactly one statement"),
            ("SELECT 1; SELECT 2", "exactly one statement"),
            ("SELECT 1 /* ; */; DROP TABLE requests", "exactly one statement"),
            ("DROP TABLE requests", "only SELECT"),
            ("EXPLAIN SELECT 1", "only SELECT"),
            ("SHOW TABLES", "only SELECT"),
            ("INSERT INTO requests SELECT * FROM requests", "only SELECT"),
            ("WITH x AS (SELECT 1) INSERT INTO requests SELECT 1", "only SELECT"),
            ("SELECT 1 SETTINGS max_threads = 9", "sets settings"),
            ("SELECT * FROM (SELECT 1 settings readonly=0)", "sets settings"),
            ("SELECT 1 FORMAT JSON", "says a format"),
            ("SELECT 1 INTO OUTFILE '/tmp/x'", "writes a file"),
            ("SELECT {x:String}", "names a parameter"),
            ("SELECT 1 AS `a\\nTableIdentifier z`", "a backslash"),
            ("SELECT count() FROM requests PREWHERE throwIf(subscription = 'b')", "PREWHERE"),
            ("SELECT count() FROM requests PrEwHeRe/**/1", "PREWHERE"),
        ] {
            let refusal = refusal(text).unwrap_or_else(|| panic!("{text} passes"));
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        assert!(refusal(&format!("SELECT '{}'", "a".repeat(SQL_BYTES_MAX))).unwrap().contains("longer than"));
        assert_eq!(check_text("SELECT {x:String} FROM requests PREWHERE 1", false, true), Ok(()));
    }
}
