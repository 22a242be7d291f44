//! Interned strings: subscriptions, versions, routes … become small numbers, with a bound.

use rustc_hash::FxHashMap;

use crate::model::Text;

/// A string seen before. Numbers depend on arrival order and must never decide an output: sort by the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u32);

impl Name {
    /// The field was absent.
    pub const ABSENT: Self = Self(0);
    /// The bound on distinct strings was reached.
    pub const OTHER: Self = Self(1);

    /// Whether the field was absent.
    #[must_use]
    pub fn is_absent(self) -> bool {
        self == Self::ABSENT
    }
}

/// The strings, at most `max` of them; further ones are [`Name::OTHER`], and counted.
#[derive(Debug)]
pub struct Names {
    by_text: FxHashMap<Text, Name>,
    texts: Vec<Text>,
    max: usize,
    overflowed: u64,
}

impl Names {
    /// No strings yet, room for `max`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            by_text: FxHashMap::default(),
            texts: vec![Text::const_new(""), Text::const_new("(other)")],
            max,
            overflowed: 0,
        }
    }

    /// The name of `text`.
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.by_text.get(text) {
            return *name;
        }
        let next = u32::try_from(self.texts.len()).ok().filter(|_| self.by_text.len() < self.max);
        let Some(next) = next else {
            self.overflowed += 1;
            return Name::OTHER;
        };
        let name = Name(next);
        self.texts.push(Text::from(text));
        self.by_text.insert(Text::from(text), name);
        name
    }

    /// The name of an optional field.
    pub fn intern_optional(&mut self, text: Option<&Text>) -> Name {
        text.map_or(Name::ABSENT, |text| self.intern(text))
    }

    /// The name of a string that was seen before.
    #[must_use]
    pub fn known(&self, text: &str) -> Option<Name> {
        self.by_text.get(text).copied()
    }

    /// The string behind a name; empty for an absent field.
    #[must_use]
    pub fn text(&self, name: Name) -> &Text {
        // Names are only made by `intern`, so the index is in range; the fallback keeps a foreign name harmless.
        self.texts.get(name.0 as usize).unwrap_or(&self.texts[1])
    }

    /// How many look-ups fell to [`Name::OTHER`].
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_bound_new_strings_share_one_name_and_old_ones_keep_theirs() {
        let mut names = Names::new(2);
        let a = names.intern("a");
        names.intern("b");
        assert_eq!(names.intern("c"), Name::OTHER);
        assert_eq!(names.intern("a"), a);
        assert_eq!(names.overflowed(), 1);
        assert_eq!(names.text(Name::OTHER), "(other)");
    }
}
