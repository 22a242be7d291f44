//! Queries of one window: counts and sizes by who asked what, and what was seen running. Order-independent and bounded.

use rustc_hash::FxHashMap;

use super::query_exemplars::{QueryExemplar, QueryExemplars};
use super::{LogHistogram, Name, Names};
use crate::model::{Dimension, DurationMs, QueryRun, QueryState, Timestamp, normalise_sql, sql_fingerprint};

/// Combinations of one window; a platform has hundreds. Runs of further ones are counted in `overflowed`.
const QUERY_CELLS_MAX: usize = 20_000;
/// Reports of running queries, and ends, of one window; further ones are counted in `overflowed`.
const QUERY_REPORTS_MAX: usize = 50_000;
/// Texts remembered, to show beside a fingerprint; of further ones only the fingerprint is shown.
const QUERY_TEXTS_MAX: usize = 10_000;
/// Of a normalised text so much is shown, in characters.
const QUERY_TEXT_CHARS_MAX: usize = 200;
/// What a run held before the last minute says nothing about the last minute.
pub const HELD_MS_MAX: DurationMs = 60_000;
/// ClickHouse's MEMORY_LIMIT_EXCEEDED.
pub const MEMORY_LIMIT_EXCEEDED: i32 = 241;
/// TIMEOUT_EXCEEDED and TOO_SLOW.
const TIMEOUTS: [i32; 2] = [159, 160];

/// What runs of queries are counted by. Absent fields are [`Name::ABSENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// Normalised query.
    pub fingerprint: Name,
    /// Product feature or dashboard.
    pub origin: Name,
    /// Version of the origin.
    pub version: Name,
    /// ClickHouse user.
    pub user: Name,
    /// ClickHouse node.
    pub node: Name,
}

impl QueryKey {
    /// What a dimension is called here; absent where queries have no such dimension.
    #[must_use]
    pub fn name(&self, dimension: Dimension) -> Name {
        match dimension {
            Dimension::Fingerprint => self.fingerprint,
            Dimension::Origin => self.origin,
            Dimension::Version => self.version,
            Dimension::Node => self.node,
            _ => Name::ABSENT,
        }
    }
}

/// Size of a scan: octave of the rows (else of the bytes) it reads; nothing when neither is known.
pub type ScanSize = Option<u8>;

/// Runs that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryCell {
    /// Runs that ended, in whatever way.
    pub ended: u64,
    /// Of these, failed or killed.
    pub failed: u64,
    /// Of these, refused memory (241).
    pub memory_refused: u64,
    /// Of these, too slow (159, 160).
    pub timeouts: u64,
    /// Peak memory of runs that ended well, in bytes.
    pub memory: LogHistogram,
    /// Memory of runs that failed, in bytes: what they would have taken is at least that, or was somebody else's doing.
    pub memory_failed: LogHistogram,
    /// Milliseconds of runs that ended well.
    pub duration_ms: LogHistogram,
    /// Rows read by runs that ended well.
    pub read_rows: LogHistogram,
    /// Bytes read by runs that ended well.
    pub read_bytes: LogHistogram,
    /// Sum of memory × time in the last minute of each run, in byte-milliseconds.
    pub held_byte_ms: u128,
    /// The same over whole runs: divided by a span, what they hold in a steady state (Little's law).
    pub whole_byte_ms: u128,
}

impl QueryCell {
    /// Adds another cell.
    pub fn merge(&mut self, other: &Self) {
        self.ended += other.ended;
        self.failed += other.failed;
        self.memory_refused += other.memory_refused;
        self.timeouts += other.timeouts;
        self.memory.merge(&other.memory);
        self.memory_failed.merge(&other.memory_failed);
        self.duration_ms.merge(&other.duration_ms);
        self.read_rows.merge(&other.read_rows);
        self.read_bytes.merge(&other.read_bytes);
        self.held_byte_ms += other.held_byte_ms;
        self.whole_byte_ms += other.whole_byte_ms;
    }

    fn add(&mut self, run: &QueryRun) {
        let failed = matches!(run.state, Some(QueryState::Failed | QueryState::Killed)) || run.exception_code.is_some();
        self.ended += 1;
        self.failed += u64::from(failed);
        self.memory_refused += u64::from(run.exception_code == Some(MEMORY_LIMIT_EXCEEDED));
        self.timeouts += u64::from(run.exception_code.is_some_and(|code| TIMEOUTS.contains(&code)));
        let duration_ms = run.duration_ms.map(milliseconds);
        if let Some(memory_bytes) = run.memory_bytes {
            let sizes = if failed { &mut self.memory_failed } else { &mut self.memory };
            sizes.add(memory_bytes);
            let duration_ms = duration_ms.unwrap_or(0);
            let held_ms = duration_ms.min(HELD_MS_MAX.unsigned_abs());
            self.held_byte_ms += u128::from(memory_bytes) * u128::from(held_ms);
            self.whole_byte_ms += u128::from(memory_bytes) * u128::from(duration_ms);
        }
        if !failed {
            let measures = [
                (&mut self.duration_ms, duration_ms),
                (&mut self.read_rows, run.read_rows),
                (&mut self.read_bytes, run.read_bytes),
            ];
            measures.into_iter().for_each(|(sizes, value)| value.into_iter().for_each(|value| sizes.add(value)));
        }
    }
}

/// One run, seen running or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunReport {
    /// Whose run.
    pub key: QueryKey,
    /// Hash of its id, when the record names one (attribute `query_id`).
    pub id: Option<u64>,
    /// When it began, as far as its duration tells.
    pub start: Option<Timestamp>,
    /// Moment of the report.
    pub at: Timestamp,
    /// Memory then.
    pub memory_bytes: u64,
    /// Whether it had ended.
    pub ended: bool,
}

/// Queries of one window.
#[derive(Debug, Clone, Default)]
pub struct QueryWindow {
    cells: FxHashMap<(QueryKey, ScanSize), QueryCell>,
    reports: Vec<RunReport>,
    exemplars: QueryExemplars,
    events: u64,
    overflowed: u64,
}

/// What was counted in a window.
#[derive(Debug, Clone, Default)]
pub struct QueryCounts {
    /// Runs that ended, by who asked what and by the size of their scan, in no particular order.
    pub cells: Vec<((QueryKey, ScanSize), QueryCell)>,
    /// Runs seen running, and the ends of runs, by time.
    pub reports: Vec<RunReport>,
    /// Single runs that stand for others, the one with the most memory first.
    pub exemplars: Vec<QueryExemplar>,
}

impl QueryWindow {
    /// Counts a run. One without a state has ended.
    pub fn add(&mut self, run: &QueryRun, key: QueryKey) {
        self.events += 1;
        self.exemplars.add(run, key);
        let ended = run.state != Some(QueryState::Running);
        if ended {
            let place = (key, scan_size(run));
            if self.cells.len() < QUERY_CELLS_MAX || self.cells.contains_key(&place) {
                self.cells.entry(place).or_default().add(run);
            } else {
                self.overflowed += 1;
            }
        }
        if self.reports.len() >= QUERY_REPORTS_MAX {
            self.overflowed += u64::from(!ended);
            return;
        }
        let duration_ms = run.duration_ms.map(milliseconds);
        self.reports.push(RunReport {
            key,
            id: run.attributes.get("query_id").map(hash),
            start: duration_ms.map(|ms| run.timestamp.plus(-i64::try_from(ms).unwrap_or(i64::MAX))),
            at: run.timestamp,
            memory_bytes: run.memory_bytes.unwrap_or(0),
            ended,
        });
    }

    /// Runs reported.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Runs that were not counted because a bound was reached.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Ends the window. Reports are put in the order of time; of the same moment, ends come last.
    #[must_use]
    pub fn into_counts(mut self) -> QueryCounts {
        self.reports.sort_unstable_by_key(|r| (r.at, r.ended, r.start, r.id, r.memory_bytes));
        QueryCounts {
            cells: self.cells.into_iter().collect(),
            reports: self.reports,
            exemplars: self.exemplars.into_sorted(),
        }
    }
}

fn milliseconds(duration_ms: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=30 days
    let ms = duration_ms.clamp(0.0, 2_592_000_000.0).round() as u64;
    ms
}

fn scan_size(run: &QueryRun) -> ScanSize {
    let size = run.read_rows.or(run.read_bytes)?;
    u8::try_from(u64::BITS - size.leading_zeros()).ok()
}

fn hash(id: &str) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    id.hash(&mut hasher);
    hasher.finish()
}

/// What fingerprints stand for, as far as texts were seen.
#[derive(Debug, Default)]
pub struct QueryTexts {
    by_fingerprint: FxHashMap<Name, String>,
}

impl QueryTexts {
    /// The fingerprint of a run: the one it names, else that of its text, which is remembered.
    pub fn fingerprint(&mut self, run: &QueryRun, names: &mut Names) -> Name {
        let named = run.fingerprint.as_ref().map(|text| names.intern(text));
        let Some(query) = &run.query else { return named.unwrap_or(Name::ABSENT) };
        let normalised = normalise_sql(query);
        let name = named.unwrap_or_else(|| names.intern(&sql_fingerprint(&normalised)));
        let shown: String = normalised.chars().take(QUERY_TEXT_CHARS_MAX).collect();
        let room = self.by_fingerprint.len() < QUERY_TEXTS_MAX;
        match self.by_fingerprint.get_mut(&name) {
            // Of two texts with one name the lesser is shown, whichever came first.
            Some(known) if shown < *known => *known = shown,
            None if room => _ = self.by_fingerprint.insert(name, shown),
            _ => {}
        }
        name
    }

    /// The normalised text behind a fingerprint, cut after 200 characters.
    #[must_use]
    pub fn text(&self, fingerprint: Name) -> Option<&str> {
        self.by_fingerprint.get(&fingerprint).map(String::as_str)
    }
}
