//! A map with a bound: what has not been used for longest is forgotten first, and counted.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The map. Looking at an entry with `get` does not count as use; `get_or_insert` and `insert` do.
#[derive(Debug, Clone)]
pub(super) struct Recent<K, V> {
    entries: HashMap<K, (u64, V), rustc_hash::FxBuildHasher>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
    entries_max: usize,
    forgotten: u64,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::default(), by_use: BTreeMap::new(), uses: 0, entries_max, forgotten: 0 }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn get_or_insert(&mut self, key: &K, new: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(key) && self.entries.len() >= self.entries_max {
            self.forget_oldest();
        }
        self.uses += 1;
        let now = self.uses;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| (now, new()));
        self.by_use.remove(&entry.0);
        entry.0 = now;
        self.by_use.insert(now, key.clone());
        &mut entry.1
    }

    pub(super) fn insert(&mut self, key: &K, value: V) {
        let mut value = Some(value);
        let kept = self.get_or_insert(key, || value.take().expect("called once, before anything took it"));
        if let Some(value) = value {
            *kept = value;
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (used, value) = self.entries.remove(key)?;
        self.by_use.remove(&used);
        Some(value)
    }

    /// Entries, least recently used first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.by_use.values().filter_map(|key| self.get(key).map(|value| (key, value)))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries that were forgotten at the bound.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.by_use.pop_first() {
            self.entries.remove(&key);
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let mut recent: Recent<&str, u32> = Recent::new(2);
        recent.insert(&"a", 1);
        recent.insert(&"b", 2);
        *recent.get_or_insert(&"a", || 0) += 10;
        recent.insert(&"c", 3);
        assert_eq!(recent.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(), [("a", 11), ("c", 3)]);
        assert_eq!((recent.len(), recent.forgotten()), (2, 1));
        assert_eq!(recent.remove(&"a"), Some(11));
        recent.insert(&"c", 4);
        assert_eq!(recent.iter().count(), 1);
    }
}
