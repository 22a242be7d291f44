//! Which request keys were seen lately: a repeat of a key is a resend even without an attempt number.

use rustc_hash::FxHashMap;

use super::window::{ATTEMPTS_COMPLIANT_MAX, Cell, CellKey, KeySighting};
use crate::model::{DurationMs, Timestamp};

/// A key is remembered for one to two generations. Clients that wait longer than this between attempts flood nobody.
const GENERATION_MS: DurationMs = 150_000;

/// Key hashes with how often each was seen, in two generations of at most `max` keys together.
#[derive(Debug)]
pub struct RequestKeys {
    young: FxHashMap<u64, u32>,
    old: FxHashMap<u64, u32>,
    young_since: Option<Timestamp>,
    max: usize,
    overflowed: u64,
}

impl RequestKeys {
    /// Room for `max` keys.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), young_since: None, max, overflowed: 0 }
    }

    /// Counts the resends among `sightings` of the window starting at `start` into `cells`.
    ///
    /// Sightings are put into time order first, so their order of arrival does not matter.
    pub fn count_resends(
        &mut self,
        start: Timestamp,
        sightings: &mut [KeySighting],
        cells: &mut FxHashMap<CellKey, Cell>,
    ) {
        self.rotate(start);
        sightings.sort_unstable_by_key(|sighting| (sighting.hash, sighting.timestamp));
        for sighting in sightings {
            let seen = self.record(sighting.hash);
            if let Some(cell) = cells.get_mut(&sighting.cell) {
                cell.resends += u64::from(seen > 1);
                cell.resends_beyond_budget += u64::from(seen > ATTEMPTS_COMPLIANT_MAX);
            }
        }
    }

    /// Keys that could not be remembered.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn rotate(&mut self, start: Timestamp) {
        let since = *self.young_since.get_or_insert(start);
        let age_ms = start.since(since);
        if age_ms < GENERATION_MS {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if age_ms >= 2 * GENERATION_MS {
            self.old.clear();
        }
        self.young_since = Some(start);
    }

    /// How often the key has been seen, this time included.
    fn record(&mut self, hash: u64) -> u32 {
        if let Some(count) = self.young.get_mut(&hash) {
            *count = count.saturating_add(1);
            return *count;
        }
        let count = self.old.remove(&hash).unwrap_or(0).saturating_add(1);
        if self.young.len() + self.old.len() < self.max {
            self.young.insert(hash, count);
        } else {
            self.overflowed += 1;
        }
        count
    }
}
