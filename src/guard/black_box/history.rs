//! What queries were like before: since when each pattern and version is known, and how much memory its runs took. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{Entry, Look, QueryInFlight, RunSeen};
use super::restart::is_restart;
use crate::model::{DurationMs, Text, Timestamp};

/// Patterns that are remembered; the one not seen for longest is forgotten.
pub const PATTERNS_MAX: usize = 10_000;
/// Versions of one pattern that are remembered.
const VERSIONS_MAX: usize = 16;
/// What appears this soon after the history began may be old.
const SETTLED_MS: DurationMs = 10_000;
/// A pattern or version counts as new for this long.
const NEW_MS: DurationMs = 3_600_000;
/// Runs that were told to stop and are remembered until they have gone; far more than a look lists.
const RUNS_MAX: usize = 1_000;
/// Two looks may see the beginning of one run this far apart: a look takes time.
pub(in crate::guard) const SAME_RUN_MS: DurationMs = 1_000;

/// What is known about one pattern of queries.
#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    first_at: Timestamp,
    last_at: Timestamp,
    /// Runs that were seen and then ended.
    runs_ended: u64,
    /// Most memory of such a run.
    memory_peak_bytes: u64,
    versions: Vec<(Text, Timestamp)>,
}

/// What a query has that was not there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Newness {
    /// Nothing like it was seen before.
    Fingerprint,
    /// Queries like it were, but not from this release.
    Version,
}

/// Looks, condensed.
#[derive(Debug, Clone, Default)]
pub struct History {
    began_at: Option<Timestamp>,
    patterns: BTreeMap<Text, Pattern>,
    /// Runs in flight at the last look.
    running: BTreeMap<Text, Run>,
    /// Those of them that were told to stop: how they end says nothing of what is usual.
    cut_off: BTreeSet<Text>,
}

/// A run in flight.
#[derive(Debug, Clone)]
struct Run {
    fingerprint: Text,
    memory_peak_bytes: u64,
    /// What it took more than at the look before.
    grown_bytes: u64,
    /// What it may take; 0: as much as there is.
    memory_limit_bytes: u64,
    seen: RunSeen,
}

impl Run {
    /// As `query` is now, after what it was at the look before.
    fn of(query: &QueryInFlight, at: Timestamp, before: Option<&Self>) -> Self {
        let memory_before = before.map_or(0, |before| before.memory_peak_bytes);
        Self {
            fingerprint: query.fingerprint.clone(),
            memory_peak_bytes: query.memory_peak_bytes,
            grown_bytes: query.memory_peak_bytes.saturating_sub(memory_before),
            memory_limit_bytes: query.memory_limit_bytes,
            seen: RunSeen::of(query, at),
        }
    }

    /// Whether it had come to its own limit, had it grown on as it did until the next look, which no longer saw it. How it
    /// ended no look says; of one that is left out wrongly the pattern has an example less.
    fn has_met_its_limit(&self) -> bool {
        self.memory_limit_bytes > 0
            && self.memory_peak_bytes.saturating_add(self.grown_bytes) >= self.memory_limit_bytes
    }
}

impl History {
    /// Takes in a look. `restarted`: the server started anew since the last; its runs did not end, they were cut off.
    pub fn add(&mut self, look: &Look, restarted: bool) {
        self.began_at.get_or_insert(look.at);
        let mut before = std::mem::take(&mut self.running);
        let mut ended = Vec::new();
        for query in &look.queries {
            let mut earlier = before.remove(&query.query_id);
            let seen = RunSeen::of(query, look.at);
            if let Some(run) = earlier.take_if(|run| run.seen.is_other_run(seen, SAME_RUN_MS)) {
                ended.push((query.query_id.clone(), run));
            }
            self.running.insert(query.query_id.clone(), Run::of(query, look.at, earlier.as_ref()));
            self.see(query, look.at);
        }
        ended.extend(before);
        for (id, run) in ended {
            let was_cut_off = self.cut_off.remove(&id) || restarted || run.has_met_its_limit();
            if let Some(pattern) = self.patterns.get_mut(&run.fingerprint).filter(|_| !was_cut_off) {
                pattern.runs_ended += 1;
                pattern.memory_peak_bytes = pattern.memory_peak_bytes.max(run.memory_peak_bytes);
            }
        }
        self.cut_off.extend(look.queries.iter().filter(|query| query.cancelled).map(|query| query.query_id.clone()));
        self.cut_off.retain(|id| self.running.contains_key(id));
        self.forget();
    }

    /// A run of the last look, or of the one that comes next, was told to stop: it will not have ended by itself.
    pub fn told_to_stop(&mut self, query_id: &Text) {
        if self.cut_off.len() < RUNS_MAX {
            self.cut_off.insert(query_id.clone());
        }
    }

    /// Takes in what the ring holds.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        let mut last: Option<&Look> = None;
        for entry in entries {
            match entry {
                Entry::Look(look) => {
                    history.add(look, last.is_some_and(|last| is_restart(last, look, true)));
                    last = Some(look);
                }
                Entry::Killed { query_id, .. } => history.told_to_stop(query_id),
                _ => {}
            }
        }
        history
    }

    fn see(&mut self, query: &QueryInFlight, at: Timestamp) {
        let pattern = self.patterns.entry(query.fingerprint.clone()).or_insert_with(|| Pattern {
            first_at: at,
            last_at: at,
            runs_ended: 0,
            memory_peak_bytes: 0,
            versions: Vec::new(),
        });
        pattern.last_at = at;
        let Some(version) = &query.version else { return };
        if !pattern.versions.iter().any(|(known, _)| known == version) {
            if pattern.versions.len() == VERSIONS_MAX {
                pattern.versions.remove(0);
            }
            pattern.versions.push((version.clone(), at));
        }
    }

    fn forget(&mut self) {
        // Rarely true: a tenth is forgotten at once, so that this is not a scan at each look.
        if self.patterns.len() > PATTERNS_MAX {
            let mut times: Vec<Timestamp> = self.patterns.values().map(|pattern| pattern.last_at).collect();
            times.sort_unstable();
            let oldest = times[PATTERNS_MAX / 10];
            self.patterns.retain(|_, pattern| pattern.last_at > oldest);
        }
    }

    /// Whether the query is of a new pattern, or of a new version of a known one; and how long the history was that did
    /// not have it, in milliseconds.
    #[must_use]
    pub fn newness(&self, query: &QueryInFlight, at: Timestamp) -> Option<(Newness, DurationMs)> {
        let (began_at, pattern) = (self.began_at?, self.patterns.get(&query.fingerprint)?);
        let is_new = |first_at: Timestamp| first_at.since(began_at) >= SETTLED_MS && at.since(first_at) <= NEW_MS;
        if is_new(pattern.first_at) {
            return Some((Newness::Fingerprint, pattern.first_at.since(began_at)));
        }
        let version = query.version.as_ref()?;
        let (_, first_at) = pattern.versions.iter().find(|(known, _)| known == version)?;
        let another = pattern.versions.iter().any(|(known, known_at)| known != version && known_at < first_at);
        (another && is_new(*first_at)).then(|| (Newness::Version, first_at.since(began_at)))
    }

    /// Most memory, in bytes, that earlier runs of the pattern took which ended, and not of their own limit; nothing when
    /// none did.
    #[must_use]
    pub fn usual_memory_bytes(&self, fingerprint: &str) -> Option<u64> {
        let pattern = self.patterns.get(fingerprint)?;
        (pattern.runs_ended > 0).then_some(pattern.memory_peak_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(second: i64, queries: &[(&str, i64, bool)]) -> Look {
        let query = |(id, elapsed_ms, cancelled): &(&str, i64, bool)| QueryInFlight {
            query_id: Text::from(*id),
            fingerprint: Text::from("f"),
            memory_peak_bytes: 100,
            elapsed_ms: *elapsed_ms,
            cancelled: *cancelled,
            ..QueryInFlight::default()
        };
        let at = Timestamp::from_millis(second * 1_000);
        Look { at, queries: queries.iter().map(query).collect(), ..Look::default() }
    }

    #[test]
    fn runs_that_were_told_to_stop_are_not_usual_and_an_id_that_comes_again_has_ended_before() {
        let usual = |looks: &[Look], told: bool| {
            let mut history = History::default();
            for look in looks {
                history.add(look, false);
                if told {
                    history.told_to_stop(&Text::from("a"));
                }
            }
            history.usual_memory_bytes("f")
        };
        let ended = [look(0, &[("a", 500, false)]), look(1, &[])];
        assert_eq!((usual(&ended, false), usual(&ended, true)), (Some(100), None));
        assert_eq!(usual(&[look(0, &[("a", 500, true)]), look(1, &[])], false), None);
        let killed = Entry::Killed { at: Timestamp::from_millis(1), query_id: Text::from("a") };
        let [first, gone] = ended.clone();
        let entries = [killed, Entry::Look(first), Entry::Look(gone)];
        assert_eq!(History::of(&entries).usual_memory_bytes("f"), None, "the ring says so before the look");
        assert_eq!(History::of(&entries[1..]).usual_memory_bytes("f"), Some(100));
        let again = [look(0, &[("a", 500, false)]), look(1, &[("a", 300, false)])];
        assert_eq!(usual(&again, false), Some(100));
        assert_eq!(usual(&[look(0, &[("a", 500, false)]), look(1, &[("a", 1_400, false)])], false), None);
    }
}
