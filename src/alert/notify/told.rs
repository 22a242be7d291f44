//! Which pages a receiver has been told of, so that none is told twice and who heard of a beginning hears of its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Page, PageEvent, Text};

/// Most pages remembered for one receiver. At the bound those that are over are forgotten first, then the oldest.
pub(super) const TOLD_MAX: usize = 10_000;

/// What a receiver knows of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The last revision that was taken in.
    pub revision: u32,
    /// Whether it goes on.
    pub is_open: bool,
    /// Counts what was taken in, so that the oldest can be told.
    pub order: u64,
}

/// The pages that one receiver knows.
#[derive(Debug, Default)]
pub(super) struct Told {
    pages: BTreeMap<Text, Known>,
    order: u64,
}

impl Told {
    /// Takes a page in; `false` when this revision, or a later one, is known already.
    pub fn accept(&mut self, page: &Page) -> bool {
        if self.pages.get(&page.dedup_key).is_some_and(|known| known.revision >= page.revision) {
            return false;
        }
        self.order += 1;
        let is_open = page.event != PageEvent::Resolved;
        self.insert(page.dedup_key.clone(), Known { revision: page.revision, is_open, order: self.order });
        true
    }

    /// Whether the receiver knows of this page and not of its end.
    pub fn is_open(&self, key: &str) -> bool {
        self.pages.get(key).is_some_and(|known| known.is_open)
    }

    /// Puts back what a file remembers.
    pub fn insert(&mut self, key: Text, known: Known) {
        self.order = self.order.max(known.order);
        self.pages.insert(key, known);
        if self.pages.len() > TOLD_MAX {
            let oldest = self.pages.iter().min_by_key(|(_, known)| (known.is_open, known.order));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.pages.remove(&key);
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Known)> {
        self.pages.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;

    fn page(key: &str, revision: u32, event: PageEvent) -> Page {
        Page { dedup_key: key.into(), revision, event, ..sample::page() }
    }

    #[test]
    fn a_revision_is_taken_once_and_an_older_one_never() {
        let mut told = Told::default();
        assert!(told.accept(&page("a", 1, PageEvent::Opened)) && told.is_open("a"));
        assert!(!told.accept(&page("a", 1, PageEvent::Opened)));
        assert!(told.accept(&page("a", 3, PageEvent::Resolved)) && !told.is_open("a"));
        assert!(!told.accept(&page("a", 2, PageEvent::Updated)) && !told.is_open("a"));
        assert!(told.accept(&page("a", 4, PageEvent::Opened)) && told.is_open("a"));
    }

    #[test]
    fn at_the_bound_what_is_over_is_forgotten_first() {
        let mut told = Told::default();
        for i in 0..TOLD_MAX {
            let event = if i == 7 { PageEvent::Resolved } else { PageEvent::Opened };
            told.accept(&page(&i.to_string(), 1, event));
        }
        told.accept(&page("new", 1, PageEvent::Opened));
        assert!(told.accept(&page("7", 1, PageEvent::Opened)), "forgotten");
        assert!(!told.is_open("0") && told.is_open("new") && told.iter().count() == TOLD_MAX);
    }
}
