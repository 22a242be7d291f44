//! Queries that run now. One that runs long is reported again and again: it is one query, with the memory of its newest
//! report, until its end is seen or it is silent.

use rustc_hash::FxHashMap;

use super::{ClosedWindow, QueryKey, RunReport};
use crate::model::{DurationMs, Timestamp};

/// A query not reported for this long is over, seen or not; probes look every few seconds.
const RUN_SILENT_MS: DurationMs = 60_000;
/// Reports without an id are of the same run when they put its start this close together: clocks and polls jitter.
const START_TOLERANCE_MS: DurationMs = 1_500;
/// Runs followed at once; further ones are counted in `overflowed`.
const RUNS_MAX: usize = 20_000;

/// A query that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Newest report.
    pub at: Timestamp,
    /// When it began, as far as known.
    pub start: Option<Timestamp>,
    /// Newest memory, in bytes.
    pub memory_bytes: u64,
    id: Option<u64>,
}

impl Run {
    /// An id tells runs apart, else the start; without either, one run a key is seen.
    fn is(&self, report: &RunReport) -> bool {
        match (self.id, report.id, self.start, report.start) {
            (Some(id), Some(other), ..) => id == other,
            (_, _, Some(start), Some(other)) => start.since(other).abs() <= START_TOLERANCE_MS,
            _ => true,
        }
    }
}

/// All of them, by who asked what.
#[derive(Debug, Default)]
pub struct RunningQueries {
    runs: FxHashMap<QueryKey, Vec<Run>>,
    count: usize,
    overflowed: u64,
}

impl RunningQueries {
    /// Takes in a closed window.
    pub fn push(&mut self, window: &ClosedWindow) {
        for report in &window.queries.reports {
            if report.ended { self.end(report) } else { self.see(report) }
        }
        self.runs.retain(|_, runs| {
            runs.retain(|run| window.end.since(run.at) <= RUN_SILENT_MS);
            !runs.is_empty()
        });
        self.count = self.runs.values().map(Vec::len).sum();
    }

    fn see(&mut self, report: &RunReport) {
        let runs = self.runs.entry(report.key).or_default();
        // Two reports of one moment are of two runs, unless they have one id.
        let same = |run: &&mut Run| run.is(report) && (run.at < report.at || (run.id.is_some() && run.id == report.id));
        let run = Run { at: report.at, start: report.start, memory_bytes: report.memory_bytes, id: report.id };
        match runs.iter_mut().find(same) {
            Some(known) => *known = Run { start: known.start, ..run },
            None if self.count < RUNS_MAX => {
                runs.push(run);
                self.count += 1;
            }
            None => self.overflowed += 1,
        }
    }

    fn end(&mut self, report: &RunReport) {
        let Some(runs) = self.runs.get_mut(&report.key) else { return };
        if let Some(place) = runs.iter().position(|run| run.at <= report.at && run.is(report)) {
            runs.remove(place);
        }
    }

    /// The runs, in no particular order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&QueryKey, &[Run])> {
        self.runs.iter().map(|(key, runs)| (key, runs.as_slice()))
    }

    /// Runs that were not followed.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Cell, LateCounts, Name, QueryCounts};

    const KEY: QueryKey = QueryKey {
        fingerprint: Name::OTHER,
        origin: Name::ABSENT,
        version: Name::ABSENT,
        user: Name::ABSENT,
        node: Name::OTHER,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    fn report(seconds: i64, ran_s: i64, memory_bytes: u64, ended: bool) -> RunReport {
        let (at, start) = (at(seconds), at(seconds - ran_s));
        RunReport { key: KEY, id: None, start: Some(start), at, memory_bytes, ended }
    }

    fn push(running: &mut RunningQueries, end: i64, reports: Vec<RunReport>) {
        running.push(&ClosedWindow {
            start: at(end - 5),
            end: at(end),
            cells: Vec::new(),
            total: Cell::default(),
            edge_total: Cell::default(),
            signals: Vec::new(),
            hops: Vec::new(),
            latencies: Vec::new(),
            call_latencies: Vec::new(),
            exemplars: Vec::new(),
            queries: QueryCounts { reports, ..QueryCounts::default() },
            late: LateCounts::default(),
        });
    }

    fn memory(running: &RunningQueries) -> Vec<u64> {
        running.iter().flat_map(|(_, runs)| runs.iter().map(|run| run.memory_bytes)).collect()
    }

    #[test]
    fn a_query_reported_again_is_one_until_it_ends_or_is_silent() {
        let mut running = RunningQueries::default();
        push(&mut running, 5, vec![report(2, 1, 10, false), report(2, 30, 500, false), report(4, 3, 20, false)]);
        assert_eq!(memory(&running), [20, 500]);
        push(&mut running, 10, vec![report(9, 8, 40, true)]);
        assert_eq!(memory(&running), [500]);
        push(&mut running, 65, Vec::new());
        assert!(memory(&running).is_empty(), "silent since second 2");
    }
}
