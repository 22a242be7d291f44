//! Where heredocs end, `$tag$ … $tag$`. Found for all of a text at once: to search for each tag anew takes the square of the
//! length of a text that is made of beginnings of tags.

use std::collections::HashMap;

/// Beginnings and ends of what is a heredoc if a token begins there, in bytes, by beginning.
#[derive(Debug)]
pub(super) struct Heredocs(Vec<(usize, usize)>);

impl Heredocs {
    /// Those of `text`. A tag may be empty, and of any characters but `$`; it ends where it stands again.
    pub(super) fn of(text: &str) -> Self {
        let dollars: Vec<usize> =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'$').map(|(at, _)| at).collect();
        let tag = |of: usize| Some(&text[*dollars.get(of)?..=*dollars.get(of + 1)?]);
        let mut nearest: HashMap<&str, usize> = HashMap::new();
        let mut found = Vec::new();
        for of in (0..dollars.len()).rev() {
            // The sign that closes a tag does not begin the one that ends it.
            if let Some(later) = tag(of + 2) {
                nearest.insert(later, dollars[of + 3] + 1);
            }
            let end = tag(of).and_then(|tag| nearest.get(tag));
            found.extend(end.map(|end| (dollars[of], *end)));
        }
        found.reverse();
        Self(found)
    }

    /// Length of the heredoc that begins at `start`.
    pub(super) fn length_at(&self, start: usize) -> Option<usize> {
        let place = self.0.binary_search_by_key(&start, |(begin, _)| *begin).ok()?;
        Some(self.0[place].1 - start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn searched(rest: &str) -> Option<usize> {
        let tag = rest[1..].find('$')? + 2;
        let end = rest[tag..].find(&rest[..tag])?;
        Some(tag + end + tag)
    }

    proptest! {
        #[test]
        fn ends_are_those_that_a_search_finds(text in "[$ab é]{0,40}") {
            let heredocs = Heredocs::of(&text);
            for (start, _) in text.match_indices('$') {
                prop_assert_eq!(heredocs.length_at(start), searched(&text[start..]), "{} {}", text, start);
            }
        }
    }
}
