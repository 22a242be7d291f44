//! Which earlier moments now is compared with: the last ones, or the same time of day on days before.

/// Moments compared with. More follow a change of level too slowly, fewer say too little about small groups.
pub const MOMENTS_MAX: usize = 20;
const DAY_MS: i64 = 86_400_000;
/// Days looked back: a week has every weekday once.
const DAYS_MAX: i64 = 14;
/// Moments taken on either side of the same time on an earlier day.
const STEPS_BESIDE: i64 = 2;
/// Moments at which both ways are tried.
const TRIED_MAX: usize = 12;

/// The moments to compare `at` with, newest first. `history` is time (epoch milliseconds) and the whole measure of each
/// moment before `at`, oldest first. The same time on earlier days is taken where it would have foretold the last moments
/// better than those just before them.
#[must_use]
pub fn reference_moments(history: &[(i64, f64)], at: i64) -> Vec<i64> {
    let step = step(history);
    let seasonal_error =
        |time: i64, value: f64| Some((middle(history, &same_time(history, time, step))? - value).abs());
    let recent_error = |time: i64, value: f64| Some((middle(history, &last(history, time))? - value).abs());
    let (mut recent, mut seasonal) = (0.0, 0.0);
    let mut tried = 0;
    for (time, value) in history.iter().rev().take(TRIED_MAX) {
        if let (Some(a), Some(b)) = (recent_error(*time, *value), seasonal_error(*time, *value)) {
            recent += a;
            seasonal += b;
            tried += 1;
        }
    }
    let same = same_time(history, at, step);
    if tried > 0 && seasonal < recent && !same.is_empty() { same } else { last(history, at) }
}

/// The usual time between moments.
fn step(history: &[(i64, f64)]) -> i64 {
    let mut steps: Vec<i64> = history.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(0)
}

fn last(history: &[(i64, f64)], at: i64) -> Vec<i64> {
    let before = history.partition_point(|(time, _)| *time < at);
    history[..before].iter().rev().take(MOMENTS_MAX).map(|(time, _)| *time).collect()
}

fn same_time(history: &[(i64, f64)], at: i64, step: i64) -> Vec<i64> {
    let mut moments = Vec::new();
    if step <= 0 || step * (2 * STEPS_BESIDE + 1) > DAY_MS {
        return moments;
    }
    for day in 1..=DAYS_MAX {
        let middle = at - day * DAY_MS;
        let start = history.partition_point(|(time, _)| *time < middle - STEPS_BESIDE * step);
        let end = history.partition_point(|(time, _)| *time <= middle + STEPS_BESIDE * step);
        moments.extend(history[start..end].iter().rev().map(|(time, _)| *time));
    }
    moments.truncate(MOMENTS_MAX);
    moments
}

/// Median: an anomaly among the moments must not make the difference.
fn middle(history: &[(i64, f64)], moments: &[i64]) -> Option<f64> {
    let value = |time: &i64| history.binary_search_by_key(time, |(time, _)| *time).ok().map(|place| history[place].1);
    let mut values: Vec<f64> = moments.iter().filter_map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Minutes of so many days with what `value` says of each.
    fn history(days: i64, value: impl Fn(i64) -> f64) -> Vec<(i64, f64)> {
        (0..days * 1_440).map(|minute| (minute * MINUTE_MS, value(minute))).collect()
    }

    #[test]
    fn the_last_moments_where_nothing_else_is_known() {
        let history = history(1, |_| 5.0);
        let at = 1_440 * MINUTE_MS;
        let moments = reference_moments(&history[1_400..], at);
        assert_eq!(moments.len(), MOMENTS_MAX);
        assert_eq!(moments[0], at - MINUTE_MS, "newest first");
        assert_eq!(reference_moments(&history[1_437..], at).len(), 3);
        assert!(reference_moments(&[], at).is_empty());
    }

    #[test]
    fn the_same_time_of_day_where_the_day_has_a_steep_shape() {
        // A peak of ten minutes at noon, every day.
        let peak = history(4, |minute| if (720..730).contains(&(minute % 1_440)) { 900.0 } else { 10.0 });
        let at = (3 * 1_440 + 728) * MINUTE_MS;
        let before: Vec<(i64, f64)> = peak.into_iter().filter(|(time, _)| *time < at).collect();
        let moments = reference_moments(&before, at);
        assert!(moments.iter().all(|time| at - time > DAY_MS / 2), "{moments:?}");
        assert!(moments.contains(&(at - DAY_MS)) && moments.contains(&(at - 2 * DAY_MS)));
    }

    #[test]
    fn the_last_moments_after_a_change_of_level() {
        let grown = history(3, |minute| if minute > 2 * 1_440 + 300 { 80.0 } else { 10.0 });
        let at = 3 * 1_440 * MINUTE_MS;
        assert!(reference_moments(&grown, at).iter().all(|time| at - time <= 20 * MINUTE_MS));
    }
}
