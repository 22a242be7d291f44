//! Whether requests at the edge suffer since a moment: they fail, or wait, more than before.

use super::Scene;
use super::statistics::{normal_quantile, wilson_lower};
use super::words::percent;
use crate::flow::{EdgeBucket, EdgeHistory, FINE_MS, Name, ratio};
use crate::model::{Affected, DurationMs, Timestamp};

/// How far back "now" goes at most: all since the onset tells most of a small share.
const NOW_MS: DurationMs = 600_000;
/// How far back before the onset "before" goes, at the pace of half-minutes.
const BEFORE_MS: DurationMs = 1_200_000;
/// Fewer requests say nothing.
const REQUESTS_MIN: u64 = 30;
const FAILURES_MIN: u64 = 4;
/// Failing more often than before by this factor, surely (one-sided 99 %), and more often than this.
const FAILING_FACTOR: f64 = 2.0;
const FAILING_MIN: f64 = 0.000_25;
const CONFIDENCE: f64 = 0.99;
/// Taking longer than before by this factor.
const WAITING_FACTOR: f64 = 2.0;

/// What the edge suffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EdgeHarm {
    /// Share of requests that fail (5xx) now and before; absent when they do not fail more.
    pub failing: Option<(f64, f64)>,
    /// Mean time to answer now and before, in milliseconds; absent when they do not wait.
    pub waiting_ms: Option<(f64, f64)>,
}

/// Harm since `onset`, or nothing.
pub(super) fn edge_harm(edge: &EdgeHistory, onset: Timestamp, end: Timestamp) -> Option<EdgeHarm> {
    let onset = onset.window_start(FINE_MS);
    let now = edge.between(end.plus(-NOW_MS).window_start(FINE_MS).max(onset), end);
    let before = before(edge, onset);
    if now.requests < REQUESTS_MIN || before.requests < REQUESTS_MIN {
        return None;
    }
    let failing_before = ratio(before.server_errors, before.requests);
    let fails = surely_failing(&now, failing_before);
    let (waits_now, waits_before) = (mean_ms(&now), mean_ms(&before));
    let waits = waits_before > 0.0 && waits_now >= WAITING_FACTOR * waits_before;
    (fails || waits).then(|| EdgeHarm {
        failing: fails.then(|| (ratio(now.server_errors, now.requests), failing_before)),
        waiting_ms: waits.then_some((waits_now, waits_before)),
    })
}

/// Whether surely more requests fail than `before`, a share.
pub(super) fn surely_failing(now: &EdgeBucket, before: f64) -> bool {
    let least = wilson_lower(now.server_errors, now.requests, normal_quantile(CONFIDENCE));
    now.server_errors >= FAILURES_MIN && least > FAILING_FACTOR * before.max(FAILING_MIN)
}

impl EdgeHarm {
    /// Whether requests fail more than before.
    pub(super) fn fails(&self) -> bool {
        self.failing.is_some()
    }
}

/// The twenty minutes before the onset, or, when it is longer ago than the short memory, the hours before it.
fn before(edge: &EdgeHistory, onset: Timestamp) -> EdgeBucket {
    let near = edge.between(onset.plus(-BEFORE_MS), onset);
    if near.requests >= REQUESTS_MIN { near } else { edge.long_between(Timestamp::default(), onset.plus(-FINE_MS)) }
}

fn mean_ms(bucket: &EdgeBucket) -> f64 {
    ratio(bucket.duration_us_sum, bucket.requests) / 1_000.0
}

impl std::fmt::Display for EdgeHarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.failing, self.waiting_ms) {
            (Some((now, before)), _) => {
                write!(f, "{} of requests at the edge fail ({} before)", percent(now), percent(before))
            }
            (None, Some((now, before))) => {
                write!(f, "requests at the edge take {now:.0} ms ({before:.0} ms before)")
            }
            (None, None) => f.write_str("requests at the edge do not suffer"),
        }
    }
}

/// Subscriptions with a 5xx at the edge in the last minute, and the failed share of its requests.
pub(super) fn affected_at_the_edge(scene: &Scene<'_>) -> Affected {
    let failing = scene.recent.cells().filter(|(key, cell)| key.caller.is_absent() && cell.server_errors > 0);
    let mut subscriptions: Vec<Name> = failing.map(|(key, _)| key.subscription).collect();
    subscriptions.sort_unstable();
    subscriptions.dedup();
    let edge = scene.recent.edge_total();
    Affected {
        subscriptions: subscriptions.len() as u64,
        requests_share: super::rounded(ratio(edge.server_errors, edge.requests)),
    }
}
