//! When customers begin workflows: a Poisson process whose rate follows the day and the cohort's surges.

use super::plan::{Cohort, micros};
use super::random::Stream;
use super::scenario::DailySpec;
use super::schedule::{Micros, SECOND_US};

/// The rate is taken as bounded by one number for this long; short beside any change of the daily shape.
const SEGMENT_US: Micros = 60 * SECOND_US;
const DAY_US: f64 = 86_400e6;

/// The day's factor at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Daily {
    pub spec: Option<DailySpec>,
    /// Microseconds from midnight UTC to the scenario's start.
    pub start_of_day_us: Micros,
}

impl Daily {
    fn factor(&self, time_us: Micros) -> f64 {
        self.spec.map_or(1.0, |spec| {
            let from_peak = (self.start_of_day_us + time_us) as f64 / DAY_US - spec.peak_hour / 24.0;
            1.0 + spec.amplitude * libm::cos(std::f64::consts::TAU * from_peak)
        })
    }
}

/// Bursts of a cohort per second at a moment.
fn rate(cohort: &Cohort, daily: &Daily, time_us: Micros) -> f64 {
    let surge: f64 = cohort
        .surges
        .iter()
        .filter(|s| (micros(s.at)..micros(s.at) + micros(s.lasts)).contains(&time_us))
        .map(|s| s.factor)
        .product();
    cohort.workflows_per_second / cohort.burst_mean * daily.factor(time_us) * surge
}

/// The highest that rate gets between two moments.
fn rate_max(cohort: &Cohort, daily: &Daily, from_us: Micros, to_us: Micros) -> f64 {
    let overlaps = cohort.surges.iter().filter(|s| micros(s.at) < to_us && micros(s.at) + micros(s.lasts) > from_us);
    let surge: f64 = overlaps.map(|s| s.factor.max(1.0)).product();
    // Over one minute the cosine moves by less than 2π/1440 of its amplitude.
    let day = daily.factor(from_us) + daily.spec.map_or(0.0, |spec| 0.005 * spec.amplitude);
    cohort.workflows_per_second / cohort.burst_mean * day * surge
}

/// The next arrival after `now_us`, or `None` when there is none before `end_us` (thinning, Lewis and Shedler 1979).
pub(super) fn next_arrival(
    cohort: &Cohort,
    daily: &Daily,
    now_us: Micros,
    end_us: Micros,
    stream: &mut Stream,
) -> Option<Micros> {
    let mut time_us = now_us;
    while time_us < end_us {
        let segment_end_us = (time_us.div_euclid(SEGMENT_US) + 1) * SEGMENT_US;
        let bound = rate_max(cohort, daily, time_us, segment_end_us);
        let gap_us = if bound > 0.0 { stream.exponential(1e6 / bound) } else { f64::INFINITY };
        if gap_us >= (segment_end_us - time_us) as f64 {
            // The process has no memory: drawing anew from the segment's end is the same process.
            time_us = segment_end_us;
            continue;
        }
        // At least one microsecond: two arrivals of a cohort never coincide, so the loop always moves on.
        time_us += (gap_us as Micros).max(1);
        if stream.unit() * bound < rate(cohort, daily, time_us) {
            return Some(time_us).filter(|time_us| *time_us < end_us);
        }
    }
    None
}
