//! What a query's text says about it before it runs: whether it reads or writes, of which tables, whether a LIMIT may end
//! its scan, which settings and format it asks for.

use super::SQL_BYTES_MAX;
use super::cut;
use super::lexer::{Kind, Lexer, Token};
use super::scopes::{Scopes, limit_trap};

/// Tables of a text that are named; further ones are left out.
pub const SQL_TABLES_MAX: usize = 64;
/// Settings of a text that are named; further ones are left out.
pub const SQL_SETTINGS_MAX: usize = 64;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlKind {
    /// SELECT, with or without WITH, FROM first, or brackets around it.
    Select,
    /// EXPLAIN, which may run an IN-subquery.
    Explain,
    /// SHOW, DESCRIBE, EXISTS, USE, SET: no data is read.
    Describe,
    /// INSERT, also after WITH.
    Insert,
    /// Changes tables or their definition: CREATE, ALTER, DROP, DELETE, UPDATE, OPTIMIZE, TRUNCATE and the like.
    Change,
    /// Acts on the server: SYSTEM, KILL, GRANT, BACKUP and the like.
    Administer,
    /// None of these.
    #[default]
    Other,
}

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct SqlFacts {
    /// What its first statement does.
    pub kind: SqlKind,
    /// Statements. ClickHouse refuses more than one over HTTP; 0: nothing but space and comments.
    pub statements: u32,
    /// Tables that follow FROM, JOIN or INTO, as `name` or `database.name`, sorted. Table functions and names of WITH are none.
    pub tables: Vec<String>,
    /// Whether a LIMIT may end a scan early: then the rows that ClickHouse counts beforehand may be far too many.
    pub limit_trap: bool,
    /// Names in SETTINGS clauses, sorted.
    pub settings: Vec<String>,
    /// Name of the FORMAT clause.
    pub format: Option<String>,
    /// Whether the text was longer than what is looked at.
    pub is_cut: bool,
}

impl SqlFacts {
    /// Whether it only reads.
    #[must_use]
    pub const fn reads_only(&self) -> bool {
        matches!(self.kind, SqlKind::Select | SqlKind::Explain | SqlKind::Describe)
    }

    /// Whether it brings data or changes tables: what must not wait behind reads.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(self.kind, SqlKind::Insert | SqlKind::Change)
    }
}

/// What the text says. Any text says something; nothing is validated.
#[must_use]
pub fn sql_facts(text: &str) -> SqlFacts {
    let tokens = statement_tokens(cut(text));
    let first = tokens.split(|token| token.is(";")).find(|statement| !statement.is_empty()).unwrap_or_default();
    let scopes = Scopes::of(first);
    SqlFacts {
        kind: kind_of(first),
        statements: statements(&tokens),
        tables: scopes.tables,
        limit_trap: limit_trap(first),
        settings: settings_of(first),
        format: format_clause(first).and_then(|at| first[at + 1].name()).map(str::to_owned),
        is_cut: text.len() > SQL_BYTES_MAX,
    }
}

/// The tokens, without the data of an INSERT.
pub(super) fn statement_tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut inserts = false;
    let mut depth = 0_usize;
    for token in Lexer::new(text) {
        inserts |= depth == 0 && token.is("insert");
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        // What follows the name of the format is not SQL.
        let ends =
            inserts && depth == 0 && tokens.last().is_some_and(|last| last.is("format")) && token.kind == Kind::Word;
        tokens.push(token);
        if ends {
            break;
        }
    }
    tokens
}

fn statements(tokens: &[Token<'_>]) -> u32 {
    let count = tokens.split(|token| token.is(";")).filter(|statement| !statement.is_empty()).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn kind_of(statement: &[Token<'_>]) -> SqlKind {
    let Some(first) = statement.iter().find(|token| !token.is("(")) else { return SqlKind::Other };
    let kinds: [(&[&str], SqlKind); 6] = [
        (&["select", "from"], SqlKind::Select),
        (&["explain"], SqlKind::Explain),
        (&["show", "describe", "desc", "exists", "use", "set"], SqlKind::Describe),
        (&["insert"], SqlKind::Insert),
        (
            &[
                "create", "alter", "drop", "delete", "update", "optimize", "truncate", "rename", "exchange", "attach",
                "detach", "undrop", "replace", "move",
            ],
            SqlKind::Change,
        ),
        (
            &[
                "system", "kill", "grant", "revoke", "backup", "restore", "check", "watch", "begin", "commit",
                "rollback",
            ],
            SqlKind::Administer,
        ),
    ];
    let kind_named = |token: &Token<'_>| {
        kinds.iter().find(|(words, _)| token.is_any(words)).map_or(SqlKind::Other, |(_, kind)| *kind)
    };
    if !first.is("with") {
        return kind_named(first);
    }
    // `WITH … SELECT`, `WITH … INSERT`: the first of these outside the brackets of WITH.
    let mut depth = 0_i32;
    for token in statement {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ if depth <= 0 && token.is_any(&["select", "insert", "update", "delete"]) => return kind_named(token),
            _ => {}
        }
    }
    SqlKind::Select
}

fn settings_of(statement: &[Token<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, _) in statement.iter().enumerate().filter(|(_, token)| token.is("settings")) {
        let mut rest = &statement[at + 1..];
        while let [name, equals, ..] = rest {
            let Some(text) = name.name().filter(|_| equals.is_any(&["=", "=="])) else { break };
            if names.len() < SQL_SETTINGS_MAX {
                names.push(text.to_owned());
            }
            let comma = rest.iter().position(|token| token.is(","));
            rest = comma.map_or(&[], |comma| &rest[comma + 1..]);
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Where the FORMAT clause of a statement stands among its tokens; the format's name is the next one. A column or table may
/// be called `format`.
#[must_use]
pub fn format_clause(statement: &[Token<'_>]) -> Option<usize> {
    let at = statement.iter().rposition(|token| token.is("format"))?;
    statement.get(at + 1)?.name()?;
    let ends = statement.get(at + 2).is_none_or(|next| next.is_any(&["settings", ";"]));
    let is_other = statement[at + 1].is_any(&["desc", "asc", "nulls", "collate", "and", "or", "is", "final", "end"]);
    let asks = at.checked_sub(1).map(|before| statement[before]).is_none_or(|before| {
        let words =
            ["select", "from", "join", "by", "where", "and", "or", "not", "on", "as", "table", "into", "having"];
        let ends_expression = before.kind != Kind::Symbol || before.is_any(&[")", "]", "*"]);
        ends_expression && !before.is_any(&words)
    });
    (ends && asks && !is_other).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_are_told_apart() {
        for (text, kind) in [
            ("SELECT 1", SqlKind::Select),
            (" ( (select 1)) union all (select 2)", SqlKind::Select),
            ("-- INSERT\nFROM t SELECT a", SqlKind::Select),
            ("WITH x AS (SELECT 1) SELECT * FROM x", SqlKind::Select),
            ("WITH (SELECT 1) AS x INSERT INTO t SELECT x", SqlKind::Insert),
            ("WITH x AS (INSERT) SELECT 1", SqlKind::Select),
            ("insert into t values (1)", SqlKind::Insert),
            ("EXPLAIN INSERT INTO t SELECT 1", SqlKind::Explain),
            ("/* SELECT */ ALTER TABLE t DELETE WHERE 1", SqlKind::Change),
            ("KILL QUERY WHERE 1", SqlKind::Administer),
            ("SHOW TABLES", SqlKind::Describe),
            ("", SqlKind::Other),
        ] {
            assert_eq!(sql_facts(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn several_statements_are_counted() {
        let count = |text| sql_facts(text).statements;
        assert_eq!(count("SELECT ';' AS `;`; -- ;\n;"), 1);
        assert_eq!(count("SELECT 1; DROP TABLE t"), 2);
        assert_eq!(count(" /* nothing */ ;"), 0);
        assert_eq!(count("INSERT INTO t FORMAT CSV\n1;2\n3;4"), 1);
    }

    #[test]
    fn settings_and_format_are_named() {
        let facts =
            sql_facts("SELECT format FROM format ORDER BY format DESC FORMAT JSON SETTINGS max_threads = 1, b='x'");
        assert_eq!((facts.format.as_deref(), facts.settings.join(" ")), (Some("JSON"), "b max_threads".to_owned()));
        for text in
            ["SELECT a FROM format f", "SELECT a AS format", "SELECT a FROM t ORDER BY format DESC", "SELECT format x"]
        {
            assert_eq!(sql_facts(text).format, None, "{text}");
        }
    }
}
