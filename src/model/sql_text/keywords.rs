//! Words that ClickHouse takes in any case.

/// Words of SQL, in order.
pub(super) const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "anti",
    "any",
    "array",
    "as",
    "asc",
    "asof",
    "between",
    "by",
    "case",
    "cast",
    "collate",
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
    "fetch",
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
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "only",
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
    "table",
    "then",
    "ties",
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

/// Functions in any case. Without a bracket behind them they are names, whose case matters.
pub(super) const FUNCTIONS_ANY_CASE: [&str; 5] = ["avg", "count", "max", "min", "sum"];

/// Keywords that are also functions: no space before their bracket.
pub(super) const KEYWORD_FUNCTIONS: [&str; 8] = ["any", "array", "cast", "first", "if", "last", "left", "right"];

pub(super) fn is_keyword(lower: &str) -> bool {
    KEYWORDS.binary_search(&lower).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn keywords_are_in_order() {
        assert!(super::KEYWORDS.is_sorted());
    }
}
