//! Which request keys were seen lately: a repeat of a key that was not served is a resend even without an attempt number.
//!
//! Some clients use one key for everything they ask for in a day. At the edge, a key that comes again after it was served
//! is a new request, and one that does so again and again names no request at all. Between services a repeated key says
//! that the same is asked for again, whatever became of it.

use rustc_hash::FxHashMap;

use super::window::{ATTEMPTS_COMPLIANT_MAX, Cell, CellKey, KeySighting};
use crate::model::{DurationMs, Timestamp};

/// A key is remembered for one to two generations. Clients that wait longer than this between attempts flood nobody.
const GENERATION_MS: DurationMs = 150_000;

/// A key that came again after it was served so often is no identity of a request: the client chose a bad one.
const REUSED_MIN: u16 = 2;

/// What is known of a key.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Attempts since it was served last.
    attempts: u16,
    /// How often it was served, and came again.
    reused: u16,
    served: bool,
}

impl Seen {
    fn again(&mut self, served: bool) {
        self.reused = self.reused.saturating_add(u16::from(self.served));
        self.attempts = if self.served { 1 } else { self.attempts.saturating_add(1) };
        self.served = served;
    }
}

/// Key hashes with what became of each, in two generations of at most `max` keys together.
#[derive(Debug)]
pub struct RequestKeys {
    young: FxHashMap<u64, Seen>,
    old: FxHashMap<u64, Seen>,
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
        sightings.sort_unstable_by_key(|sighting| (sighting.hash, sighting.timestamp, sighting.served));
        for sighting in sightings {
            let (again, seen) = self.record(sighting);
            if let Some(cell) = cells.get_mut(&sighting.cell) {
                let repeats = seen.reused < REUSED_MIN && seen.attempts > 1;
                let asked_again = again && !sighting.cell.caller.is_absent();
                cell.resends += u64::from(repeats || asked_again);
                let beyond = u32::from(seen.attempts) > ATTEMPTS_COMPLIANT_MAX;
                cell.resends_beyond_budget += u64::from(repeats && beyond);
            }
        }
    }

    /// Keys that could not be remembered.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Generations begin at fixed times, whatever was seen when: who sees a part of the log forgets when all others do.
    fn rotate(&mut self, start: Timestamp) {
        let start = start.window_start(GENERATION_MS);
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

    /// Whether the key was seen before, and what is known of it now.
    fn record(&mut self, sighting: &KeySighting) -> (bool, Seen) {
        if let Some(seen) = self.young.get_mut(&sighting.hash) {
            seen.again(sighting.served);
            return (true, *seen);
        }
        let old = self.old.remove(&sighting.hash);
        let mut seen = old.unwrap_or_default();
        seen.again(sighting.served);
        if self.young.len() + self.old.len() < self.max {
            self.young.insert(sighting.hash, seen);
        } else {
            self.overflowed += 1;
        }
        (old.is_some(), seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Name;

    /// Resends, and of these those beyond the third attempt, of one key that is answered so, a second each.
    fn counted(caller: Name, served: &[bool]) -> (u64, u64) {
        let key = CellKey { caller, ..CellKey::OTHER };
        let mut cells = FxHashMap::from_iter([(key, Cell::default())]);
        let mut keys = RequestKeys::new(10);
        for (second, served) in (0..).zip(served) {
            let timestamp = Timestamp::from_millis(second * 1_000);
            let mut sightings = [KeySighting { hash: 1, timestamp, served: *served, cell: key }];
            keys.count_resends(timestamp, &mut sightings, &mut cells);
        }
        (cells[&key].resends, cells[&key].resends_beyond_budget)
    }

    #[test]
    fn a_key_is_repeated_until_it_is_served() {
        assert_eq!(counted(Name::ABSENT, &[false, false, false, false, true]), (4, 2));
        assert_eq!(counted(Name::ABSENT, &[true; 9]), (0, 0));
        assert_eq!(counted(Name::ABSENT, &[false, true, false, false]), (2, 0), "one reuse may be an accident");
    }

    #[test]
    fn a_key_used_for_everything_tells_nothing_even_in_an_outage() {
        let day = [[true; 5].as_slice(), &[false; 50]].concat();
        assert_eq!(counted(Name::ABSENT, &day), (0, 0));
    }

    #[test]
    fn between_services_the_same_asked_for_again_is_said_but_blames_no_retries() {
        assert_eq!(counted(Name::OTHER, &[true; 9]), (8, 0));
        assert_eq!(counted(Name::OTHER, &[false; 5]), (4, 2));
    }
}
