//! What one query pattern took before and after a change.

use std::collections::VecDeque;

use crate::flow::{LogHistogram, Name, QueryCell};
use crate::model::{DurationMs, Timestamp};

/// Runs before a change that must be known.
const BEFORE_RUNS_MIN: u64 = 20;
/// Runs in memory at which old ones lose half their weight.
const BEFORE_RUNS_MAX: u64 = 20_000;
/// What came with a change is compared for so long; then it is how it is now.
const COMPARED_MS: DurationMs = 86_400_000;
/// After a change, runs are kept in spans of this length, the newest two: what was mended meanwhile is forgotten.
const SPAN_MS: DurationMs = 1_800_000;
/// The newest runs tell how slow everything is now: so many, ...
const NOW_RUNS: u64 = 30;
/// ... and none older than this.
const NOW_MS: DurationMs = 600_000;
/// First runs of a pattern that the slowness of everything is measured from.
const REFERENCE_RUNS: u64 = 200;
/// Time is judged only so long after a change: by then it is known whether everything became slower.
const FLEET_KNOWN_MS: DurationMs = 180_000;
/// A shift that chance makes once in 30,000 comparisons; with the medians' ratio on top.
const SHIFT_Z: f64 = 4.0;
/// Versions remembered: which were there before.
const VERSIONS_KNOWN_MAX: usize = 32;
/// Differences in the middle too small for anybody to care: memory, milliseconds, rows, bytes read.
const FLOORS: [f64; 4] = [16.0 * 1_048_576.0, 100.0, 100_000.0, 64.0 * 1_048_576.0];

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Peak memory.
    Memory,
    /// Run time.
    Duration,
    /// Rows read.
    Rows,
    /// Bytes read.
    Bytes,
}

/// All of them, the weightiest first.
pub const MEASURES: [Measure; 4] = [Measure::Memory, Measure::Duration, Measure::Rows, Measure::Bytes];

impl Measure {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Duration => "time",
            Self::Rows => "rows read",
            Self::Bytes => "bytes read",
        }
    }
}

/// What began a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A version that was not there before.
    Version {
        /// Which.
        version: Name,
        /// Its first run.
        at: Timestamp,
    },
    /// A change event.
    Change {
        /// When.
        at: Timestamp,
        /// Whether it names what asks.
        touches: bool,
    },
}

impl Trigger {
    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Version { at, .. } | Self::Change { at, .. } => *at,
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::Version { .. } => 2,
            Self::Change { touches, .. } => u8::from(*touches),
        }
    }
}

/// More is taken than before.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// What began the comparison.
    pub trigger: Trigger,
    /// What grew most surely.
    pub measure: Measure,
    /// Median before.
    pub before: f64,
    /// Median after.
    pub after: f64,
    /// Mann–Whitney's z.
    pub z: f64,
    /// Runs after.
    pub runs: u64,
    /// Runs before.
    pub runs_before: u64,
    /// Ratio of the medians of everything that is known.
    pub ratios: Vec<(Measure, f64)>,
}

impl Shift {
    /// How many times what it took before.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.after / self.before.max(1.0)
    }
}

#[derive(Debug, Clone, Default)]
struct Taken([LogHistogram; 4]);

impl Taken {
    fn add(&mut self, cell: &QueryCell) {
        let of_cell = [&cell.memory, &cell.duration_ms, &cell.read_rows, &cell.read_bytes];
        self.0.iter_mut().zip(of_cell).for_each(|(sum, sizes)| sum.merge(sizes));
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, sizes)| sum.merge(sizes));
    }

    fn runs(&self) -> u64 {
        self.0.iter().map(LogHistogram::total).max().unwrap_or(0)
    }
}

#[derive(Debug)]
struct After {
    trigger: Trigger,
    /// How slow everything was then.
    level: f64,
    spans: VecDeque<(Timestamp, Taken)>,
}

/// One pattern of one origin.
#[derive(Debug)]
pub struct QueryHistory {
    before: Taken,
    after: Option<After>,
    versions: Vec<Name>,
    now: VecDeque<(Timestamp, LogHistogram)>,
    /// Milliseconds of its first runs: what "slower" is measured from, for ever.
    reference: LogHistogram,
    /// How slow everything was when it was last judged (see [`Self::slowness`]).
    level: f64,
    last: Timestamp,
}

impl QueryHistory {
    /// First seen at `first`.
    #[must_use]
    pub fn new(first: Timestamp) -> Self {
        Self {
            before: Taken::default(),
            after: None,
            versions: Vec::new(),
            now: VecDeque::new(),
            reference: LogHistogram::default(),
            level: 1.0,
            last: first,
        }
    }

    /// Newest run.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Whether runs after a change are being compared with those before.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        self.after.is_some()
    }

    /// Counts runs of a window that begins at `start`.
    pub fn add(&mut self, start: Timestamp, version: Name, cell: &QueryCell) {
        self.last = start;
        self.count_now(start, cell);
        self.see_version(version, start);
        let belongs = |after: &&mut After| match after.trigger {
            Trigger::Version { version: new, .. } => new == version,
            Trigger::Change { at, .. } => start >= at,
        };
        let Some(after) = self.after.as_mut().filter(belongs) else {
            self.before.add(cell);
            return;
        };
        let span = start.window_start(SPAN_MS);
        if after.spans.back().is_none_or(|(at, _)| *at != span) {
            after.spans.push_back((span, Taken::default()));
        }
        if after.spans.len() > 2 {
            after.spans.pop_front();
        }
        if let Some((_, taken)) = after.spans.back_mut() {
            taken.add(cell);
        }
    }

    fn count_now(&mut self, start: Timestamp, cell: &QueryCell) {
        let minute = start.window_start(60_000);
        if self.now.back().is_none_or(|(at, _)| *at != minute) {
            self.now.push_back((minute, LogHistogram::default()));
        }
        while self.now.front().is_some_and(|(at, _)| start.since(*at) > NOW_MS) {
            self.now.pop_front();
        }
        if let Some((_, durations)) = self.now.back_mut() {
            durations.merge(&cell.duration_ms);
        }
        if self.reference.total() < REFERENCE_RUNS {
            self.reference.merge(&cell.duration_ms);
        }
    }

    fn see_version(&mut self, version: Name, start: Timestamp) {
        if version.is_absent() || self.versions.contains(&version) {
            return;
        }
        let is_new = !self.versions.is_empty() && self.before.runs() >= BEFORE_RUNS_MIN;
        if self.versions.len() >= VERSIONS_KNOWN_MAX {
            self.versions.remove(0);
        }
        self.versions.push(version);
        if is_new {
            self.begin(Trigger::Version { version, at: start });
        }
    }

    /// Begins a comparison, unless one with a stronger reason goes on. What came after the last change is how it was
    /// before this one, unless it was heavier: two regressions in a row are measured from where it was well.
    pub fn begin(&mut self, trigger: Trigger) {
        if self.before.runs() < BEFORE_RUNS_MIN {
            return;
        }
        let stronger = |after: &After| {
            let young = trigger.at().since(after.trigger.at()) <= COMPARED_MS;
            young && after.trigger.weight() > trigger.weight()
        };
        if self.after.as_ref().is_some_and(stronger) {
            return;
        }
        if self.after.as_ref().is_some_and(|after| self.compare(after, 1.5, 5, 1.0).is_some()) {
            return;
        }
        self.settle();
        self.after = Some(After { trigger, level: self.level, spans: VecDeque::new() });
    }

    fn settle(&mut self) {
        if let Some(after) = self.after.take() {
            after.spans.iter().for_each(|(_, taken)| self.before.merge(taken));
        }
    }

    /// Keeps what is known bounded, and ends a comparison that has gone on for a day.
    pub fn roll(&mut self, end: Timestamp) {
        if self.before.runs() > BEFORE_RUNS_MAX {
            self.before.0.iter_mut().for_each(LogHistogram::halve);
        }
        if self.after.as_ref().is_some_and(|after| end.since(after.trigger.at()) > COMPARED_MS) {
            let heavier = self.after.as_ref().is_some_and(|after| self.compare(after, 1.5, 5, 1.0).is_some());
            if heavier {
                // How it is now.
                self.before = Taken::default();
            }
            self.settle();
        }
    }

    /// How many times slower it is now than its first runs were; nothing where little is known, or a change of its own is
    /// being judged.
    #[must_use]
    pub fn slowness(&self, end: Timestamp) -> Option<f64> {
        let mut now = LogHistogram::default();
        for (_, durations) in self.now.iter().rev().take_while(|(at, _)| end.since(*at) <= NOW_MS) {
            now.merge(durations);
            if now.total() >= NOW_RUNS {
                break;
            }
        }
        let known = now.total() >= 5 && self.reference.total() >= BEFORE_RUNS_MIN;
        let touched = self.after.as_ref().is_some_and(|after| after.trigger.weight() > 0);
        if !known || touched {
            return None;
        }
        Some(now.geometric_mean()? / self.reference.geometric_mean()?.max(1.0))
    }

    /// Notes how slow everything is.
    pub fn note_level(&mut self, level: f64) {
        self.level = level;
    }

    /// What became heavier with the change, and goes on.
    #[must_use]
    pub fn shift(&self, end: Timestamp, ratio_min: f64, runs_min: u64) -> Option<Shift> {
        let after = self.after.as_ref()?;
        // Withdrawn: what does not run any more is nobody's trouble.
        let newest = after.spans.back()?.0;
        if end.since(newest) > 2 * SPAN_MS {
            return None;
        }
        let slowdown = (self.level / after.level.max(1e-3)).max(1.0);
        let shift = self.compare(after, ratio_min, runs_min, slowdown)?;
        let too_soon = shift.measure == Measure::Duration && end.since(after.trigger.at()) < FLEET_KNOWN_MS;
        (!too_soon).then_some(shift)
    }

    fn compare(&self, after: &After, ratio_min: f64, runs_min: u64, slowdown: f64) -> Option<Shift> {
        let mut taken = Taken::default();
        after.spans.iter().for_each(|(_, span)| taken.merge(span));
        let (mut best, mut ratios): (Option<Shift>, Vec<(Measure, f64)>) = (None, Vec::new());
        for (i, measure) in MEASURES.into_iter().enumerate() {
            let (before, now) = (&self.before.0[i], &taken.0[i]);
            let (Some(median_before), Some(median)) = (before.median(), now.median()) else { continue };
            let ratio = median / median_before.max(1.0);
            ratios.push((measure, ratio));
            let fair = if measure == Measure::Duration { ratio / slowdown } else { ratio };
            let enough = now.total() >= runs_min && before.total() >= BEFORE_RUNS_MIN;
            if !enough || fair < ratio_min || median - median_before < FLOORS[i] {
                continue;
            }
            let z = now.mann_whitney_z(before);
            if z >= SHIFT_Z && best.as_ref().is_none_or(|best| ratio > 1.2 * best.ratio()) {
                best = Some(Shift {
                    trigger: after.trigger,
                    measure,
                    before: median_before,
                    after: median,
                    z,
                    runs: now.total(),
                    runs_before: before.total(),
                    ratios: Vec::new(),
                });
            }
        }
        let sizes_known = matches!(after.trigger, Trigger::Change { .. }) && self.sizes_known(&taken);
        best.filter(|_| !sizes_known).map(|shift| Shift { ratios, ..shift })
    }

    /// Whether the scans in the middle are now as large as one of ten always was, and what they take grew no more than
    /// they did: more data is asked for, by people, not by a change.
    fn sizes_known(&self, taken: &Taken) -> bool {
        let known = |i: usize| {
            let (rows, before) = (taken.0[i].median()?, self.before.0[i].quantile(0.9)?);
            let grown = rows / self.before.0[i].median()?.max(1.0);
            let memory =
                taken.0[0].median().zip(self.before.0[0].median()).map_or(1.0, |(now, then)| now / then.max(1.0));
            Some(before >= rows && grown >= 1.2 && memory <= 1.2 * grown)
        };
        known(2).or_else(|| known(3)).unwrap_or(false)
    }
}
