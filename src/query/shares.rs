//! How much of the desk one token may take: it never takes the places of all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::QueryError;

/// What each token has taken. A token that has taken nothing is not kept, and those who ask have a bound together.
#[derive(Debug)]
pub(super) struct Shares {
    taken: Mutex<HashMap<Arc<str>, u32>>,
    of_one_max: u32,
    /// What is counted, for words.
    what: &'static str,
}

/// A part of what its token may take; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    token: Arc<str>,
}

impl Shares {
    pub(super) fn new(what: &'static str, of_one_max: u32) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), of_one_max, what })
    }

    /// One more for `token`.
    ///
    /// # Errors
    /// [`QueryError::Busy`]: it has as many as it may.
    pub(super) fn take(self: &Arc<Self>, token: &Arc<str>) -> Result<Share, QueryError> {
        let mut taken = self.lock();
        let of_one = taken.get(token).copied().unwrap_or(0);
        if of_one >= self.of_one_max {
            let (most, what) = (self.of_one_max, self.what);
            return Err(QueryError::Busy(format!("{most} {what} of this token run already, which is the most")));
        }
        taken.insert(Arc::clone(token), of_one + 1);
        Ok(Share { shares: Arc::clone(self), token: Arc::clone(token) })
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        match taken.get_mut(&self.token) {
            Some(of_one) if *of_one > 1 => *of_one -= 1,
            _ => drop(taken.remove(&self.token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_has_its_share_leaves_others_theirs_and_gets_it_again() {
        let shares = Shares::new("questions", 2);
        let (one, other): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut held = vec![shares.take(&one).unwrap(), shares.take(&one).unwrap()];
        let refusal = shares.take(&one).unwrap_err();
        assert_eq!(refusal.to_string(), "2 questions of this token run already, which is the most");
        held.push(shares.take(&other).unwrap());
        held.remove(0);
        held.push(shares.take(&one).unwrap());
        assert!(shares.take(&one).is_err());
        held.clear();
        assert!(shares.lock().is_empty(), "who has nothing is not kept");
    }
}
