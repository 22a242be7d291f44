//! Durations of the last 24 hours as a small picture: 95 of 100 as a line, the median dashed. What it shows stands beside it
//! in words.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::Shown;
use crate::drawing::grouped;
use crate::model::DurationMs;
use crate::status::{ComponentView, LatencyPoint};

const HOUR_MS: DurationMs = 3_600_000;
/// Half an hour is one point, the highest of it, so that peaks stay: a line of 48 points is as wide as a phone shows.
const SLOT_MS: DurationMs = HOUR_MS / 2;
const SLOTS: usize = 48;
/// Units of the picture's height.
const HEIGHT: f64 = 60.0;

/// A half hour: the highest median, the highest of 95 of 100; none without requests.
type Slots = [Option<(f64, f64)>; SLOTS];

/// The picture; nothing without requests.
pub(super) fn picture(shown: Shown<'_>, component: &ComponentView) -> Markup {
    let until = shown.board.data_as_of.unwrap_or(shown.board.made_at);
    let slots = slots(&component.latency, until.plus(-24 * HOUR_MS).as_millis());
    let highest = slots.iter().flatten().fold(0.0_f64, |highest, (_, p95)| highest.max(*p95));
    let Some(last) = component.latency.last().filter(|_| highest > 0.0) else { return html! {} };
    html! {
        figure {
            figcaption {
                "Latency, last: half within " b { (milliseconds(last.p50_ms)) } " (dashed), 95 of 100 within "
                b { (milliseconds(last.p95_ms)) } " (line). Highest of 24 h: " b { (milliseconds(highest)) } "."
            }
            svg viewBox="0 -2 47 64" preserveAspectRatio="none" aria-hidden="true" {
                path d=(line(&slots, highest, |(_, p95)| p95)) {}
                path.half d=(line(&slots, highest, |(p50, _)| p50)) {}
            }
        }
    }
}

fn slots(points: &[LatencyPoint], from_ms: i64) -> Slots {
    let mut slots: Slots = [None; SLOTS];
    for point in points.iter().filter(|point| point.p50_ms.is_finite() && point.p95_ms.is_finite()) {
        let slot = usize::try_from((point.at.as_millis() - from_ms).div_euclid(SLOT_MS));
        if let Some(slot) = slot.ok().and_then(|slot| slots.get_mut(slot)) {
            let (p50, p95) = slot.unwrap_or_default();
            *slot = Some((p50.max(point.p50_ms), p95.max(point.p95_ms)));
        }
    }
    slots
}

/// A path in whole units, each step relative to the last: four bytes a point. Half hours without requests are holes.
fn line(slots: &Slots, highest: f64, value: impl Fn((f64, f64)) -> f64) -> String {
    let mut path = String::new();
    let mut before: Option<i64> = None;
    for (x, slot) in slots.iter().enumerate() {
        // At most the height, so it fits.
        let y = slot.map(|slot| (HEIGHT - (value(slot) / highest).clamp(0.0, 1.0) * HEIGHT) as i64);
        // Writing to a string does not fail.
        let _ = match (before, y) {
            // Of no length: round ends make it a dot, should no line follow.
            (None, Some(y)) => write!(path, "M{x} {y}h0"),
            (Some(before), Some(y)) if y == before => path.write_str("h1"),
            (Some(before), Some(y)) => write!(path, "l1{}{}", if y < before { "" } else { " " }, y - before),
            (_, None) => Ok(()),
        };
        before = y;
    }
    path
}

/// `83 ms`, `1.2 s`.
fn milliseconds(value: f64) -> String {
    if value < 999.5 {
        format!("{value:.0} ms")
    } else if value < 60_000.0 {
        format!("{:.1} s", value / 1_000.0)
    } else {
        format!("{} s", grouped(value / 1_000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn lines_have_holes_where_nobody_asked() {
        let point = |half_hours: i64, p95_ms: f64| LatencyPoint {
            at: Timestamp::from_millis(half_hours * SLOT_MS),
            requests: 1,
            p50_ms: 10.0,
            p95_ms,
        };
        let slots = slots(&[point(-1, 9.0), point(0, 50.0), point(1, 100.0), point(2, 25.0), point(9, f64::NAN)], 0);
        assert_eq!(line(&slots, 100.0, |(_, p95)| p95), "M0 30h0l1-30l1 45");
        let lone = super::slots(&[point(5, 50.0)], 0);
        assert_eq!(line(&lone, 50.0, |(p50, _)| p50), "M5 48h0");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        assert_eq!(
            [0.4, 83.4, 999.6, 1_234.0, 90_000.0].map(milliseconds),
            ["0 ms", "83 ms", "1.0 s", "1.2 s", "90 s"]
        );
    }
}
