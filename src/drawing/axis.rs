//! Numbers and times as axes say them.

use crate::model::Timestamp;

/// Ticks of an axis at most.
const TICKS_MAX: i64 = 10;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;
/// Steps between ticks, in minutes: an axis takes the first that is not too dense.
const STEPS_MINUTES: [i64; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880];

/// Ticks at round times between two moments, in epoch milliseconds: `10:15`, at midnight `03-09`.
#[must_use]
pub fn time_ticks(from: Timestamp, until: Timestamp) -> Vec<(f64, String)> {
    let span_ms = until.since(from).max(1);
    let fits = |step: &&i64| span_ms / (**step * MINUTE_MS) < TICKS_MAX;
    let weeks = || ((span_ms / DAY_MS / TICKS_MAX) / 7 + 1) * 7 * 1_440;
    let step_ms = STEPS_MINUTES.iter().find(fits).copied().unwrap_or_else(weeks) * MINUTE_MS;
    let first = (from.as_millis() + step_ms - 1).div_euclid(step_ms) * step_ms;
    let places = (0..=TICKS_MAX).map(|index| first + index * step_ms).take_while(|at| *at <= until.as_millis());
    places.map(|at| (at as f64, tick(at))).collect()
}

fn tick(at_ms: i64) -> String {
    let text = Timestamp::from_millis(at_ms).to_string();
    let wanted = if at_ms.rem_euclid(DAY_MS) == 0 { text.get(5..10) } else { text.get(11..16) };
    wanted.unwrap_or(&text).to_owned()
}

/// A number with one decimal where it is small, and groups of three digits where it is great.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() < 1_000.0 {
        return format!("{value:.1}");
    }
    grouped(value)
}

/// `1,234,567`: a number without decimals, in groups of three digits.
#[must_use]
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let labels = |from: &str, until: &str| -> Vec<String> {
            time_ticks(at(from), at(until)).into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels("2026-03-09T10:02:10Z", "2026-03-09T10:14:00Z").first().unwrap(), "10:04");
        assert_eq!(
            labels("2026-03-09T09:34:00Z", "2026-03-09T11:40:00Z"),
            ["09:45", "10:00", "10:15", "10:30", "10:45", "11:00", "11:15", "11:30"]
        );
        assert_eq!(labels("2026-03-08T20:00:00Z", "2026-03-09T04:00:00Z")[4], "03-09");
        let far = time_ticks(at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        assert!((2..=11).contains(&far.len()), "{far:?}");
        assert_eq!(time_ticks(at("2026-01-02T00:00:00Z"), at("2026-01-01T00:00:00Z")), []);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            ["0.0", "44.2", "1,214", "-1,234,567", "–"],
            [0.0, 44.24, 1_214.0, -1_234_567.0, f64::NAN].map(number)[..]
        );
    }
}
