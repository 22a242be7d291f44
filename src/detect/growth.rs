//! Steady growth of a level that load does not explain: what memory leaks and pool leaks have in common.
//!
//! The trend is conditional on load: what the load explains is taken out first. The longest span that climbs surely and
//! evenly is the growth; a step, a staircase and a curve that flattens out below the limit are none.

use super::statistics::{Trend, least_squares_slope, median_sorted, theil_sen};
use crate::model::Timestamp;

/// Points that a trend is computed of at most: pairs of them cost its time.
const POINTS_MAX: usize = 48;
/// Spans that are tried, as shares of the history: growth may have begun long ago or just now.
const SPANS: [f64; 7] = [1.0, 0.75, 0.55, 0.4, 0.3, 0.2, 0.13];
/// Evenness: the span is cut into so many blocks ...
const BLOCKS: usize = 6;
/// ... of which so many must be higher than the one before ...
const RISES_MIN: usize = 4;
/// ... and one rise must not be more than this share of all: that would be a step.
const STEP_SHARE_MAX: f64 = 0.6;
/// The last third of a steady growth is a third of it; this much at least, with noise.
const LAST_THIRD_SHARE: f64 = 0.15;
/// The second half's growth over the first's. Below it flattens out; above, the newer half tells the pace.
const FLATTENING_RATIO: f64 = 0.75;
const QUICKENING_RATIO: f64 = 1.3;
/// Above this the first half was before the growth.
const ONSET_RATIO: f64 = 2.0;
/// A curve that flattens out below this share of the limit does not reach it.
const SAFE_SHARE: f64 = 0.97;

/// A level at a moment, and the load of that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// First moment of the span it stands for.
    pub at: Timestamp,
    /// The level's floor in that span.
    pub level: f64,
    /// Load meanwhile, in any unit; 0 where it is not known.
    pub load: f64,
}

/// What counts as growth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Criteria<'a> {
    /// Fewer samples are no trend.
    pub samples_min: usize,
    /// Mann–Kendall's z, at least.
    pub z_min: f64,
    /// Growth over the span, at least, in the level's unit.
    pub growth_min: f64,
    /// The level that must not be reached, where there is one.
    pub limit: Option<f64>,
    /// Smoothings of the load, in samples: keys expire and pools shrink late. Whichever explains most counts.
    pub smoothings: &'a [f64],
}

/// A level that grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// As far back as the growth can be followed.
    pub since: Timestamp,
    /// The level then.
    pub start_level: f64,
    /// The level now.
    pub level: f64,
    /// How many samples the growth spans.
    pub samples: usize,
    /// Growth that load does not explain, a second, with its 90 % interval.
    pub slope: f64,
    /// Lower end.
    pub slope_lower: f64,
    /// Upper end.
    pub slope_upper: f64,
}

/// The growth at the end of `samples` (oldest first), if any.
pub(super) fn growth(samples: &[Sample], criteria: &Criteria<'_>) -> Option<Growth> {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let lengths = SPANS.map(|share| (samples.len() as f64 * share).round() as usize);
    for length in lengths.into_iter().filter(|length| *length >= criteria.samples_min) {
        let (before, span) = samples.split_at(samples.len() - length);
        // A level that was reached before and left again is within the normal range.
        let highest_before = before.iter().map(|sample| sample.level).fold(f64::NEG_INFINITY, f64::max);
        let (start, end) = (typical(&span[..3.min(length)]), typical(&span[length - 3.min(length)..]));
        if end - start < criteria.growth_min || end <= highest_before {
            continue;
        }
        if let Some(found) = growth_over(span, start, end, criteria) {
            return found.pace_kept.then_some(found.growth);
        }
    }
    None
}

struct Found {
    growth: Growth,
    pace_kept: bool,
}

fn growth_over(span: &[Sample], start_level: f64, level: f64, criteria: &Criteria<'_>) -> Option<Found> {
    let thinned = thin(span);
    let residuals = criteria
        .smoothings
        .iter()
        .filter(|smoothing| **smoothing <= 1.0 || **smoothing * 2.0 <= thinned.len() as f64)
        .map(|smoothing| residuals(&thinned, *smoothing))
        .filter_map(|points| theil_sen(&points).map(|trend| (trend, points)))
        .min_by(|(a, _), (b, _)| a.z.total_cmp(&b.z));
    let (trend, points) = residuals?;
    let rises = trend.z >= criteria.z_min && trend.slope_lower > 0.0;
    if !rises || !is_even(&points) || !still_rises(&points) {
        return None;
    }
    let half = points.len() / 2;
    let (first, second) = (rise(&points[..=half]), rise(&points[half..]));
    let ratio = if first > 0.0 { second / first } else { f64::INFINITY };
    if ratio > ONSET_RATIO {
        return None;
    }
    let flattens = ratio < FLATTENING_RATIO;
    let settles_at = level + second.max(0.0) * ratio / (1.0 - ratio);
    let pace_kept = !flattens || criteria.limit.is_some_and(|limit| settles_at >= SAFE_SHARE * limit);
    let newest = if ratio > QUICKENING_RATIO { theil_sen(&points[half..]) } else { None };
    let Trend { slope, slope_lower, slope_upper, .. } = newest.filter(|t| t.slope_lower > 0.0).unwrap_or(trend);
    let growth = Growth { since: span[0].at, start_level, level, samples: span.len(), slope, slope_lower, slope_upper };
    Some(Found { growth, pace_kept })
}

/// Neighbours together, until there are few enough: the least level, all of the load.
fn thin(samples: &[Sample]) -> Vec<Sample> {
    let together = samples.len().div_ceil(POINTS_MAX).max(1);
    let merge = |group: &[Sample]| Sample {
        at: group[0].at,
        level: group.iter().map(|sample| sample.level).fold(f64::INFINITY, f64::min),
        load: group.iter().map(|sample| sample.load).sum(),
    };
    // Whole groups from the newest end: the oldest one may be left out.
    samples.rchunks_exact(together).map(merge).rev().collect()
}

/// Seconds and levels, without what the (smoothed) load explains. Differences are regressed, not levels: two series that
/// both merely rise over the day must not explain each other away.
fn residuals(samples: &[Sample], smoothing: f64) -> Vec<(f64, f64)> {
    let mut load: Vec<f64> = samples.iter().map(|sample| sample.load).collect();
    for i in 1..load.len() {
        load[i] = load[i - 1] + (load[i] - load[i - 1]) / smoothing;
    }
    let steps: Vec<(f64, f64)> =
        (1..samples.len()).map(|i| (load[i] - load[i - 1], samples[i].level - samples[i - 1].level)).collect();
    let level_per_load = least_squares_slope(&steps).max(0.0);
    let start = samples[0].at;
    samples.iter().zip(&load).map(|(s, load)| (seconds_between(start, s.at), s.level - level_per_load * load)).collect()
}

fn is_even(points: &[(f64, f64)]) -> bool {
    let blocks = BLOCKS.min(points.len());
    let bounds: Vec<usize> = (0..=blocks).map(|i| i * points.len() / blocks).collect();
    let levels: Vec<f64> =
        bounds.windows(2).map(|pair| median_of(points[pair[0]..pair[1]].iter().map(|p| p.1))).collect();
    let rises: Vec<f64> = levels.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let total: f64 = rises.iter().sum();
    let up = rises.iter().filter(|rise| **rise > 0.0).count();
    up >= RISES_MIN.min(rises.len()) && rises.iter().all(|rise| *rise <= STEP_SHARE_MAX * total)
}

/// Whether the last third carries its part of the growth: what has reached its new level grows no more.
fn still_rises(points: &[(f64, f64)]) -> bool {
    let n = points.len();
    let level = |middle: usize| median_of(points[middle - 1..(middle + 2).min(n)].iter().map(|p| p.1));
    n < BLOCKS || level(n - 2) - level(n * 2 / 3 - 1) >= LAST_THIRD_SHARE * (level(n - 2) - level(1))
}

/// From its beginning to its end, each taken over a third.
fn rise(points: &[(f64, f64)]) -> f64 {
    let third = (points.len() / 3).max(1);
    let level = |part: &[(f64, f64)]| median_of(part.iter().map(|p| p.1));
    level(&points[points.len() - third..]) - level(&points[..third])
}

fn typical(samples: &[Sample]) -> f64 {
    median_of(samples.iter().map(|sample| sample.level))
}

/// Median of values in any order; 0 for none.
pub(super) fn median_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    median_sorted(&values)
}

/// Seconds from `start` to `at`.
#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
pub(super) fn seconds_between(start: Timestamp, at: Timestamp) -> f64 {
    at.since(start) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u32, level: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |i: u32| Sample {
            at: Timestamp::from_millis(i64::from(i) * 300_000),
            level: level(f64::from(i)) + f64::from((i * 7_919) % 11) / 10.0,
            load: 100.0,
        };
        (0..count).map(sample).collect()
    }

    const CRITERIA: Criteria<'static> =
        Criteria { samples_min: 12, z_min: 4.0, growth_min: 20.0, limit: Some(1_000.0), smoothings: &[1.0, 4.0] };

    #[test]
    fn a_climb_is_growth_from_where_it_began_and_a_step_is_none() {
        let climb = growth(&samples(100, |i| 100.0 + (i - 60.0).max(0.0) * 5.0), &CRITERIA).unwrap();
        assert!((climb.slope * 300.0 - 5.0).abs() < 0.5, "{climb:?}");
        assert!((50 * 300..=70 * 300).contains(&(climb.since.as_millis() / 1_000)), "{climb:?}");
        assert_eq!(growth(&samples(100, |i| if i < 60.0 { 100.0 } else { 300.0 }), &CRITERIA), None);
        assert_eq!(growth(&samples(100, |i| 100.0 + 100.0 * (i / 15.0).sin()), &CRITERIA), None);
        assert_eq!(growth(&samples(100, |_| 100.0), &CRITERIA), None);
    }

    #[test]
    fn what_flattens_out_below_the_limit_is_no_growth() {
        let filling = |limit| {
            let criteria = Criteria { limit, ..CRITERIA };
            growth(&samples(60, |i| 800.0 * (1.0 - (-i / 30.0).exp())), &criteria)
        };
        assert_eq!(filling(Some(1_000.0)), None);
        assert_eq!(filling(None), None);
        assert!(filling(Some(700.0)).is_some());
    }

    #[test]
    fn a_level_that_follows_load_is_no_growth() {
        let mut following = samples(60, |_| 0.0);
        for (i, sample) in following.iter_mut().enumerate() {
            sample.load = 100.0 + 10.0 * i as f64 + ((i * 7_919) % 23) as f64;
            sample.level += 3.0 * sample.load;
        }
        assert_eq!(growth(&following, &CRITERIA), None);
    }
}
