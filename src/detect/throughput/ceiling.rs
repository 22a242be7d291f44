//! A ceiling that nobody told: what goes through has risen with demand, stands still at its highest, and demand is above
//! it, or waits. What is flat by nature has not risen; what follows load goes on with it.

use super::throughput_view::{flat, is_watched};
use crate::detect::edge_harm::EdgeHarm;
use crate::detect::growth::median_of;
use crate::flow::{COARSE_MS, EdgeBucket, EdgeHistory, FINE_MS, Flow, ThroughputBucket, ThroughputHistory};
use crate::model::{DurationMs, Timestamp};

/// It stands while it is this near its newest mean, and at its highest above this share of what was highest before.
const STANDING_SHARE: f64 = 0.96;
const HIGHEST_SHARE: f64 = 0.98;
/// It had risen to it: in the hour before, half of the time, it was below this share of it.
const RISEN_SHARE: f64 = 0.93;
const BEFORE_MS: DurationMs = 3_600_000;
/// Fewer moments before tell neither that nor a relation to demand.
const BEFORE_MIN: usize = 5;
/// What goes through for a request has been steady within this.
const RELATION_VARIATION_MAX: f64 = 0.15;
/// Demand would take this much more than goes through.
const DEMAND_FACTOR: f64 = 1.1;

/// Something that stands at its ceiling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ceiling {
    /// Of what: operations or bytes.
    pub what: &'static str,
    /// How much goes through a second.
    pub per_second: f64,
    /// Since when it stands still.
    pub since: Timestamp,
    /// What demand would take, a second, where that is known and is more.
    pub demand_per_second: Option<f64>,
}

impl Ceiling {
    /// Operations or bytes that stand at their ceiling.
    pub(super) fn of(history: &ThroughputHistory, edge: &EdgeHistory, end: Timestamp) -> Option<Self> {
        Self::of_flow("operations", history, edge, |bucket| bucket.operations, end)
            .or_else(|| Self::of_flow("bytes", history, edge, |bucket| bucket.bytes, end))
    }

    fn of_flow(
        what: &'static str,
        history: &ThroughputHistory,
        edge: &EdgeHistory,
        of: fn(&ThroughputBucket) -> Flow,
        end: Timestamp,
    ) -> Option<Self> {
        let now = flat(history, of, end)?;
        let rate = |bucket: &ThroughputBucket| of(bucket).per_second();
        let stands = |bucket: &&ThroughputBucket| rate(bucket).is_none_or(|rate| rate >= STANDING_SHARE * now);
        let first_fine = history.fine.front()?.start;
        let mut since = history.fine.iter().rev().take_while(stands).last()?.start;
        if since == first_fine {
            let older = history.coarse.iter().rev().skip_while(|bucket| bucket.start >= first_fine);
            since = older.take_while(stands).last().map_or(since, |bucket| bucket.start);
        }
        let long = history.coarse.iter().filter(|b| b.start.plus(COARSE_MS) <= first_fine.min(since));
        let short = history.fine.iter().filter(|bucket| bucket.start < since);
        let before: Vec<(&ThroughputBucket, DurationMs)> =
            long.map(|b| (b, COARSE_MS)).chain(short.map(|b| (b, FINE_MS))).filter(|(b, _)| is_watched(b)).collect();
        let highest = before.iter().filter_map(|(bucket, _)| rate(bucket)).fold(0.0, f64::max);
        let lately: Vec<f64> = before
            .iter()
            .filter(|(bucket, _)| since.since(bucket.start) <= BEFORE_MS)
            .filter_map(|(bucket, _)| rate(bucket))
            .collect();
        let risen = lately.len() >= BEFORE_MIN && median_of(lately.iter().copied()) <= RISEN_SHARE * now;
        if now < HIGHEST_SHARE * highest || !risen {
            return None;
        }
        let demand = per_request(&before, edge, of).zip(demanded(edge, flat_from(end), end));
        let demand_per_second = demand.map(|(each, demanded)| each * demanded);
        let demand_per_second = demand_per_second.filter(|demand| *demand >= DEMAND_FACTOR * now);
        Some(Self { what, per_second: now, since, demand_per_second })
    }

    /// Whether it is felt: more is asked for than goes through, or requests have begun to wait since.
    pub(super) fn binds(&self, harm: Option<&EdgeHarm>) -> bool {
        self.demand_per_second.is_some() || harm.is_some_and(|harm| harm.waiting_ms.is_some())
    }
}

fn flat_from(end: Timestamp) -> Timestamp {
    end.plus(-COARSE_MS).window_start(FINE_MS)
}

/// Logical requests a second: repeats of what failed are not demand.
fn demanded(edge: &EdgeHistory, from: Timestamp, until: Timestamp) -> Option<f64> {
    let until = until.window_start(FINE_MS);
    let sum = edge.between(from, until);
    per_second(&sum, until.since(from))
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn per_second(sum: &EdgeBucket, length_ms: DurationMs) -> Option<f64> {
    let logical = sum.requests.saturating_sub(sum.resends);
    (logical > 0 && length_ms > 0).then(|| logical as f64 * 1_000.0 / length_ms as f64)
}

/// How much goes through for a logical request, where that has been steady.
fn per_request(
    before: &[(&ThroughputBucket, DurationMs)],
    edge: &EdgeHistory,
    of: fn(&ThroughputBucket) -> Flow,
) -> Option<f64> {
    let ratio = |(bucket, length_ms): &(&ThroughputBucket, DurationMs)| {
        let until = bucket.start.plus(*length_ms);
        let short = *length_ms == FINE_MS;
        let sum = if short { edge.between(bucket.start, until) } else { edge.long_between(bucket.start, until) };
        Some(of(bucket).per_second()? / per_second(&sum, *length_ms)?)
    };
    let ratios: Vec<f64> = before.iter().filter_map(ratio).collect();
    let usual = median_of(ratios.iter().copied());
    let spread = median_of(ratios.iter().map(|ratio| (ratio - usual).abs()));
    (ratios.len() >= BEFORE_MIN && spread <= RELATION_VARIATION_MAX * usual).then_some(usual)
}
