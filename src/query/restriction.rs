//! The settings that a question is asked with. They stand beside its text, and `readonly` keeps the text from changing
//! them; SETTINGS of a subquery, which ClickHouse 26.7 does not hold to `readonly`, are refused by the fence.
//!
//! A token of a subscription gets a filter on every table of ours (`additional_table_filters`): the subscription's rows
//! where rows are somebody's, none where they are not. ClickHouse applies it wherever the table is read under its name:
//! in joins, subqueries, `IN`, unions. Two ways around it are known and closed: table functions (`merge`, `mergeTreeIndex`),
//! which the fence refuses, and conditions that are evaluated before the filter and tell by failing what rows of others
//! hold: the fence refuses PREWHERE, and the settings below keep ClickHouse from moving a condition there or from
//! evaluating it together with the filter.

use super::tables::{SUBSCRIPTION_COLUMN, TABLES, Table};

/// Settings that keep a text's conditions behind the filter.
const BEHIND_THE_FILTER: [&str; 3] =
    ["optimize_move_to_prewhere", "query_plan_merge_filters", "query_plan_optimize_prewhere"];

/// Settings of every question. `subscription`: only its rows; absent: all.
pub(super) fn settings(database: &str, subscription: Option<&str>, log_comment: String) -> Vec<(&'static str, String)> {
    let mut settings: Vec<(&'static str, String)> = [
        // 1, not 2: with 2 a text could set its own limits.
        ("readonly", "1"),
        ("cancel_http_readonly_queries_on_client_close", "1"),
        // An answer that breaks must not look whole.
        ("http_write_exception_in_output_format", "0"),
        ("session_timezone", "UTC"),
        ("date_time_output_format", "iso"),
        ("output_format_json_quote_64bit_integers", "0"),
        ("allow_ddl", "0"),
        ("allow_introspection_functions", "0"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    settings.push(("database", database.to_owned()));
    settings.push(("additional_table_filters", filters(database, subscription)));
    settings.push(("log_comment", log_comment));
    if subscription.is_some() {
        settings.extend(BEHIND_THE_FILTER.map(|name| (name, "0".to_owned())));
    }
    settings
}

/// A map from table to condition, as ClickHouse writes maps.
fn filters(database: &str, subscription: Option<&str>) -> String {
    let of_database = format!("database = {}", quoted(database));
    let filters: Vec<(String, String)> = match subscription {
        None => vec![("system.tables".to_owned(), of_database.clone()), ("system.columns".to_owned(), of_database)],
        // Nothing else: ClickHouse takes the first filter whose key is the table's name or its alias, so that a weaker
        // one would be there for every table that is given its name.
        Some(subscription) => {
            let own = format!("{SUBSCRIPTION_COLUMN} = {}", quoted(subscription));
            let condition = |has_subscription: bool| if has_subscription { own.clone() } else { "0".to_owned() };
            let of = |table: &Table| (format!("{database}.{}", table.name), condition(table.has_subscription));
            TABLES.iter().map(of).collect()
        }
    };
    let pairs: Vec<String> =
        filters.iter().map(|(table, filter)| format!("{}:{}", quoted(table), quoted(filter))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A text as a literal of SQL.
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_cannot_leave_its_quotes() {
        let filters = filters("fm", Some("a' OR '1'='1\\"));
        assert!(!filters.contains("system."), "a table that is called so would have this filter: {filters}");
        assert!(filters.contains(r"'fm.requests':'subscription = \'a\\\' OR \\\'1\\\'=\\\'1\\\\\''"), "{filters}");
        assert!(filters.contains("'fm.incidents':'0'"), "{filters}");
    }

    #[test]
    fn only_a_restricted_question_is_filtered_and_none_may_set_anything() {
        let value = |settings: &[(&str, String)], name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let (open, restricted) = (settings("fm", None, String::new()), settings("fm", Some("a"), String::new()));
        assert!(!value(&open, "additional_table_filters").unwrap().contains("requests"));
        assert_eq!(value(&open, "optimize_move_to_prewhere"), None);
        assert_eq!(value(&restricted, "query_plan_merge_filters"), Some("0".to_owned()));
        for settings in [&open, &restricted] {
            assert_eq!(value(settings, "readonly"), Some("1".to_owned()));
        }
    }
}
