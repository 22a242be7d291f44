//! Names of the inside, looked for in public text: as whole words, whatever the case.

use std::collections::{BTreeSet, HashMap};

/// Shorter names are parts of ordinary words.
const CHARS_MIN: usize = 4;

/// Names that may not be public.
#[derive(Debug, Default)]
pub struct InsideNames {
    /// What the page's owner has made public.
    public: BTreeSet<String>,
    /// By their first word.
    names: HashMap<String, BTreeSet<String>>,
}

fn compared(name: &str) -> String {
    name.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase()
}

impl InsideNames {
    /// None yet; `public` ones never are.
    pub fn but<'a>(public: impl IntoIterator<Item = &'a str>) -> Self {
        Self { public: public.into_iter().map(compared).collect(), names: HashMap::new() }
    }

    /// One more, unless it is short or public.
    pub fn add(&mut self, name: &str) {
        let name = compared(name);
        if name.chars().count() >= CHARS_MIN && !self.public.contains(&name) {
            let first = name.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
            self.names.entry(first.to_owned()).or_default().insert(name);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names.values().map(BTreeSet::len).sum()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.names.values().flatten().map(String::as_str)
    }

    /// One that stands in `text`, with what is around it.
    pub fn found_in(&self, text: &str) -> Option<String> {
        let text = text.to_lowercase();
        let mut from = 0;
        for word in text.split(|character: char| !character.is_alphanumeric()) {
            let rest = &text[from..];
            let ends_here = |name: &str| !rest[name.len()..].starts_with(char::is_alphanumeric);
            let is_here = |name: &&String| rest.starts_with(name.as_str()) && ends_here(name);
            if let Some(name) = self.names.get(word).and_then(|names| names.iter().find(is_here)) {
                let around: String = rest.chars().take(name.chars().count() + 40).collect();
                return Some(format!("{name:?} in {around:?}"));
            }
            from += word.len();
            // The character that ends the word, if it is not the end.
            from += text[from..].chars().next().map_or(0, char::len_utf8);
        }
        None
    }
}
