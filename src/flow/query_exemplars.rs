//! Single runs of queries kept as examples: a bounded sample of each window that does not depend on the order of arrival.
//!
//! Of every combination the run that took the most memory, and of all combinations those that took the most.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::QueryKey;
use crate::model::{QueryRun, QueryState, Text, Timestamp};

/// Examples kept of one window; of further combinations none is.
pub const QUERY_EXEMPLARS_MAX: usize = 256;

/// A run that stands for its combination.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryExemplar {
    /// Where it was counted.
    pub key: QueryKey,
    /// Its id in `system.query_log` and `system.processes`.
    pub query_id: Text,
    /// End, or the moment of observation while running.
    pub timestamp: Timestamp,
    /// How it ended, if it has.
    pub state: Option<QueryState>,
    /// Peak memory.
    pub memory_bytes: u64,
    /// Run time so far, in milliseconds.
    pub duration_ms: Option<f64>,
    /// ClickHouse exception code.
    pub exception_code: Option<i32>,
}

impl QueryExemplar {
    /// The order in which runs are kept and told: more memory first, of the same the later report.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Ordering {
        let rest = |run: &Self| (run.state, run.duration_ms.map(f64::to_bits), run.exception_code);
        (other.memory_bytes, other.timestamp)
            .cmp(&(self.memory_bytes, self.timestamp))
            .then_with(|| self.query_id.cmp(&other.query_id))
            .then_with(|| rest(self).cmp(&rest(other)))
    }
}

/// The examples of a window that is open.
#[derive(Debug, Clone, Default)]
pub struct QueryExemplars {
    kept: FxHashMap<QueryKey, QueryExemplar>,
    /// Nothing that comes at or behind this one is among the first any more.
    bound: Option<QueryExemplar>,
}

impl QueryExemplars {
    /// Looks at a run. One without an id, or whose memory is not known, is no example.
    pub fn add(&mut self, run: &QueryRun, key: QueryKey) {
        let (Some(query_id), Some(memory_bytes)) = (run.attributes.get("query_id"), run.memory_bytes) else { return };
        // What most runs end at, before anything is copied.
        let heaviest = self.kept.get(&key).map_or(0, |kept| kept.memory_bytes);
        if memory_bytes < heaviest || self.bound.as_ref().is_some_and(|bound| memory_bytes < bound.memory_bytes) {
            return;
        }
        let exemplar = QueryExemplar {
            key,
            query_id: query_id.into(),
            timestamp: run.timestamp,
            state: run.state,
            memory_bytes,
            duration_ms: run.duration_ms,
            exception_code: run.exception_code,
        };
        if self.bound.as_ref().is_some_and(|bound| exemplar.rank(bound).is_ge()) {
            return;
        }
        match self.kept.entry(key) {
            Entry::Occupied(mut kept) if exemplar.rank(kept.get()).is_lt() => drop(kept.insert(exemplar)),
            Entry::Occupied(_) => {}
            Entry::Vacant(vacant) => drop(vacant.insert(exemplar)),
        }
        // Seldom, so that a run costs no search.
        if self.kept.len() >= 2 * QUERY_EXEMPLARS_MAX {
            let first = self.take_first();
            self.bound = first.last().cloned();
            self.kept = first.into_iter().map(|exemplar| (exemplar.key, exemplar)).collect();
        }
    }

    fn take_first(&mut self) -> Vec<QueryExemplar> {
        let mut all: Vec<QueryExemplar> = std::mem::take(&mut self.kept).into_values().collect();
        all.sort_unstable_by(QueryExemplar::rank);
        all.truncate(QUERY_EXEMPLARS_MAX);
        all
    }

    /// Ends the window: at most [`QUERY_EXEMPLARS_MAX`], the one with the most memory first.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<QueryExemplar> {
        self.take_first()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::Names;
    use crate::model::Attributes;

    fn run(number: u32, fingerprint: u32, memory_bytes: u64) -> QueryRun {
        let mut attributes = Attributes::default();
        attributes.insert("query_id", &format!("q-{number}"));
        QueryRun {
            timestamp: Timestamp::from_millis(i64::from(number)),
            node: "ch-1".into(),
            query: None,
            fingerprint: Some(format!("f-{fingerprint}").into()),
            user: None,
            origin: None,
            version: None,
            subscription: None,
            state: Some(QueryState::Finished),
            duration_ms: Some(5.0),
            memory_bytes: Some(memory_bytes),
            read_rows: None,
            read_bytes: None,
            exception_code: None,
            attributes,
        }
    }

    fn sampled(runs: &[QueryRun]) -> Vec<(Text, u64)> {
        let (mut names, mut exemplars) = (Names::new(10_000), QueryExemplars::default());
        for run in runs {
            let fingerprint = names.intern(run.fingerprint.as_ref().unwrap());
            let absent = crate::flow::Name::ABSENT;
            let key = QueryKey { fingerprint, origin: absent, version: absent, user: absent, node: absent };
            exemplars.add(run, key);
        }
        exemplars.into_sorted().into_iter().map(|exemplar| (exemplar.query_id, exemplar.memory_bytes)).collect()
    }

    #[test]
    fn the_heaviest_run_of_each_query_is_kept_and_of_all_queries_the_heaviest() {
        let runs = [run(1, 7, 10), run(2, 7, 30), run(3, 7, 20), run(4, 8, 25)];
        assert_eq!(sampled(&runs), [("q-2".into(), 30), ("q-4".into(), 25)]);
        let many: Vec<QueryRun> = (0..2_000).map(|number| run(number, number, u64::from(number))).collect();
        let kept = sampled(&many);
        assert_eq!(kept.len(), QUERY_EXEMPLARS_MAX);
        assert_eq!((kept[0].1, kept[QUERY_EXEMPLARS_MAX - 1].1), (1_999, 2_000 - QUERY_EXEMPLARS_MAX as u64));
    }

    #[test]
    fn a_run_without_an_id_or_without_memory_is_no_example() {
        let nameless = QueryRun { attributes: Attributes::default(), ..run(1, 1, 5) };
        let unmeasured = QueryRun { memory_bytes: None, ..run(2, 2, 5) };
        assert_eq!(sampled(&[nameless, unmeasured]), []);
    }

    proptest! {
        #[test]
        fn the_sample_does_not_depend_on_the_order_of_arrival(
            runs in prop::collection::vec((0..900_u32, 0..50_u64), 0..2_000),
            seed in any::<u64>(),
        ) {
            let runs: Vec<QueryRun> =
                runs.iter().zip(0..).map(|((fingerprint, memory), number)| run(number, *fingerprint, *memory)).collect();
            let mut other = runs.clone();
            let place = |run: &QueryRun| {
                (u64::try_from(run.timestamp.as_millis()).unwrap_or(0) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            other.sort_by_key(place);
            prop_assert_eq!(sampled(&runs), sampled(&other));
        }
    }
}
