//! What is usual at this time of day: the distance to the nearest value that was seen around it on other days.

use std::collections::VecDeque;

use super::Moment;

const DAY_MS: i64 = 86_400_000;
/// Parts of a day; the parts before and after count as the same time.
const PARTS: i64 = 48;
/// Values kept of a part on one day, and in all: two weeks, so that a weekend has seen one before.
const KEPT_A_DAY: i64 = 6;
const KEPT_MAX: usize = 96;
/// Days that have to be known, and values around a time of day.
const DAYS_MIN: i64 = 2;
const VALUES_MIN: usize = 4;

/// Values by time of day (UTC).
#[derive(Debug, Clone)]
pub(super) struct Season {
    parts: Vec<VecDeque<(i64, f64)>>,
    first_ms: Option<i64>,
}

impl Season {
    pub(super) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| VecDeque::new()).collect(), first_ms: None }
    }

    /// Distance to the nearest value at this time of other days; none before two days are known.
    pub(super) fn step(&mut self, moment: &Moment) -> Option<f64> {
        let first_ms = *self.first_ms.get_or_insert(moment.timestamp_ms);
        let part = moment.timestamp_ms.rem_euclid(DAY_MS) * PARTS / DAY_MS;
        let known = moment.timestamp_ms.saturating_sub(first_ms) > DAYS_MIN * DAY_MS;
        let nearest = if known { self.nearest(moment, part) } else { None };
        self.keep(moment, part as usize);
        nearest
    }

    fn nearest(&self, moment: &Moment, part: i64) -> Option<f64> {
        let around = [part - 1, part, part + 1].map(|part| &self.parts[part.rem_euclid(PARTS) as usize]);
        let other_days = around.into_iter().flatten().filter(|(at_ms, _)| is_before(*at_ms, moment, DAY_MS / 2));
        let distances = other_days.map(|(_, value)| (value - moment.value).abs());
        let (count, nearest) = distances.fold((0, f64::INFINITY), |(n, least), d| (n + 1, f64::min(least, d)));
        (count >= VALUES_MIN).then_some(nearest)
    }

    /// Keeps a value, unless the part of this day has enough: fast series must not forget the days before.
    fn keep(&mut self, moment: &Moment, part: usize) {
        let spacing_ms = match moment.interval_ms {
            Some(interval_ms) if interval_ms < DAY_MS / PARTS / KEPT_A_DAY => DAY_MS / PARTS / KEPT_A_DAY,
            _ => 0,
        };
        let kept = &mut self.parts[part];
        if spacing_ms > 0 && kept.back().is_some_and(|(at_ms, _)| !is_before(*at_ms, moment, spacing_ms)) {
            return;
        }
        kept.push_back((moment.timestamp_ms, moment.value));
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }
}

fn is_before(at_ms: i64, moment: &Moment, by_ms: i64) -> bool {
    moment.timestamp_ms.saturating_sub(at_ms) >= by_ms
}
