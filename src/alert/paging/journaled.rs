//! A map that knows which of its entries have changed since they were last written down.

use std::collections::{BTreeMap, BTreeSet};

/// The map. What is not changed through it did not change.
#[derive(Debug, Clone)]
pub(super) struct Journaled<K, V> {
    entries: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

/// New values of changed entries; `None` of those that are gone.
pub(super) type Changes<K, V> = Vec<(K, Option<V>)>;

impl<K, V> Default for Journaled<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Journaled<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Counts as changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.entries.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(value)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.changed.insert(key.clone());
        self.entries.insert(key, value);
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.changed.insert(key.clone());
        Some(value)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// What has changed since the last call.
    pub fn take_changes(&mut self) -> Changes<K, V> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.clone(), self.entries.get(&key).cloned())).collect()
    }

    /// Everything, as if it had changed.
    pub fn everything(&self) -> Changes<K, V> {
        self.entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
    }

    /// Takes in what was written down.
    pub fn apply(&mut self, changes: Changes<K, V>) {
        for (key, value) in changes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }
}
