//! Tokens of ClickHouse's SQL, as its own lexer cuts them (checked against 26.7 by the integration tests): nested comments,
//! `//`, `#!`, heredocs, quotes of four kinds, numbers with underscores, words that begin with a digit. Any text gives
//! tokens; damaged text is taken as it is.

use super::heredocs::Heredocs;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes of any kind.
    QuotedName,
    /// A literal text, a number or a parameter `{name:Type}`.
    Literal,
    /// Anything else: brackets, operators.
    Symbol,
}

/// A token, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// It, with its quotes.
    pub text: &'a str,
    /// Where it begins in the whole text, in bytes.
    pub start: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this symbol, or this word in any case.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        match self.kind {
            Kind::Word => self.text.eq_ignore_ascii_case(text),
            Kind::Symbol => self.text == text,
            Kind::QuotedName | Kind::Literal => false,
        }
    }

    /// Whether it is one of these words, in any case.
    #[must_use]
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// A name without its quotes. Escapes inside stay: they are the same each time.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Word => Some(self.text),
            Kind::QuotedName => {
                let mut inner = self.text.chars();
                inner.next();
                if is_closed(self.text) {
                    inner.next_back();
                }
                Some(inner.as_str())
            }
            Kind::Literal | Kind::Symbol => None,
        }
    }
}

fn is_closed(quoted: &str) -> bool {
    let mut ends = quoted.chars();
    matches!((ends.next(), ends.next_back()), (Some('"'), Some('"')) | (Some('`'), Some('`')) | (Some('“'), Some('”')))
}

/// Symbols of two characters.
const PAIRS: [&str; 11] = ["<=", ">=", "!=", "<>", "||", "::", "->", "==", "@@", "<=>", "**"];

/// The tokens of a text.
#[derive(Debug)]
pub struct Lexer<'a> {
    whole: &'a str,
    rest: &'a str,
    /// Made when the first `$` is met.
    heredocs: Option<Heredocs>,
    /// A number after a dot is a member of a tuple: `t.1`.
    after_dot: bool,
    /// So the dot itself begins no number: `t.1`, `(a, b).1`, but `[.1]`.
    after_operand: bool,
}

impl<'a> Lexer<'a> {
    /// Those of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { whole: text, rest: text, heredocs: None, after_dot: false, after_operand: false }
    }
}

impl Lexer<'_> {
    /// Length of the heredoc that stands next.
    fn heredoc_at(&mut self, start: usize) -> Option<usize> {
        if !self.rest.starts_with('$') {
            return None;
        }
        self.heredocs.get_or_insert_with(|| Heredocs::of(self.whole)).length_at(start)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let blank = blank_length(self.rest);
            self.rest = &self.rest[blank..];
            if self.rest.is_empty() {
                return None;
            }
            if blank == 0 {
                break;
            }
            self.after_operand = false;
        }
        let is_dot = self.after_operand && self.rest.starts_with('.');
        let start = self.whole.len() - self.rest.len();
        let (kind, length) = if is_dot {
            (Kind::Symbol, 1)
        } else if let Some(length) = self.heredoc_at(start) {
            (Kind::Literal, length)
        } else {
            token_at(self.rest, self.after_dot)
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.after_dot = text == ".";
        self.after_operand = kind != Kind::Symbol || text == ")" || text == "]";
        Some(Token { kind, text, start })
    }
}

/// Length of the space or comment that stands first; 0: neither.
fn blank_length(rest: &str) -> usize {
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0';
    let spaces = rest.find(|c| !is_space(c)).unwrap_or(rest.len());
    if spaces > 0 {
        return spaces;
    }
    let is_line = ["--", "//", "#!", "# "].iter().any(|start| rest.starts_with(start)) || rest == "#";
    if is_line || rest.starts_with("#\n") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") { nested_comment(rest.as_bytes()) } else { 0 }
}

/// Length of a comment that may hold others; one that is not closed holds the rest.
fn nested_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn token_at(rest: &str, after_dot: bool) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    match bytes[0] {
        quote @ b'\'' => (Kind::Literal, quoted(bytes, quote)),
        quote @ (b'"' | b'`') => (Kind::QuotedName, quoted(bytes, quote)),
        b'x' | b'X' | b'b' | b'B' if bytes.get(1) == Some(&b'\'') => (Kind::Literal, 1 + quoted(&bytes[1..], b'\'')),
        // One that begins no heredoc.
        b'$' => (Kind::Word, word(rest).max(1)),
        b'{' => match parameter(bytes) {
            Some(length) => (Kind::Literal, length),
            None => (Kind::Symbol, 1),
        },
        b'0'..=b'9' if after_dot => (Kind::Word, word(rest)),
        b'0'..=b'9' => number_or_word(rest),
        b'.' if bytes.get(1).is_some_and(u8::is_ascii_digit) => (Kind::Literal, number(bytes)),
        b if b.is_ascii_alphabetic() || b == b'_' => (Kind::Word, word(rest)),
        b if b >= 0x80 => wide(rest),
        _ => (
            Kind::Symbol,
            PAIRS.iter().filter(|pair| rest.starts_with(**pair)).map(|pair| pair.len()).max().unwrap_or(1),
        ),
    }
}

/// Beyond ASCII: typographic quotes, the minus sign, or a word.
fn wide(rest: &str) -> (Kind, usize) {
    let until = |close: char| rest.find(close).map_or(rest.len(), |end| end + close.len_utf8());
    let first = rest.chars().next().unwrap_or('_');
    match first {
        '‘' => (Kind::Literal, until('’')),
        '“' => (Kind::QuotedName, until('”')),
        '−' => (Kind::Symbol, first.len_utf8()),
        _ => (Kind::Word, word(rest).max(first.len_utf8())),
    }
}

/// Length of a quoted text with its quotes; a backslash or a doubled quote does not end it.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        let doubled = bytes[at] == quote && bytes.get(at + 1) == Some(&quote);
        if bytes[at] == quote && !doubled {
            return at + 1;
        }
        // What a backslash hides is ASCII or the first byte of a character whose others are no quotes.
        at += if bytes[at] == b'\\' || doubled { 2 } else { 1 };
    }
    bytes.len()
}

/// Length of `{name:Type}`. The type may hold texts with braces in them.
fn parameter(bytes: &[u8]) -> Option<usize> {
    let name = bytes[1..].iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b' '))?;
    if name == 0 || bytes.get(1 + name) != Some(&b':') {
        return None;
    }
    let mut at = 1 + name;
    while at < bytes.len() {
        match bytes[at] {
            b'}' => return Some(at + 1),
            b'{' => return None,
            b'\'' => at += quoted(&bytes[at..], b'\''),
            _ => at += 1,
        }
    }
    None
}

/// `1a` and `1e` are names; `1e3`, `0x1F`, `1_000` are numbers.
fn number_or_word(rest: &str) -> (Kind, usize) {
    let (number, word) = (number(rest.as_bytes()), word(rest));
    if word > number { (Kind::Word, word) } else { (Kind::Literal, number) }
}

fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize, is_digit: fn(&u8) -> bool| {
        let is_part = |byte: &&u8| is_digit(byte) || **byte == b'_';
        bytes[from.min(bytes.len())..].iter().take_while(is_part).count()
    };
    let is_hex = matches!(bytes, [b'0', b'x' | b'X', next, ..] if next.is_ascii_hexdigit());
    if !is_hex && matches!(bytes, [b'0', b'b' | b'B', b'0' | b'1', ..]) {
        return 2 + digits(2, u8::is_ascii_digit);
    }
    let is_digit = if is_hex { u8::is_ascii_hexdigit } else { u8::is_ascii_digit };
    let start = if is_hex { 2 } else { 0 };
    let mut at = start + digits(start, is_digit);
    if bytes.get(at) == Some(&b'.') {
        at += 1 + digits(at + 1, is_digit);
    }
    let exponent = if is_hex { b'p' } else { b'e' };
    if bytes.get(at).is_some_and(|byte| byte | 0x20 == exponent) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let power = digits(at + 1 + sign, u8::is_ascii_digit);
        at += if power > 0 { 1 + sign + power } else { 0 };
    }
    at
}

fn word(rest: &str) -> usize {
    let is_typographic = |c: char| matches!(c, '‘' | '’' | '“' | '”' | '−');
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || (!c.is_ascii() && !c.is_whitespace());
    rest.find(|c| !is_part(c) || is_typographic(c)).unwrap_or(rest.len())
}
