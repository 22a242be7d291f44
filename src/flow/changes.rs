//! Changes seen so far, newest kept: what may have caused an incident, even weeks later.

use crate::model::{Change, Timestamp};

/// Changes remembered. A platform with ten deploys a day keeps a hundred days.
pub const CHANGES_MAX: usize = 1_000;

/// Changes in time order, the oldest forgotten at the bound.
#[derive(Debug, Default)]
pub struct ChangeLog {
    changes: Vec<Change>,
}

impl ChangeLog {
    /// Remembers a change. A repeat of one already known (at-least-once delivery) is not kept twice.
    pub fn insert(&mut self, change: &Change) {
        if self.changes.contains(change) {
            return;
        }
        let sort_key = |c: &Change| (c.timestamp, c.service.clone(), c.version.clone(), c.title.clone());
        let place = self.changes.partition_point(|known| sort_key(known) <= sort_key(change));
        self.changes.insert(place, change.clone());
        if self.changes.len() > CHANGES_MAX {
            self.changes.remove(0);
        }
    }

    /// Changes up to `until`, oldest first.
    pub fn until(&self, until: Timestamp) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.timestamp <= until)
    }
}
