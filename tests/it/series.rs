//! What the detector of single series promises, on series made for it.

use floodmark::detect::{SeriesDetector, SeriesOptions, Verdict};

const MINUTE_MS: i64 = 60_000;

/// Judges values that come every five minutes.
fn judge(values: &[f64]) -> Vec<Verdict> {
    let mut detector = SeriesDetector::new(SeriesOptions::default());
    let step = |(row, value): (usize, &f64)| detector.step(row as i64 * 5 * MINUTE_MS, *value);
    values.iter().enumerate().map(step).collect()
}

fn alerts(values: &[f64]) -> Vec<usize> {
    judge(values).iter().enumerate().filter(|(_, verdict)| verdict.alert).map(|(row, _)| row).collect()
}

/// Between −1 and 1, the same on every machine, without a pattern (a linear congruential generator).
fn noise(count: usize) -> Vec<f64> {
    let mut state = 42_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    (0..count).map(|_| next() + next()).map(|sum| sum / 2.0).collect()
}

/// `length` values with a day's shape: 288 a day, between 20 and 80, and noise.
fn days(length: usize) -> Vec<f64> {
    let shape = |row: usize| if (96..216).contains(&(row % 288)) { 80.0 } else { 20.0 };
    noise(length).iter().enumerate().map(|(row, noise)| shape(row) + 3.0 * noise).collect()
}

#[test]
fn a_flat_series_is_quiet_until_it_changes() {
    let mut values = vec![45.0; 4_000];
    assert!(judge(&values).iter().all(|verdict| *verdict == Verdict::default()));
    values[3_000] = 45.1;
    assert_eq!(alerts(&values), [3_000]);
}

#[test]
fn a_spike_a_drop_and_a_shift_are_one_alert_each_and_a_change_of_spread_is_found() {
    let usual: Vec<f64> = noise(3_000).iter().map(|noise| 100.0 + 10.0 * noise).collect();
    assert!(alerts(&usual).is_empty(), "noise alone: {:?}", alerts(&usual));
    let changed = |change: fn(usize, f64) -> f64| -> Vec<usize> {
        alerts(&usual.iter().enumerate().map(|(row, value)| change(row, *value)).collect::<Vec<_>>())
    };
    let is_one_near = |rows: &[usize], within: usize, what: &str| {
        assert!(matches!(rows, [row] if (2_000..2_000 + within).contains(row)), "{what}: {rows:?}");
    };
    is_one_near(&changed(|row, value| if row == 2_000 { value + 100.0 } else { value }), 1, "spike");
    is_one_near(&changed(|row, value| if row == 2_000 { value - 100.0 } else { value }), 1, "drop");
    is_one_near(&changed(|row, value| if row >= 2_000 { value + 60.0 } else { value }), 1, "shift");
    // A wider spread goes on giving values that were never seen before: more alerts, but few.
    let wider = changed(|row, value| if row >= 2_000 { 4.0 * value - 300.0 } else { value });
    assert!((2_000..2_024).contains(&wider[0]) && wider.len() < 10, "spread: {wider:?}");
}

#[test]
fn a_day_without_its_peak_is_an_anomaly_though_no_value_is_unusual() {
    let usual = days(288 * 14);
    let late: Vec<usize> = alerts(&usual).into_iter().filter(|row| *row > 288 * 4).collect();
    assert!(late.is_empty(), "usual days: {late:?}");
    let mut values = usual.clone();
    values[288 * 10 + 96..288 * 10 + 216].iter_mut().for_each(|value| *value -= 60.0);
    let found: Vec<usize> = alerts(&values).into_iter().filter(|row| *row > 288 * 4).collect();
    assert!(found.first().is_some_and(|row| (288 * 10 + 96..288 * 10 + 144).contains(row)), "{found:?}");
}

#[test]
fn what_happens_every_day_surprises_less_and_less() {
    let mut values: Vec<f64> = noise(288 * 14).iter().map(|noise| 100.0 + 10.0 * noise).collect();
    for day in 0..14 {
        values[288 * day + 100] += 200.0;
    }
    let verdicts = judge(&values);
    let said: Vec<f64> = (0..14).map(|day| verdicts[288 * day + 100].score).collect();
    let (at_first, at_last) = (said[1..4].iter().sum::<f64>(), said[11..].iter().sum::<f64>());
    assert!(said[1] > 0.5 && at_last < 0.7 * at_first, "{said:?}");
}

#[test]
fn a_counter_is_judged_by_its_increments_and_a_reset_is_none() {
    let increments: Vec<f64> = noise(4_000).iter().map(|noise| 1_000.0 + 100.0 * noise).collect();
    let count = |increments: &[f64], reset_at: usize| -> Vec<f64> {
        let mut sum = 0.0;
        let add = |(row, increment): (usize, &f64)| {
            sum = if row == reset_at { 0.0 } else { sum + increment };
            sum
        };
        increments.iter().enumerate().map(add).collect()
    };
    let usual = alerts(&count(&increments, usize::MAX));
    assert!(usual.len() <= 1, "a counter that counts: {usual:?}");
    let mut storm = increments.clone();
    storm[3_000..3_100].iter_mut().for_each(|increment| *increment *= 5.0);
    assert!(alerts(&count(&storm, usize::MAX)).contains(&3_000));
    let reset = alerts(&count(&increments, 3_000));
    assert!(!reset.iter().any(|row| (3_000..3_100).contains(row)), "a reset: {reset:?}");
}

#[test]
fn missing_repeated_and_unordered_rows_break_nothing() {
    let values: Vec<f64> = noise(2_000).iter().map(|noise| -50.0 + 10.0 * noise).collect();
    let mut detector = SeriesDetector::new(SeriesOptions::default());
    for (row, value) in values.iter().enumerate() {
        let at = row as i64 * MINUTE_MS;
        let at = if row % 7 == 0 { at - 30 * MINUTE_MS } else { at };
        let verdict = detector.step(at, *value);
        assert!(!verdict.alert, "row {row}");
        if row % 50 == 0 {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!(detector.step(at, value), Verdict::default());
            }
        }
    }
    for (at, value) in [(i64::MIN, f64::MAX), (i64::MAX, f64::MIN), (0, 5e-324), (i64::MAX, -0.0)] {
        let score = detector.step(at, value).score;
        assert!((0.0..=1.0).contains(&score), "{score}");
    }
}
