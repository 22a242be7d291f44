//! One query pattern of one origin over time: the memory its runs normally take, and what they took just now.
//!
//! Normal is learnt from runs that are a few minutes old, and never from a time in which the pattern was abnormal, so that
//! an incident does not become normal while it lasts; what has lasted for a day is.

use std::collections::VecDeque;

use crate::flow::{LogHistogram, Name, QueryCell, ScanSize};
use crate::model::{DurationMs, Timestamp};

/// Resolution of the recent past.
const SLOT_MS: DurationMs = 15_000;
/// Runs this young are compared, not learnt from.
pub const RECENT_MS: DurationMs = 150_000;
/// A pattern that runs rarely keeps this many runs to compare ...
const RARE_RUNS: u64 = 8;
/// ... for at most this long.
const RARE_MS: DurationMs = 3_600_000;
/// What has been abnormal for this long is how it is now.
const ACCEPTED_MS: DurationMs = 86_400_000;
/// Runs in memory at which old ones lose half their weight.
const NORMAL_RUNS_MAX: u64 = 20_000;
/// Fewer runs are no history.
pub const NORMAL_RUNS_MIN: u64 = 8;
/// Versions remembered of a pattern, the newest; older ones are forgotten.
const QUERY_VERSIONS_MAX: usize = 16;

/// One false alarm in 3 million comparisons: a ticket a week over a thousand patterns, were all independent.
const SURE_Z: f64 = 5.0;
const SURE_ODDS: f64 = 13.8;
/// Enough when a node is in danger: then the question is who, not whether.
const LIKELY_Z: f64 = 3.5;
const LIKELY_ODDS: f64 = 8.4;
/// Normal runs that must be known for one or two to be beyond all of them.
const FAR_RUNS_MIN: u64 = 20;
/// Of the excess over normal so much is enough for what was abnormal a moment ago.
const HYSTERESIS: f64 = 0.6;
/// Memory within this factor is the same for the same size of scan.
const SIZE_FACTOR_MAX: f64 = 1.4;

/// Runs of a slot by version, node and size of scan.
#[derive(Debug, Clone)]
struct Part {
    version: Name,
    node: Name,
    scan: ScanSize,
    cell: QueryCell,
}

#[derive(Debug, Clone)]
struct Slot {
    start: Timestamp,
    parts: Vec<Part>,
}

/// A query that runs now.
#[derive(Debug, Clone, Copy)]
pub struct RunNow {
    /// Version of what asked.
    pub version: Name,
    /// Where it runs.
    pub node: Name,
    /// Memory so far, in bytes.
    pub memory_bytes: u64,
}

/// Memory far above normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Excess {
    /// The version that does it, where one does and others did not.
    pub version: Option<Name>,
    /// Median of the recent runs, in bytes.
    pub memory_bytes: f64,
    /// Normal median, in bytes.
    pub normal_bytes: f64,
    /// Recent runs compared.
    pub runs: u64,
    /// Whether chance is refused (else: likely, enough where a node is in danger).
    pub sure: bool,
}

/// What is known of one pattern.
#[derive(Debug)]
pub struct QuerySeries {
    normal: LogHistogram,
    normal_by_scan: Vec<(ScanSize, LogHistogram)>,
    normal_rows: LogHistogram,
    normal_load: LogHistogram,
    normal_runs: LogHistogram,
    /// The minute that is being learnt: its start, byte-milliseconds held, runs.
    minute: (Timestamp, u128, u64),
    slots: VecDeque<Slot>,
    /// Versions with the time each was first seen, in that order.
    versions: Vec<(Name, Timestamp)>,
    /// First run seen.
    pub first: Timestamp,
    /// Newest run seen.
    pub last: Timestamp,
    abnormal: Option<(Timestamp, Timestamp)>,
    suspected_at: Option<Timestamp>,
}

impl QuerySeries {
    /// First seen at `first`.
    #[must_use]
    pub fn new(first: Timestamp) -> Self {
        Self {
            normal: LogHistogram::default(),
            normal_by_scan: Vec::new(),
            normal_rows: LogHistogram::default(),
            normal_load: LogHistogram::default(),
            normal_runs: LogHistogram::default(),
            minute: (first, 0, 0),
            slots: VecDeque::new(),
            versions: Vec::new(),
            first,
            last: first,
            abnormal: None,
            suspected_at: None,
        }
    }

    /// Counts runs of a window that begins at `start`.
    pub fn add(&mut self, start: Timestamp, version: Name, node: Name, scan: ScanSize, cell: &QueryCell) {
        self.last = start;
        self.see_version(version, start);
        let slot_start = start.window_start(SLOT_MS);
        if self.slots.back().is_none_or(|slot| slot.start != slot_start) {
            self.slots.push_back(Slot { start: slot_start, parts: Vec::new() });
        }
        let Some(slot) = self.slots.back_mut() else { return };
        let same = |part: &&mut Part| (part.version, part.node, part.scan) == (version, node, scan);
        match slot.parts.iter_mut().find(same) {
            Some(part) => part.cell.merge(cell),
            None => slot.parts.push(Part { version, node, scan, cell: cell.clone() }),
        }
    }

    /// Notes that a version asks.
    pub fn see_version(&mut self, version: Name, at: Timestamp) {
        if version.is_absent() || self.versions.iter().any(|(known, _)| *known == version) {
            return;
        }
        if self.versions.len() >= QUERY_VERSIONS_MAX {
            self.versions.remove(0);
        }
        self.versions.push((version, at));
    }

    /// Learns from what is old enough, and lets go of it.
    pub fn learn(&mut self, end: Timestamp) {
        if self.abnormal.is_some_and(|(since, _)| end.since(since) > ACCEPTED_MS) {
            *self = Self { versions: std::mem::take(&mut self.versions), last: self.last, ..Self::new(self.first) };
        }
        let mut newer: u64 = self.slots.iter().flat_map(|slot| &slot.parts).map(|part| part.cell.ended).sum();
        while let Some(slot) = self.slots.front() {
            let age_ms = end.since(slot.start);
            newer = newer.saturating_sub(slot.parts.iter().map(|part| part.cell.ended).sum());
            // Under suspicion nothing is learnt: more runs will tell.
            let kept = newer < RARE_RUNS || self.suspected_at.is_some_and(|at| end.since(at) <= RECENT_MS);
            if age_ms <= RECENT_MS || (kept && age_ms <= RARE_MS) {
                break;
            }
            let Some(slot) = self.slots.pop_front() else { break };
            let was_abnormal = self.abnormal.is_some_and(|(_, last)| last >= slot.start);
            if !was_abnormal {
                self.absorb(&slot);
            }
        }
    }

    fn absorb(&mut self, slot: &Slot) {
        for part in &slot.parts {
            self.normal.merge(&part.cell.memory);
            self.normal_rows.merge(&part.cell.read_rows);
            match self.normal_by_scan.iter_mut().find(|(scan, _)| *scan == part.scan) {
                Some((_, normal)) => normal.merge(&part.cell.memory),
                None => self.normal_by_scan.push((part.scan, part.cell.memory.clone())),
            }
            self.minute.1 += part.cell.held_byte_ms;
            self.minute.2 += part.cell.ended;
        }
        if slot.start.since(self.minute.0) >= 60_000 {
            let bytes = u64::try_from(self.minute.1 / 60_000).unwrap_or(u64::MAX);
            self.normal_load.add(bytes);
            self.normal_runs.add(self.minute.2);
            self.minute = (slot.start, 0, 0);
        }
        if self.normal.total() > NORMAL_RUNS_MAX {
            self.normal.halve();
            self.normal_rows.halve();
            self.normal_by_scan.iter_mut().for_each(|(_, normal)| normal.halve());
        }
        if self.normal_load.total() > NORMAL_RUNS_MAX {
            self.normal_load.halve();
            self.normal_runs.halve();
        }
    }

    /// Since when it has been abnormal: `since`, or earlier when it was so a moment ago.
    #[must_use]
    pub fn abnormal_since(&self, since: Timestamp, end: Timestamp) -> Timestamp {
        self.abnormal.filter(|(_, last)| end.since(*last) <= RECENT_MS).map_or(since, |(known, _)| known.min(since))
    }

    /// Remembers that it is abnormal at `end`.
    pub fn mark_abnormal(&mut self, since: Timestamp, end: Timestamp) {
        self.abnormal = Some((self.abnormal_since(since, end), end));
    }

    /// Remembers that it may be abnormal at `end`.
    pub fn mark_suspected(&mut self, end: Timestamp) {
        self.suspected_at = Some(end);
    }

    /// Whether it has no history to compare with.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.normal.total() < NORMAL_RUNS_MIN
    }

    /// What all its runs together normally hold at most (9 of 10 minutes), in bytes, and how many they are in a minute;
    /// nothing before 3 minutes are known.
    #[must_use]
    pub fn normal_load(&self) -> Option<(f64, f64)> {
        let known = self.normal_load.total() >= 3;
        Some((self.normal_load.quantile(0.9)?, self.normal_runs.quantile(0.9)?)).filter(|_| known)
    }

    /// Median rows read, recently and normally, where both are known.
    #[must_use]
    pub fn rows(&self, end: Timestamp) -> Option<(f64, f64)> {
        let mut recent = LogHistogram::default();
        self.parts(end, RECENT_MS).for_each(|part| recent.merge(&part.cell.read_rows));
        Some((recent.median()?, self.normal_rows.median()?))
    }

    fn parts(&self, end: Timestamp, span_ms: DurationMs) -> impl Iterator<Item = &Part> {
        let slots = self.slots.iter().rev().take_while(move |slot| end.since(slot.start) <= span_ms);
        slots.flat_map(|slot| &slot.parts)
    }

    /// Runs, by node, of the last `span_ms`.
    pub fn cells(&self, end: Timestamp, span_ms: DurationMs) -> impl Iterator<Item = (Name, &QueryCell)> {
        self.parts(end, span_ms).map(|part| (part.node, &part.cell))
    }

    /// Memory far above normal, over the span that shows it best.
    #[must_use]
    pub fn excess(&self, end: Timestamp, ratio_min: f64, excused_by_size: bool, running: &[RunNow]) -> Option<Excess> {
        let normal_bytes = self.normal.median().filter(|_| !self.is_new())?;
        // What was abnormal a moment ago stays so until it is clearly not.
        let was_abnormal = self.abnormal.is_some_and(|(_, last)| end.since(last) <= RECENT_MS);
        let ratio_min = if was_abnormal { 1.0 + (ratio_min - 1.0) * HYSTERESIS } else { ratio_min };
        let mut groups: Vec<Option<Name>> = vec![None];
        let recent_versions = self.parts(end, RARE_MS).map(|part| part.version);
        for version in recent_versions.chain(running.iter().map(|run| run.version)) {
            if !version.is_absent() && !groups.contains(&Some(version)) {
                groups.push(Some(version));
            }
        }
        if groups.len() == 2 && self.versions.len() <= 1 {
            // One version, and never another: its name says nothing.
            groups.truncate(1);
        }
        let spans = [30_000, 60_000, RECENT_MS, RARE_MS];
        let tried = groups.iter().flat_map(|version| spans.map(|span_ms| (*version, span_ms)));
        let found = tried.filter_map(|(version, span_ms)| {
            let (recent, ends) = self.recent(end, span_ms, version, running);
            let excess = self.judge(&recent, normal_bytes, ratio_min, was_abnormal)?;
            let version = version.filter(|version| self.is_theirs(*version, end, ratio_min));
            let by_size = excused_by_size && ends && version.is_none() && self.explained_by_size(end, span_ms);
            (!by_size).then_some(Excess { version, ..excess })
        });
        // Surest first; then the narrower one, where it is not the whole that changed.
        found.max_by(|a, b| {
            let rank = |e: &Excess| (e.sure, e.version.is_some());
            rank(a).cmp(&rank(b)).then(a.runs.cmp(&b.runs)).then(a.memory_bytes.total_cmp(&b.memory_bytes))
        })
    }

    /// A version is to blame when it is younger than the pattern, or other versions behave meanwhile.
    fn is_theirs(&self, version: Name, end: Timestamp, ratio_min: f64) -> bool {
        let mut others = LogHistogram::default();
        let rest = self.parts(end, RECENT_MS).filter(|part| part.version != version);
        rest.for_each(|part| others.merge(&part.cell.memory));
        let normal = self.normal.median().unwrap_or(0.0);
        if others.total() >= 3 {
            return others.median().is_some_and(|bytes| bytes < ratio_min * normal);
        }
        self.versions.len() >= 2 && self.versions.last().is_some_and(|(newest, _)| *newest == version)
    }

    /// Memory of recent runs, and whether all of it is of runs that ended well. Of runs that failed or are not over only
    /// those count that took more than normal already: of the others nobody knows what they would have taken.
    fn recent(
        &self,
        end: Timestamp,
        span_ms: DurationMs,
        version: Option<Name>,
        running: &[RunNow],
    ) -> (LogHistogram, bool) {
        let mut recent = LogHistogram::default();
        let high = self.normal.quantile(0.9).unwrap_or(0.0);
        let of_version = |other: Name| version.is_none_or(|version| version == other);
        for part in self.parts(end, span_ms).filter(|part| of_version(part.version)) {
            recent.merge(&part.cell.memory);
        }
        let ended_well = recent.total();
        for part in self.parts(end, span_ms).filter(|part| of_version(part.version)) {
            recent.merge_from(&part.cell.memory_failed, high);
        }
        #[allow(clippy::cast_precision_loss)]
        let above = |run: &&RunNow| of_version(run.version) && run.memory_bytes as f64 > high;
        running.iter().filter(above).for_each(|run| recent.add(run.memory_bytes));
        let ends = recent.total() == ended_well;
        (recent, ends)
    }

    fn judge(&self, recent: &LogHistogram, normal_bytes: f64, ratio_min: f64, was_abnormal: bool) -> Option<Excess> {
        let memory_bytes = recent.median()?;
        // The median is noisy in small samples, the geometric mean where a few runs are huge: either will do, because
        // the test below must agree.
        let ratio = memory_bytes / normal_bytes.max(1.0);
        let ratio = ratio.max(recent.geometric_mean()? / self.normal.geometric_mean()?.max(1.0));
        if ratio < ratio_min {
            return None;
        }
        let z = recent.mann_whitney_z(&self.normal);
        let apart = recent.min()? >= self.normal.max()?;
        // Every recent run above every normal one: by chance once in C(n + m, n).
        let odds = if apart { ln_choose(recent.total(), self.normal.total()) } else { 0.0 };
        // A run or two say something only when they are far beyond everything of a long history.
        let far_times = if recent.total() >= 2 { 1.5 } else { 3.0 };
        let far = self.normal.total() >= FAR_RUNS_MIN && recent.min()? >= far_times * self.normal.max()?;
        let likely = z >= LIKELY_Z || odds >= LIKELY_ODDS || far;
        let sure = recent.total() >= 5 && (z >= SURE_Z || odds >= SURE_ODDS || (was_abnormal && likely));
        (sure || likely).then_some(Excess { version: None, memory_bytes, normal_bytes, runs: recent.total(), sure })
    }

    /// More of the large scans that have always been large: the size explains the memory.
    fn explained_by_size(&self, end: Timestamp, span_ms: DurationMs) -> bool {
        let (mut alike, mut known, mut all) = (0, 0, 0);
        let mut by_scan: Vec<(ScanSize, LogHistogram)> = Vec::new();
        for part in self.parts(end, span_ms) {
            match by_scan.iter_mut().find(|(scan, _)| *scan == part.scan) {
                Some((_, memory)) => memory.merge(&part.cell.memory),
                None => by_scan.push((part.scan, part.cell.memory.clone())),
            }
        }
        for (scan, recent) in by_scan.iter().filter(|(scan, _)| scan.is_some()) {
            all += recent.total();
            let normal = self.normal_by_scan.iter().find(|(known, _)| known == scan).map(|(_, normal)| normal);
            // A size that was rare tells nothing.
            let Some(normal) = normal.filter(|normal| normal.total() >= NORMAL_RUNS_MIN) else { continue };
            known += recent.total();
            let as_always = recent.median() <= normal.median().map(|bytes| SIZE_FACTOR_MAX * bytes);
            alike += if as_always { recent.total() } else { 0 };
        }
        all > 0 && known * 2 >= all && alike * 10 >= known * 7
    }

    /// Start of the oldest recent slot from which on runs have been above `least` bytes in the middle.
    #[must_use]
    pub fn onset(&self, end: Timestamp, version: Option<Name>, least: f64) -> Timestamp {
        let mut onset = end;
        for slot in self.slots.iter().rev() {
            let mut memory = LogHistogram::default();
            for part in slot.parts.iter().filter(|part| version.is_none_or(|version| version == part.version)) {
                memory.merge(&part.cell.memory);
                memory.merge(&part.cell.memory_failed);
            }
            match memory.median() {
                Some(bytes) if bytes >= least => onset = slot.start,
                Some(_) if onset < end => break,
                _ => {}
            }
        }
        onset
    }
}

/// ln C(n + m, n), exactly up to 64 factors, which is far beyond any threshold.
#[allow(clippy::cast_precision_loss)]
fn ln_choose(n: u64, m: u64) -> f64 {
    let (few, many) = (n.min(m), n.max(m));
    (1..=few.min(64)).map(|i| ((many + i) as f64 / i as f64).ln()).sum()
}
