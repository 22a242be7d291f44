//! What queries like this one have taken: memory, rows, bytes and time by fingerprint and size of the scan.
//!
//! One day and three years of the same dashboard share a fingerprint, hence the second key: log2 of the rows that the
//! estimate names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quantiles::Quantiles;
use super::recent::Recent;

/// Fingerprints that are remembered; the least recently run is forgotten and starts cold.
pub(super) const FINGERPRINTS_MAX: usize = 10_000;
/// Sizes of scans of one fingerprint that are remembered; the least run is forgotten.
const SCANS_MAX: usize = 16;
/// A class's median says something from so many runs on.
const CLASS_RUNS_MIN: u32 = 20;
/// What is expected of a query of a class without a memory cap, as a share of the server's limit.
const UNCAPPED_SHARE: u64 = 10;

/// Size of a scan: 0 where it is unknown, else 1 + log2 of the rows.
pub(super) type ScanSize = u8;

/// The size of a scan of so many rows.
pub(super) fn scan_size(estimated_rows: Option<u64>) -> ScanSize {
    // At most 64.
    estimated_rows.map_or(0, |rows| (64 - (rows | 1).leading_zeros()) as ScanSize)
}

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Taken {
    pub(super) memory_bytes: Option<u64>,
    pub(super) read_rows: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) duration_ms: u64,
}

/// What is usual for a fingerprint and size of scan, or for a class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Usual {
    memory_bytes: Quantiles,
    read_rows: Quantiles,
    read_bytes: Quantiles,
    duration_ms: Quantiles,
}

impl Usual {
    fn add(&mut self, taken: &Taken) {
        let measures = [
            (&mut self.memory_bytes, taken.memory_bytes),
            (&mut self.read_rows, taken.read_rows),
            (&mut self.read_bytes, taken.read_bytes),
            (&mut self.duration_ms, Some(taken.duration_ms)),
        ];
        for (quantiles, value) in measures {
            value.into_iter().for_each(|value| quantiles.add(value));
        }
    }
}

/// Where an expectation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Runs of this fingerprint at this size of scan: so many.
    Runs(u32),
    /// Runs of this fingerprint at another size.
    OtherScan,
    /// Nothing is known of it: the median of its class.
    ClassMedian,
    /// Nothing is known of it, nor enough of its class: all it may take.
    Cap,
}

/// What a query is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) memory_bytes: u64,
    pub(super) source: Source,
    pub(super) read_bytes: Option<u64>,
}

/// All that is learned.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    fingerprints: Recent<String, BTreeMap<ScanSize, Usual>>,
    /// Bounded by the policy's classes.
    classes: BTreeMap<String, Usual>,
}

/// What is learned, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct LearnedSnapshot {
    fingerprints: Vec<(String, BTreeMap<ScanSize, Usual>)>,
    classes: BTreeMap<String, Usual>,
}

impl Learned {
    pub(super) fn new() -> Self {
        Self { fingerprints: Recent::new(FINGERPRINTS_MAX), classes: BTreeMap::new() }
    }

    /// A run of a query of `class` has ended. Only runs that tell what the query takes: it succeeded, or died of its cap.
    pub(super) fn learn(&mut self, class: &str, fingerprint: &str, scan: ScanSize, taken: &Taken) {
        self.classes.entry(class.to_owned()).or_default().add(taken);
        let scans = self.fingerprints.get_or_insert(&fingerprint.to_owned(), BTreeMap::new);
        if !scans.contains_key(&scan) && scans.len() >= SCANS_MAX {
            let least = scans.iter().min_by_key(|(_, usual)| usual.duration_ms.runs()).map(|(scan, _)| *scan);
            least.and_then(|least| scans.remove(&least));
        }
        scans.entry(scan).or_default().add(taken);
    }

    /// What a query is expected to take: p95 of runs like it with a margin that shrinks with their number; at most
    /// `cap_bytes` of memory, which ClickHouse holds it to.
    pub(super) fn expect(
        &self,
        class: &str,
        fingerprint: &str,
        scan: ScanSize,
        cap_bytes: Option<u64>,
        limit_bytes: u64,
    ) -> Expected {
        let cap_bytes = cap_bytes.unwrap_or(limit_bytes / UNCAPPED_SHARE);
        let scans = self.fingerprints.get(&fingerprint.to_owned());
        let usual = scans.and_then(|scans| scans.get(&scan));
        let read_bytes = usual.and_then(|usual| usual.read_bytes.quantile(95));
        let (memory_bytes, source) = usual
            .and_then(of_runs)
            .or_else(|| scans.and_then(|scans| of_other_scan(scans, scan)))
            .or_else(|| self.of_class(class, scan))
            .unwrap_or((cap_bytes, Source::Cap));
        Expected { memory_bytes: memory_bytes.min(cap_bytes), source, read_bytes }
    }

    /// Whether runs of this fingerprint usually (95 %) end within `duration_ms`: then one that does not is a victim.
    pub(super) fn usually_ends_within(&self, fingerprint: &str, scan: ScanSize, duration_ms: u64) -> bool {
        let usual = self.fingerprints.get(&fingerprint.to_owned()).and_then(|scans| scans.get(&scan));
        usual.and_then(|usual| usual.duration_ms.quantile(95)).is_some_and(|p95| p95 <= duration_ms)
    }

    fn of_class(&self, class: &str, scan: ScanSize) -> Option<(u64, Source)> {
        let usual = self.classes.get(class).filter(|usual| usual.memory_bytes.runs() >= CLASS_RUNS_MIN)?;
        // A scan larger than the class's usual ones says that the median is not for it.
        let usual_scan = scan_size(usual.read_rows.quantile(50));
        let median = usual.memory_bytes.quantile(50)?;
        (scan <= usual_scan.saturating_add(1)).then_some((median, Source::ClassMedian))
    }

    /// Fingerprints that are known, and how many were forgotten at the bound.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.fingerprints.len(), self.fingerprints.forgotten())
    }

    pub(super) fn snapshot(&self) -> LearnedSnapshot {
        LearnedSnapshot {
            fingerprints: self.fingerprints.iter().map(|(name, scans)| (name.clone(), scans.clone())).collect(),
            classes: self.classes.clone(),
        }
    }

    pub(super) fn restore(snapshot: LearnedSnapshot) -> Self {
        let mut learned = Self { classes: snapshot.classes, ..Self::new() };
        for (name, scans) in snapshot.fingerprints {
            learned.fingerprints.insert(&name, scans);
        }
        learned
    }
}

fn of_runs(usual: &Usual) -> Option<(u64, Source)> {
    let runs = usual.memory_bytes.runs();
    let p95 = usual.memory_bytes.quantile(95)?;
    Some((p95.saturating_add(p95 / u64::from(runs.max(1))), Source::Runs(runs)))
}

/// From the next smaller scan, memory growing with the rows (groups grow no faster); else from the next larger one.
fn of_other_scan(scans: &BTreeMap<ScanSize, Usual>, scan: ScanSize) -> Option<(u64, Source)> {
    let smaller = scans.range(1..scan.max(1)).next_back();
    let larger = || scans.range(scan..).next();
    let (other, usual) = smaller.or_else(larger).filter(|_| scan > 0)?;
    let p95 = usual.memory_bytes.quantile(95)?;
    let times = 1_u64.checked_shl(u32::from(scan.saturating_sub(*other))).unwrap_or(u64::MAX);
    Some((p95.saturating_mul(times), Source::OtherScan))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn taken(memory_bytes: u64, read_rows: u64) -> Taken {
        Taken { memory_bytes: Some(memory_bytes), read_rows: Some(read_rows), read_bytes: Some(1), duration_ms: 10 }
    }

    fn expect(learned: &Learned, fingerprint: &str, rows: Option<u64>) -> (u64, Source) {
        let expected = learned.expect("ad_hoc", fingerprint, scan_size(rows), Some(500 * MIB), 10_000 * MIB);
        (expected.memory_bytes / MIB, expected.source)
    }

    #[test]
    fn a_cold_start_expects_the_cap_then_the_class_then_the_query() {
        let mut learned = Learned::new();
        assert_eq!(expect(&learned, "a", Some(1_000)), (500, Source::Cap));
        for _ in 0..30 {
            learned.learn("ad_hoc", "b", scan_size(Some(1_000)), &taken(16 * MIB, 1_000));
        }
        assert_eq!(expect(&learned, "a", Some(1_000)), (17, Source::ClassMedian));
        assert_eq!(expect(&learned, "a", None), (17, Source::ClassMedian));
        assert_eq!(expect(&learned, "a", Some(1_000_000)), (500, Source::Cap), "a larger scan than its class knows");
        learned.learn("ad_hoc", "a", scan_size(Some(1_000)), &taken(32 * MIB, 1_000));
        assert_eq!(expect(&learned, "a", Some(1_000)), (71, Source::Runs(1)), "one run is doubled");
        assert_eq!(expect(&learned, "a", Some(4_000)), (143, Source::OtherScan), "memory grows with the scan");
        assert_eq!(expect(&learned, "a", Some(4_000_000)), (500, Source::OtherScan), "but not above the cap");
    }

    #[test]
    fn one_day_and_three_years_are_learned_apart() {
        let mut learned = Learned::new();
        for _ in 0..50 {
            learned.learn("ad_hoc", "a", scan_size(Some(1_000)), &taken(8 * MIB, 1_000));
            learned.learn("ad_hoc", "a", scan_size(Some(1_000_000)), &taken(400 * MIB, 1_000_000));
        }
        assert_eq!(expect(&learned, "a", Some(1_000)), (9, Source::Runs(50)));
        assert!(expect(&learned, "a", Some(1_000_000)).0 > 400);
    }

    #[test]
    fn scans_and_fingerprints_are_bounded() {
        let mut learned = Learned::new();
        for rows in 0..60 {
            learned.learn("ad_hoc", "a", scan_size(Some(1 << rows)), &taken(MIB, 1));
        }
        assert_eq!(learned.fingerprints.get(&"a".to_owned()).map(BTreeMap::len), Some(SCANS_MAX));
        for number in 0..=FINGERPRINTS_MAX {
            learned.learn("ad_hoc", &number.to_string(), 0, &taken(MIB, 1));
        }
        assert_eq!(learned.sizes(), (FINGERPRINTS_MAX, 2));
        let again = Learned::restore(learned.snapshot());
        assert_eq!(again.snapshot(), learned.snapshot());
    }
}
