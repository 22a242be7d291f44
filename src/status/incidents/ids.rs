//! Identities of what is public: nothing of the inside is in them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::Timestamp;

/// Characters of an identity: 60 bits.
const LENGTH: usize = 12;
/// Digits and letters that are not taken for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Gives identities: the same for the same things in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::status) struct Ids(u64);

impl Ids {
    /// The next one.
    pub(in crate::status) fn next(&mut self, kind: &str, at: Timestamp) -> String {
        self.0 += 1;
        let hash = Sha256::digest(format!("{kind}\0{}\0{}", at.as_millis(), self.0));
        hash.iter().take(LENGTH).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_the_same_for_the_same_history_and_else_differ() {
        let at = Timestamp::from_millis;
        let (mut one, mut other) = (Ids::default(), Ids::default());
        let first = one.next("incident", at(5));
        assert_eq!(first, other.next("incident", at(5)));
        assert_ne!(first, one.next("incident", at(5)));
        assert!(first.len() == LENGTH && first.bytes().all(|byte| ALPHABET.contains(&byte)), "{first}");
    }
}
