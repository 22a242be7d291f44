//! What of a normal form may vary in length: signs, lists of literals, chains of the same alternative.

use super::keywords::is_keyword;

/// Words at which a chain of alternatives begins anew.
const BREAKS: [&str; 31] = [
    ",",
    ";",
    "case",
    "else",
    "end",
    "except",
    "format",
    "from",
    "group",
    "having",
    "intersect",
    "join",
    "limit",
    "offset",
    "on",
    "order",
    "prewhere",
    "qualify",
    "sample",
    "select",
    "settings",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
    "?:",
    ":",
];

/// A sign before a literal belongs to it, unless there is something to take it from.
pub(super) fn without_signs(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token == "?" && kept.last().is_some_and(|last| last == "-" || last == "+") {
            let operand = kept.len().checked_sub(2).map(|i| kept[i].as_str());
            let is_operand = operand.is_some_and(|o| {
                let ends = o.bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric() || b"_)]?\"`".contains(&b));
                ends && !is_keyword(o)
            });
            if !is_operand {
                kept.pop();
            }
        }
        kept.push(token);
    }
    kept
}

/// `(?, ?, ?)` becomes `(?)`, `(?), (?)` becomes `(?)`, whatever the length of a list and the depth of its tuples.
pub(super) fn collapse_lists(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        kept.push(token);
        while collapse_last(&mut kept) {}
    }
    kept
}

fn collapse_last(kept: &mut Vec<String>) -> bool {
    let ends_with = |kept: &[String], end: &[&str]| {
        kept.len() >= end.len() && kept[kept.len() - end.len()..].iter().zip(end).all(|(a, b)| a == b)
    };
    let repeats: [(&[&str], usize); 5] = [
        (&["?", ",", "?"], 2),
        (&["(", "?", ")", ",", "(", "?", ")"], 4),
        (&["[", "?", "]", ",", "[", "?", "]"], 4),
        (&["(", "(", "?", ")", ")"], 0),
        (&["[", "(", "?", ")", "]"], 0),
    ];
    for (pattern, dropped) in repeats {
        if !ends_with(kept, pattern) {
            continue;
        }
        if dropped > 0 {
            kept.truncate(kept.len() - dropped);
        } else {
            let end = kept.split_off(kept.len() - 5);
            kept.extend([end[0].clone(), "?".to_owned(), end[4].clone()]);
        }
        return true;
    }
    false
}

/// `a = ? or a = ? or a = ?` becomes `a = ?`: alternatives that are the same but for their literals are one, as a list of
/// any length is. Different ones stay, in their order.
pub(super) fn collapse_alternatives(tokens: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tokens.len());
    let mut levels = vec![Chain::default()];
    for token in tokens {
        let ends = matches!(token.as_str(), ")" | "]" | "or") || BREAKS.contains(&token.as_str());
        if let Some(chain) = levels.last_mut().filter(|_| ends) {
            chain.close(&mut kept);
            if token != "or" || chain.current == kept.len() {
                chain.previous = None;
            }
        }
        if matches!(token.as_str(), ")" | "]") && levels.len() > 1 {
            levels.pop();
        }
        kept.push(token);
        let opens = kept.last().is_some_and(|last| last == "(" || last == "[");
        if opens {
            levels.push(Chain { previous: None, current: kept.len() });
        } else if let Some(chain) =
            levels.last_mut().filter(|_| ends && !matches!(kept.last().map(String::as_str), Some(")" | "]")))
        {
            chain.current = kept.len();
        }
    }
    while let Some(mut chain) = levels.pop() {
        chain.close(&mut kept);
    }
    kept
}

/// Alternatives at one level of brackets.
#[derive(Default)]
struct Chain {
    /// Where the alternative before the last `or` stands.
    previous: Option<(usize, usize)>,
    /// Where the one that is being read begins.
    current: usize,
}

impl Chain {
    /// The current alternative has ended: it goes, with its `or`, when it says what the one before said.
    fn close(&mut self, kept: &mut Vec<String>) {
        let current = self.current..kept.len();
        match self.previous {
            Some((from, to)) if !current.is_empty() && kept[from..to] == kept[current.clone()] => {
                kept.truncate(to);
                self.current = from;
            }
            _ => self.previous = Some((current.start, current.end)),
        }
    }
}
