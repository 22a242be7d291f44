//! What a query's text says of itself: whether it writes, what it sets, how its reading can be estimated. Pure. ClickHouse parses the text; this only has to see no less than it does.

use crate::model::{normalise_sql, sql_facts, sql_fingerprint};

/// Settings that nobody but the guard gives: with one of them in its text, a query would leave its place in the queue, its
/// caps, or its traces.
const GUARDED: [&str; 7] = [
    "cancel_http_readonly_queries_on_client_close",
    "memory_overcommit_ratio_denominator",
    "memory_overcommit_ratio_denominator_for_user",
    "profile",
    "replace_running_query",
    "throw_on_unknown_workload",
    "workload",
];
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
        let words = words(text);
        let facts = sql_facts(text);
        let (writes, only_reads) = (facts.writes(), facts.reads_only());
        let settings = settings(text, &words);
        let is_guarded = |name: &str| GUARDED.contains(&name) || name.contains('\\');
        let guarded_setting = settings.iter().map(|own| &own.name).find(|name| is_guarded(name)).cloned();
        let estimate = (only_reads && !facts.limit_trap).then(|| estimate(text, &words)).flatten();
        Self { fingerprint, writes, only_reads, limit_trap: facts.limit_trap, guarded_setting, settings, estimate }
    }
}

/// Whether the text is an INSERT.
pub(super) fn is_insert(text: &str) -> bool {
    let mut at = 0;
    while at < text.len() {
        let (length, kind) = next(&text[at..]);
        if !matches!(kind, Kind::Nothing) {
            return text[at..at + length].eq_ignore_ascii_case("insert");
        }
        at += length;
    }
    false
}

/// Whether the text is an INSERT up to where its data begin.
pub(super) fn begins_data(text: &str) -> bool {
    is_insert(text) && is_data(&words(text))
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

/// The SELECT to be estimated, without its output format.
fn estimate(text: &str, words: &[Word]) -> Option<String> {
    let first = words.first()?;
    let reads_tables = words.iter().any(|word| !word.is_quoted && word.is("from"));
    if !(first.is("select") || first.is("with")) || !reads_tables {
        return None;
    }
    let end = words.iter().rev().find(|word| word.depth == 0 && !word.is_quoted && (word.is("format") || word.is(";")));
    let end = end.map_or(text.len(), |word| word.start);
    // What follows a semicolon or a format is nothing to estimate.
    let cut = text[..end].trim_end().trim_end_matches(';');
    Some(format!("EXPLAIN ESTIMATE {cut}"))
}

/// What is set in the clauses `SETTINGS a = 1, b = 'x'` of the text.
fn settings(text: &str, words: &[Word]) -> Vec<OwnSetting> {
    let mut names = Vec::new();
    let mut in_clause = false;
    for (at, word) in words.iter().enumerate() {
        if word.is("settings") && !word.is_quoted {
            in_clause = true;
        } else if let Some(equals) = words.get(at + 1).filter(|next| in_clause && next.is("=")) {
            let rest = text[equals.start + 1..].trim_start();
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | ';')).unwrap_or(rest.len());
            names.push(OwnSetting { name: word.exact.clone(), value: rest[..end].trim_matches('\'').to_owned() });
        }
    }
    names
}

fn words(text: &str) -> Vec<Word> {
    let bytes = text.as_bytes();
    let (mut words, mut at, mut depth): (Vec<Word>, usize, usize) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let (length, kind) = next(&text[at..]);
        let piece = &text[at..at + length];
        if matches!(kind, Kind::Closing) {
            depth = depth.saturating_sub(1);
        }
        let exact = match kind {
            Kind::Nothing => None,
            Kind::Quoted(quote_bytes) => piece.get(quote_bytes..length.saturating_sub(quote_bytes)),
            _ => Some(piece),
        };
        if let Some(exact) = exact {
            let is_quoted = matches!(kind, Kind::Quoted(_));
            let lower = exact.to_ascii_lowercase();
            words.push(Word { lower, exact: exact.to_owned(), is_quoted, start: at, depth });
        }
        if matches!(kind, Kind::Opening) {
            depth += 1;
        }
        at += length;
        if is_data(&words) {
            break;
        }
    }
    words
}

/// Behind `INSERT … FORMAT x` and `INSERT … VALUES` stand data.
fn is_data(words: &[Word]) -> bool {
    let is_insert = words.first().is_some_and(|word| word.is("insert"));
    let before_last = words.len().checked_sub(2).map(|at| &words[at]);
    is_insert
        && (words.last().is_some_and(|word| word.is("values") && !word.is_quoted && word.depth == 0)
            || before_last.is_some_and(|word| word.is("format") && !word.is_quoted && word.depth == 0))
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Nothing,
    Word,
    Quoted(usize),
    Opening,
    Closing,
    Sign,
}

/// Length of what stands first, at least 1, and what it is.
fn next(rest: &str) -> (usize, Kind) {
    let bytes = rest.as_bytes();
    let line = || rest.find('\n').unwrap_or(rest.len());
    match bytes[0] {
        b'-' if rest.starts_with("--") => (line(), Kind::Nothing),
        b'#' if matches!(bytes.get(1), None | Some(b' ' | b'!')) => (line(), Kind::Nothing),
        b'/' if rest.starts_with("/*") => (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), Kind::Nothing),
        b'\'' => (quoted(bytes, b'\''), Kind::Nothing),
        quote @ (b'"' | b'`') => (quoted(bytes, quote), Kind::Quoted(1)),
        b'$' => heredoc(rest).map_or((1, Kind::Sign), |length| (length, Kind::Nothing)),
        b'(' => (1, Kind::Opening),
        b')' => (1, Kind::Closing),
        b'0'..=b'9' => (rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()), Kind::Nothing),
        byte if byte.is_ascii_whitespace() => (1, Kind::Nothing),
        _ => other(rest),
    }
}

/// Typographic quotes are quotes to ClickHouse too; everything else beyond ASCII is no part of a name.
fn other(rest: &str) -> (usize, Kind) {
    let first = rest.chars().next().unwrap_or(' ');
    let up_to = |close: char| rest.find(close).map_or(rest.len(), |end| end + close.len_utf8());
    match first {
        '\u{2018}' => (up_to('\u{2019}'), Kind::Nothing),
        '\u{201c}' => (up_to('\u{201d}'), Kind::Quoted(first.len_utf8())),
        first if first.is_ascii_alphabetic() || first == '_' => {
            (rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()), Kind::Word)
        }
        first if first.is_ascii() => (1, Kind::Sign),
        first => (first.len_utf8(), Kind::Nothing),
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

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

/// `$tag$ … $tag$`, when it has an end.
fn heredoc(rest: &str) -> Option<usize> {
    let tag_length = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_length];
    if !tag[1..tag_length - 1].chars().all(is_part) {
        return None;
    }
    rest[tag_length..].find(tag).map(|end| end + 2 * tag_length)
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
        ] {
            assert!(Statement::of(text).guarded_setting.is_some(), "{text}");
        }
        for text in [
            "SELECT 'SETTINGS workload = 1'",
            "SELECT workload FROM t WHERE workload = 'x'",
            "SELECT 1 SETTINGS max_threads = 2 -- workload = 1",
            "INSERT INTO t VALUES ('SETTINGS', workload = 1)",
        ] {
            assert_eq!(Statement::of(text).guarded_setting, None, "{text}");
        }
        let own = Statement::of("SELECT (SELECT 1 SETTINGS a=1), 2 SETTINGS b = 'x',c= 10000000000").settings;
        let own: Vec<(&str, &str)> = own.iter().map(|own| (own.name.as_str(), own.value.as_str())).collect();
        assert_eq!(own, [("a", "1"), ("b", "x"), ("c", "10000000000")]);
    }

    #[test]
    fn estimates_are_asked_where_they_say_something() {
        let estimate = |text| Statement::of(text).estimate;
        assert_eq!(estimate("SELECT a FROM t FORMAT JSON").unwrap(), "EXPLAIN ESTIMATE SELECT a FROM t");
        assert_eq!(estimate("SELECT a FROM t;\n").unwrap(), "EXPLAIN ESTIMATE SELECT a FROM t");
        assert!(estimate("SELECT a, count() FROM t GROUP BY a ORDER BY 2 LIMIT 10").is_some());
        for text in ["SELECT a FROM t LIMIT 10", "SELECT 1", "INSERT INTO t SELECT a FROM t"] {
            assert_eq!(estimate(text), None, "{text}");
        }
    }

    #[test]
    fn damaged_text_is_taken_as_it_is() {
        for text in ["'", "\"", "`a", "/*", "$", "$a", "$a$", "é", "\u{2018}", "(((", ")", "SETTINGS", "SETTINGS ="] {
            let _ = Statement::of(text);
        }
    }
}
