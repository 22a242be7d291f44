//! The alerts of a book, found by what they are, by when they are due and by when their telling ends. However many there
//! are, taking one in looks at none of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Entry, Key};

type Times = BTreeSet<(Instant, Arc<Key>)>;

/// Entries with their indexes. An entry is changed by putting it again.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_key: BTreeMap<Arc<Key>, Entry>,
    due: Times,
    /// Resolved ones, by `told_until`.
    ending: Times,
    /// Those that fired before a restart and were not heard of since.
    restored: BTreeSet<Arc<Key>>,
    untold: usize,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.by_key.get(key)
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_key.values()
    }

    pub fn put(&mut self, key: Key, entry: Entry) {
        let key = self.take(&key).map_or_else(|| Arc::new(key), |(key, _)| key);
        self.put_back(key, entry);
    }

    pub fn remove(&mut self, key: &Key) -> Option<Entry> {
        self.take(key).map(|(_, entry)| entry)
    }

    /// Changes an entry; `false` when it is not there.
    pub fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) -> bool {
        let Some((key, mut entry)) = self.take(key) else { return false };
        change(&mut entry);
        self.put_back(key, entry);
        true
    }

    /// The resolved one whose telling ends first.
    pub fn first_ending(&self) -> Option<(Instant, Arc<Key>)> {
        self.ending.first().cloned()
    }

    /// Those that are due, the longest waiting first.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = (&Arc<Key>, &Entry)> {
        let due = self.due.iter().take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, key)| Some((key, self.by_key.get(key)?)))
    }

    pub fn first_due_at(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub fn restored(&self) -> Vec<Arc<Key>> {
        self.restored.iter().cloned().collect()
    }

    pub fn has_restored(&self) -> bool {
        !self.restored.is_empty()
    }

    /// How many the replica is still to be told.
    pub fn untold(&self) -> usize {
        self.untold
    }

    fn take(&mut self, key: &Key) -> Option<(Arc<Key>, Entry)> {
        let (key, entry) = self.by_key.remove_entry(key)?;
        self.due.remove(&(entry.due, Arc::clone(&key)));
        if let Some(until) = entry.told_until {
            self.ending.remove(&(until, Arc::clone(&key)));
        }
        self.restored.remove(&key);
        self.untold -= usize::from(!entry.told);
        Some((key, entry))
    }

    fn put_back(&mut self, key: Arc<Key>, entry: Entry) {
        self.due.insert((entry.due, Arc::clone(&key)));
        if let Some(until) = entry.told_until {
            self.ending.insert((until, Arc::clone(&key)));
        }
        if entry.is_restored {
            self.restored.insert(Arc::clone(&key));
        }
        self.untold += usize::from(!entry.told);
        self.by_key.insert(key, entry);
    }
}
