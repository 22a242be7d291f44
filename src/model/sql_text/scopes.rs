//! SELECTs within SELECTs: which tables they read, and whether one of them may stop before its scan is done.

use std::collections::BTreeSet;

use super::facts::SQL_TABLES_MAX;
use super::lexer::{Kind, Token};

/// Words that tables follow.
const STARTS: [&str; 4] = ["from", "join", "into", "table"];
/// Words that end a list of tables.
const AFTER_TABLES: [&str; 22] = [
    "where",
    "prewhere",
    "group",
    "order",
    "having",
    "limit",
    "settings",
    "format",
    "union",
    "intersect",
    "except",
    "select",
    "window",
    "qualify",
    "offset",
    "values",
    "on",
    "using",
    "sample",
    "with",
    "partition",
    "set",
];
/// Functions whose arguments are written with FROM.
const FROM_FUNCTIONS: [&str; 6] = ["extract", "trim", "substring", "position", "overlay", "ltrim"];
/// Beginnings of the names of aggregate functions: with one of them, and no LIMIT inside, everything is read.
const AGGREGATES: [&str; 29] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "any",
    "uniq",
    "quantile",
    "median",
    "argmin",
    "argmax",
    "grouparray",
    "groupuniq",
    "groupbit",
    "topk",
    "stddev",
    "var",
    "corr",
    "covar",
    "entropy",
    "skew",
    "kurt",
    "first_value",
    "last_value",
    "approx",
    "simplelinear",
    "windowfunnel",
    "retention",
    "sequence",
];

/// What the FROM clauses of a statement name.
pub(super) struct Scopes {
    pub(super) tables: Vec<String>,
}

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// Inside a list of tables.
    lists_tables: bool,
    /// FROM means something else here.
    is_function: bool,
}

impl Scopes {
    /// Tables of a statement, without those that its WITH defines.
    pub(super) fn of(statement: &[Token<'_>]) -> Self {
        let mut tables = BTreeSet::new();
        let mut levels = vec![Level::default()];
        for (at, token) in statement.iter().enumerate() {
            // There is always the level outside all brackets.
            let depth = levels.len();
            let Some(level) = levels.last_mut() else { break };
            match token.text {
                "(" if token.kind == Kind::Symbol => {
                    let named = at.checked_sub(1).is_some_and(|before| statement[before].is_any(&FROM_FUNCTIONS));
                    // `FROM (a JOIN b)` and `FROM (SELECT …)` both go on inside.
                    levels.push(Level { is_function: named, lists_tables: false });
                }
                ")" if token.kind == Kind::Symbol && depth > 1 => drop(levels.pop()),
                _ if token.is_any(&STARTS) && !level.is_function => level.lists_tables = !is_array_join(statement, at),
                _ if token.is_any(&AFTER_TABLES) => level.lists_tables = false,
                _ => {}
            }
            let before = at.checked_sub(1).map(|before| statement[before]);
            let follows = before.is_some_and(|before| before.is_any(&STARTS) || before.is(","));
            let lists = levels.last().is_some_and(|level| level.lists_tables);
            if follows && lists && tables.len() < SQL_TABLES_MAX {
                tables
                    .extend(table_at(&statement[at..], before.is_some_and(|before| before.is_any(&["into", "table"]))));
            }
        }
        let defined = defined_by_with(statement);
        Self { tables: tables.into_iter().filter(|table| !defined.contains(table.as_str())).collect() }
    }
}

/// `ARRAY JOIN` is followed by columns.
fn is_array_join(statement: &[Token<'_>], at: usize) -> bool {
    statement[at].is("join") && at.checked_sub(1).is_some_and(|before| statement[before].is("array"))
}

/// The table that is named first, unless it is a function or a subquery. What follows a table of `INSERT INTO` in brackets
/// are columns.
fn table_at(rest: &[Token<'_>], into: bool) -> Option<String> {
    let first = rest.first()?;
    if first.is_any(&["table", "function", "select", "lateral", "only"]) || first.is_any(&AFTER_TABLES) {
        return None;
    }
    let name = first.name()?;
    let is_dotted = rest.get(1).is_some_and(|dot| dot.is("."));
    let (full, next) = match rest.get(2).and_then(Token::name).filter(|_| is_dotted) {
        Some(table) => (format!("{name}.{table}"), rest.get(3)),
        None => (name.to_owned(), rest.get(1)),
    };
    let is_call = !into && next.is_some_and(|next| next.is("("));
    (!is_call).then_some(full)
}

/// Names of `WITH name AS (…)`.
fn defined_by_with<'a>(statement: &[Token<'a>]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for three in statement.windows(3) {
        if three[1].is("as") && three[2].is("(") {
            names.extend(three[0].name());
        }
    }
    names
}

/// What one SELECT says about how far it reads.
#[derive(Default, Clone, Copy)]
struct Reach {
    limits: bool,
    gathers: bool,
}

impl Reach {
    const fn may_stop(self) -> bool {
        self.limits && !self.gathers
    }
}

/// Whether any SELECT of a statement has a LIMIT (not `LIMIT … BY`) and neither groups nor aggregates: it may stop early.
/// Sorting by a prefix of the primary key stops early as well, and the text does not tell the key: it counts as a trap.
pub(super) fn limit_trap(statement: &[Token<'_>]) -> bool {
    let mut levels = vec![Reach::default()];
    for (at, token) in statement.iter().enumerate() {
        let next = statement.get(at + 1);
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        if token.is("(") {
            levels.push(Reach::default());
        } else if token.is(")") && depth > 1 {
            if levels.pop().is_some_and(Reach::may_stop) {
                return true;
            }
        } else if token.is_any(&["union", "intersect", "except"]) {
            if level.may_stop() {
                return true;
            }
            *level = Reach::default();
        } else if token.is_any(&["limit", "top", "fetch"]) {
            let is_clause = !token.is("top") || next.is_some_and(|next| next.kind == Kind::Literal || next.is("("));
            level.limits |= is_clause && !is_limit_by(&statement[at + 1..]);
        } else if (token.is("group") && next.is_some_and(|next| next.is("by"))) || is_aggregate(token, next) {
            level.gathers = true;
        }
    }
    levels.into_iter().any(Reach::may_stop)
}

/// Whether `LIMIT` goes on with `n BY …`; a further LIMIT of its own is seen by itself.
fn is_limit_by(rest: &[Token<'_>]) -> bool {
    let mut depth = 0_usize;
    for token in rest {
        match token.text {
            "(" => depth += 1,
            ")" if depth == 0 => return false,
            ")" => depth -= 1,
            _ if depth == 0 && token.is("by") => return true,
            _ if depth == 0 && token.kind == Kind::Word && !token.is("offset") => return false,
            ";" => return false,
            _ => {}
        }
    }
    false
}

fn is_aggregate(token: &Token<'_>, next: Option<&Token<'_>>) -> bool {
    if token.kind != Kind::Word || !next.is_some_and(|next| next.is("(")) {
        return false;
    }
    let name = token.text.to_ascii_lowercase();
    AGGREGATES.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::sql_facts;

    #[test]
    fn tables_are_found_wherever_they_are_read() {
        for (text, tables) in [
            ("SELECT a FROM t", "t"),
            ("select a from `my db`.\"T\" as x, u final where a in (select b from v)", "my db.T u v"),
            ("SELECT a FROM x.y LEFT JOIN z ON x.y.a = z.a ARRAY JOIN b, c", "x.y z"),
            ("WITH c AS (SELECT 1 FROM d) SELECT a FROM c", "d"),
            ("SELECT extract(day FROM e), trim(both 'x' FROM f) FROM g", "g"),
            ("SELECT count() FROM numbers(10), remote('h', db.t)", ""),
            ("INSERT INTO t (a, b) SELECT a, b FROM u", "t u"),
            ("INSERT INTO TABLE t SELECT 1", "t"),
            ("INSERT INTO FUNCTION null('a Int8') SELECT a FROM u", "u"),
            ("ALTER TABLE db.t DELETE WHERE a = 'FROM x'", "db.t"),
            ("SELECT 1", ""),
        ] {
            assert_eq!(sql_facts(text).tables.join(" "), tables, "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_trap_only_where_it_may_end_a_scan() {
        for text in [
            "SELECT * FROM t WHERE a = 1 LIMIT 10",
            "SELECT * FROM t ORDER BY a LIMIT 5, 10",
            "SELECT TOP 5 a FROM t",
            "SELECT a FROM t OFFSET 1 ROW FETCH FIRST 3 ROWS ONLY",
            "SELECT count() FROM (SELECT * FROM t LIMIT 1000)",
            "SELECT count() FROM t UNION ALL SELECT a FROM u LIMIT 1",
            "SELECT * FROM t LIMIT 1 BY a LIMIT 10",
        ] {
            assert!(sql_facts(text).limit_trap, "{text}");
        }
        for text in [
            "SELECT a, count() FROM t GROUP BY a LIMIT 10",
            "SELECT count() FROM t LIMIT 1",
            "SELECT uniqExactIf(a, b) FROM t LIMIT 1",
            "SELECT * FROM t LIMIT 1 BY a",
            "SELECT 'LIMIT 10' FROM t -- LIMIT 10",
            "SELECT top FROM t",
        ] {
            assert!(!sql_facts(text).limit_trap, "{text}");
        }
    }
}
