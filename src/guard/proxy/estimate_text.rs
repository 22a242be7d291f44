//! The text of a query's estimate: the query alone, without how it is answered and without what it sets, so that the
//! guard's caps hold the estimate. Pure.

use super::statement::{OwnSetting, sets_limits};
use crate::model::{SqlLexer, SqlToken, sql_format_clause};

/// Settings that change how much is read: without them an estimate would say something else.
const READ_OTHERWISE: [&str; 3] = ["additional_table_filters", "limit", "offset"];

/// What to ask for the estimate of a text with these settings in it. Absent where an estimate says nothing, and where what
/// is set inside would hold in the estimate too, caps and all.
pub(super) fn estimate_of(text: &str, settings: &[OwnSetting]) -> Option<String> {
    // What follows a semicolon is nothing to estimate.
    let tokens: Vec<SqlToken<'_>> = SqlLexer::new(text).take_while(|token| !token.is(";")).collect();
    let reads_tables = tokens.iter().any(|token| token.is("from"));
    if !tokens.first()?.is_any(&["select", "with"]) || !reads_tables {
        return None;
    }
    let clause = settings_clause(&tokens);
    let end = clause.into_iter().chain(sql_format_clause(&tokens)).min().unwrap_or(tokens.len());
    let is_followed = tokens[end..].iter().any(|token| token.is_any(&["union", "intersect", "except"]));
    let last = tokens[..end].last().filter(|_| !is_followed)?;
    let cut = &text[..last.start + last.text.len()];
    let changes_reading = settings.iter().any(|own| READ_OTHERWISE.contains(&own.name.as_str()));
    let is_alone = settings.is_empty() || (!changes_reading && !sets_limits(cut));
    is_alone.then(|| format!("EXPLAIN ESTIMATE {cut}"))
}

/// Where the `SETTINGS` of the query itself stand, and not those of a query in brackets. A column may be called so.
fn settings_clause(tokens: &[SqlToken<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().position(|(at, token)| {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_name = |at: usize| tokens.get(at).is_some_and(|token| token.name().is_some());
        let is_value = tokens.get(at + 2).is_none_or(|next| next.is_any(&["=", "==", ",", "format"]));
        let follows =
            at > 0 && !tokens[at - 1].is_any(&["select", "from", "join", "by", "where", "and", "or", "on", "as"]);
        let ends_expression = follows && !tokens[at - 1].is_any(&[",", ".", "=", "(", "[", "+", "-", "/", "<", ">"]);
        depth == 0 && token.is("settings") && ends_expression && is_name(at + 1) && is_value
    })
}

#[cfg(test)]
mod tests {
    use super::super::statement::Statement;

    fn estimate(text: &str) -> Option<String> {
        Statement::of(text).estimate.map(|estimate| estimate.replace("EXPLAIN ESTIMATE ", ""))
    }

    #[test]
    fn estimates_are_asked_where_they_say_something() {
        assert_eq!(estimate("SELECT a FROM t FORMAT JSON").as_deref(), Some("SELECT a FROM t"));
        assert_eq!(estimate("SELECT a FROM t;\n").as_deref(), Some("SELECT a FROM t"));
        assert!(estimate("SELECT a, count() FROM t GROUP BY a ORDER BY 2 LIMIT 10").is_some());
        for text in ["SELECT a FROM t LIMIT 10", "SELECT 1", "INSERT INTO t SELECT a FROM t", ";SELECT a FROM t"] {
            assert_eq!(estimate(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_query_sets_is_not_in_its_estimate() {
        for text in [
            "SELECT a FROM t SETTINGS max_memory_usage = 0",
            "SELECT a FROM t -- so\n settings max_memory_usage=0, max_execution_time == 0 FORMAT JSON",
            "SELECT a FROM t FORMAT JSON SETTINGS max_memory_usage = 0;",
            "SELECT a FROM t SETTINGS `max_memory_usage` = 0, b = 'x' ; ",
            "SELECT a FROM t SETTINGS optimize_move_to_prewhere",
        ] {
            assert_eq!(estimate(text).as_deref(), Some("SELECT a FROM t"), "{text}");
        }
        for text in [
            "SELECT a FROM t WHERE a IN (SELECT b FROM u SETTINGS max_memory_usage = 0)",
            "SELECT a FROM t SETTINGS max_memory_usage = 0 UNION ALL SELECT a FROM u",
            "(SELECT a FROM t SETTINGS max_memory_usage = 0)",
            "SELECT a FROM t SETTINGS additional_table_filters = {'t': 'a = 1'}",
            "SELECT a FROM t WHERE a IN (SELECT b FROM u SETTINGS `max_threads` = 1, readonly = 0)",
            "WITH x AS (SELECT 1 SETTINGS max_memory_usage = 0) SELECT a FROM t, x SETTINGS max_threads = 1",
        ] {
            assert_eq!(estimate(text), None, "{text}");
        }
    }

    #[test]
    fn columns_may_be_called_settings_and_format() {
        for text in [
            "SELECT settings FROM t WHERE settings = 1 AND format = 'x'",
            "SELECT a AS settings, format FROM settings s, format f ORDER BY format DESC",
            "SELECT count() FROM t WHERE a = 'SETTINGS max_memory_usage = 0'",
        ] {
            assert_eq!(estimate(text).as_deref(), Some(text));
        }
    }
}
