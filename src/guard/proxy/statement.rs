//! What a query's text says of itself: whether it writes, what it sets, how its reading can be estimated. Pure. ClickHouse parses the text; this only has to see no less than it does.

use super::estimate_text::estimate_of;
use crate::guard::gate;
use crate::guard::policy::guarded_settings;
use crate::model::{SqlLexer, SqlTokenKind, normalise_sql, sql_facts, sql_fingerprint};

/// Settings that nobody but the guard gives, beside those of the policy that no class caps: with one of them in its text, a
/// query would leave its place in the queue, its caps, or its traces, or be read in another language than here.
const GUARDED: [&str; 6] = [
    "cancel_http_readonly_queries_on_client_close",
    "dialect",
    "implicit_select",
    "profile",
    "replace_running_query",
    "throw_on_unknown_workload",
];

/// Settings that a client may give neither in its text nor in the URL. A class's caps are not among them, as it may be
/// stricter with itself; nor is `readonly`, which ClickHouse lets nobody loosen.
pub(super) fn guarded() -> impl Iterator<Item = &'static str> {
    let of_policy = guarded_settings().filter(|name| *name != "readonly" && !gate::SETTINGS.contains(name));
    GUARDED.into_iter().chain(of_policy)
}

fn is_guarded(name: &str) -> bool {
    guarded().any(|guarded| guarded == name)
}

/// A name with an escape in it is some other name for ClickHouse.
fn is_refused(name: &str) -> bool {
    is_guarded(name) || name.contains('\\')
}

/// A setting in a query's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnSetting {
    /// Its name.
    pub(super) name: String,
    /// Its value as it is written, without quotes.
    pub(super) value: String,
}

/// A query's text, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Statement {
    /// Name of the normalised text.
    pub(super) fingerprint: String,
    /// Whether it brings data or changes tables.
    pub(super) writes: bool,
    /// Whether it does nothing but read.
    pub(super) only_reads: bool,
    /// Whether a LIMIT may end its reading early.
    pub(super) limit_trap: bool,
    /// A setting in its text that only the guard sets.
    pub(super) guarded_setting: Option<String>,
    /// All settings in its text.
    pub(super) settings: Vec<OwnSetting>,
    /// What to ask for its estimate; absent when an estimate says nothing, as of a LIMIT that stops the reading early.
    pub(super) estimate: Option<String>,
}

impl Statement {
    /// Looks at a text. `text` may be the beginning of an INSERT whose data follow.
    pub(super) fn of(text: &str) -> Self {
        let normal = normalise_sql(text);
        let fingerprint = sql_fingerprint(&normal).to_string();
        let (words, _) = words(text);
        let facts = sql_facts(text);
        let (writes, only_reads) = (facts.writes(), facts.reads_only());
        let settings = settings(text, &words);
        let guarded_setting = settings.iter().map(|own| &own.name).find(|name| is_refused(name)).cloned();
        let estimate = (only_reads && !facts.limit_trap).then(|| estimate_of(text, &settings)).flatten();
        Self { fingerprint, writes, only_reads, limit_trap: facts.limit_trap, guarded_setting, settings, estimate }
    }
}

/// Whether the text is an INSERT.
pub(super) fn is_insert(text: &str) -> bool {
    SqlLexer::new(text).next().is_some_and(|first| first.is("insert"))
}

/// Whether the text is an INSERT up to where its data begin.
pub(super) fn begins_data(text: &str) -> bool {
    is_insert(text) && words(text).1
}

/// A word, a quoted name, or a sign of the text; strings, numbers and comments are left out.
#[derive(Debug)]
struct Word {
    lower: String,
    exact: String,
    is_quoted: bool,
    start: usize,
    depth: usize,
}

impl Word {
    fn is(&self, lower: &str) -> bool {
        self.lower == lower
    }
}

/// Whether a text sets something that holds a statement to limits, wherever that stands.
pub(super) fn sets_limits(text: &str) -> bool {
    let is_limit = |name: &str| gate::SETTINGS.contains(&name) || name == "readonly" || is_refused(name);
    settings(text, &words(text).0).iter().any(|own| is_limit(&own.name))
}

/// What is set in the clauses `SETTINGS a = 1, b = 'x'` of the text, and by a statement `SET a = 1`.
fn settings(text: &str, words: &[Word]) -> Vec<OwnSetting> {
    let mut settings = Vec::new();
    let mut in_clause = false;
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &words[before]);
        let is_first = before.is_none_or(|before| before.is(";"));
        if !word.is_quoted && (word.is("settings") || (is_first && word.is("set"))) {
            in_clause = true;
        }
        // ClickHouse takes `==` for `=`.
        let next = words.get(at + 1);
        let begins_item = before.is_some_and(|before| before.is(",") || before.is("settings") || before.is("set"));
        if let Some(equals) = next.filter(|next| in_clause && (next.is("=") || next.is("=="))) {
            let value = value_at(&text[equals.start + equals.exact.len()..]);
            settings.push(OwnSetting { name: word.exact.clone(), value });
        } else if in_clause && begins_item && is_guarded(&word.exact) {
            // A name alone switches the setting on.
            settings.push(OwnSetting { name: word.exact.clone(), value: "1".to_owned() });
        }
    }
    settings
}

/// The value that stands first, without its quotes. Of what is more than one token the first, which is no number.
fn value_at(rest: &str) -> String {
    let first = SqlLexer::new(rest).next().map_or("", |first| first.text);
    let is_quoted = first.len() > 1 && first.starts_with('\'') && first.ends_with('\'');
    if is_quoted { first[1..first.len() - 1].to_owned() } else { first.to_owned() }
}

/// The words, up to where an INSERT's data begin, and whether they begin.
fn words(text: &str) -> (Vec<Word>, bool) {
    let (mut words, mut depth): (Vec<Word>, usize) = (Vec::new(), 0);
    let (mut reads, mut takes_input) = (false, false);
    for token in SqlLexer::new(text) {
        if token.is(")") {
            depth = depth.saturating_sub(1);
        }
        let exact = match token.kind {
            SqlTokenKind::Literal => None,
            SqlTokenKind::QuotedName => token.name(),
            SqlTokenKind::Word | SqlTokenKind::Symbol => Some(token.text),
        };
        if let Some(exact) = exact {
            let is_quoted = token.kind == SqlTokenKind::QuotedName;
            let lower = exact.to_ascii_lowercase();
            words.push(Word { lower, exact: exact.to_owned(), is_quoted, start: token.start, depth });
            // Rows of a SELECT are no data, unless it takes them from the body by `input(…)`.
            reads |= depth == 0 && token.is_any(&["select", "with", "from"]);
            takes_input |= token.is("input");
        }
        if token.is("(") {
            depth += 1;
        }
        if (!reads || takes_input) && is_data(&words) {
            return (words, true);
        }
    }
    (words, false)
}

/// Behind `INSERT … FORMAT x` and `INSERT … VALUES` stand data.
fn is_data(words: &[Word]) -> bool {
    let is_insert = words.first().is_some_and(|word| word.is("insert"));
    // Behind these a name stands: the table may be called `values`.
    let is_name = |before: &Word| ["into", "table", "function", "."].iter().any(|word| before.is(word));
    let is_keyword = |from_end: usize, lower: &str| {
        let Some(at) = words.len().checked_sub(from_end) else { return false };
        let word = &words[at];
        let is_name = at.checked_sub(1).is_some_and(|before| is_name(&words[before]));
        word.is(lower) && !word.is_quoted && word.depth == 0 && !is_name
    };
    is_insert && (is_keyword(1, "values") || is_keyword(2, "format"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_setting_is_found_behind_every_quote_and_comment() {
        for text in [
            "SELECT 1 SETTINGS workload = 'x'",
            "SELECT 1 settings max_threads=1, `workload`='x'",
            "SELECT 1 SETTINGS/**/\"workload\" /* = */ = 'x'",
            "SELECT $$ ' $$, 1 SETTINGS workload='x'",
            "SELECT \u{2018}'\u{2019} SETTINGS workload='x'",
            "SELECT (SELECT 1 SETTINGS workload='x')",
            "SELECT 1 SETTINGS `work\\x6coad` = 'x'",
            "INSERT INTO t SETTINGS workload='x' VALUES (1)",
            "SELECT 'it''s' -- '\n SETTINGS profile='x'",
            "SELECT uniqExact(x) FROM t // '\n SETTINGS max_memory_usage=0, workload='free' // '",
            "SELECT 1 /* /* */ ' */ SETTINGS workload='free' -- '",
            "SELECT 1 SETTINGS workload == 'x'",
            "SET workload = 'x'",
            "SELECT 1 SETTINGS max_untracked_memory = 1000000000000",
            "SELECT 1 SETTINGS timeout_overflow_mode_leaf = 'break'",
            "SELECT 1 AS a$b$ SETTINGS workload='free', log_comment='$b$'",
            "SELECT $ ' \" $ x $ ' \" $ SETTINGS workload='free'",
            "SELECT 1 SETTINGS replace_running_query",
            "SET max_threads = 1, replace_running_query",
            "INSERT INTO t SELECT 1 AS values FROM x SETTINGS workload='free'",
            "INSERT INTO t SELECT 1 AS format, 2 FROM x SETTINGS workload='free'",
            "INSERT INTO t FROM x AS values SELECT 1 SETTINGS workload='free'",
            "INSERT INTO values SELECT 1 SETTINGS workload='free'",
            "INSERT INTO d.format SELECT 1 SETTINGS workload='free'",
            "/* /* */ */ SET max_threads = 1, memory_overcommit_ratio_denominator = 1",
        ] {
            assert!(Statement::of(text).guarded_setting.is_some(), "{text}");
        }
        for text in [
            "SELECT 'SETTINGS workload = 1'",
            "SELECT workload FROM t WHERE workload = 'x'",
            "SELECT 1 SETTINGS max_threads = 2 -- workload = 1",
            "INSERT INTO t VALUES ('SETTINGS', workload = 1)",
            "ALTER TABLE t UPDATE set = 1, workload = 'x' WHERE 1",
        ] {
            assert_eq!(Statement::of(text).guarded_setting, None, "{text}");
        }
        let own = Statement::of("SELECT (SELECT 1 SETTINGS a=1), 2 SETTINGS b = 'x',c= 10000000000").settings;
        let own: Vec<(&str, &str)> = own.iter().map(|own| (own.name.as_str(), own.value.as_str())).collect();
        assert_eq!(own, [("a", "1"), ("b", "x"), ("c", "10000000000")]);
    }

    #[test]
    fn an_insert_is_seen_behind_every_comment() {
        for text in [
            "// x\nINSERT INTO t VALUES",
            "/* /* */ ' */ insert into t FORMAT CSV 1",
            "INSERT INTO t SELECT a FROM input('a Int8') FORMAT CSV",
            "#!a\nINSERT INTO t VALUES (",
        ] {
            assert!(is_insert(text) && begins_data(text), "{text}");
        }
        assert!(!is_insert("`insert` 1") && !is_insert("/* /* */ INSERT INTO t VALUES */ SELECT 1"));
    }

    #[test]
    fn values_are_the_tokens_behind_the_sign() {
        let own = Statement::of("SELECT 1 SETTINGS a = /* 1 */ 0, b = '' , c = 'x, y', d =\n-1").settings;
        let own: Vec<(&str, &str)> = own.iter().map(|own| (own.name.as_str(), own.value.as_str())).collect();
        assert_eq!(own, [("a", "0"), ("b", ""), ("c", "x, y"), ("d", "-")]);
    }

    #[test]
    fn damaged_text_is_taken_as_it_is() {
        for text in ["'", "\"", "`a", "/*", "$", "$a", "$a$", "é", "\u{2018}", "(((", ")", "SETTINGS", "SETTINGS ="] {
            let _ = Statement::of(text);
        }
    }
}
