//! Many runs as one row: a scenario, or all of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::poisson::upper_bound;
use super::run::CaseOutcome;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ratio {
    /// That are so.
    pub hits: u64,
    /// Of these.
    pub of: u64,
}

impl Ratio {
    /// Counts one more.
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }

    /// As a share; absent when nothing was counted.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }
}

/// What a group of runs shows.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Group {
    /// Scenario, or `total`.
    pub name: String,
    /// Runs.
    pub runs: u64,
    /// Events.
    pub events: u64,
    /// Virtual days.
    pub days: f64,
    /// Expected alerts that fired.
    pub recall: Ratio,
    /// The same by amplitude; scenarios without one are under `-`.
    pub recall_by_amplitude: BTreeMap<String, Ratio>,
    /// Pages that were right.
    pub precision: Ratio,
    /// From the onset to the first expected alert, in seconds, in order.
    #[serde(skip)]
    pub delays_s: Vec<f64>,
    /// Half of them are at most this.
    pub delay_s_p50: Option<f64>,
    /// Nineteen of twenty are at most this.
    pub delay_s_p95: Option<f64>,
    /// Runs in which the right cause came first.
    pub cause_first: Ratio,
    /// Runs in which red herrings were refused.
    pub red_herrings_refused: Ratio,
    /// Unexpected warnings.
    pub tickets_unexpected: u64,
    /// Pages in quiet runs, and virtual days of these.
    pub quiet_pages: u64,
    /// Virtual days of quiet runs.
    pub quiet_days: f64,
    /// Weeks × 100,000 subscriptions of quiet runs.
    pub quiet_exposure: f64,
    /// False pages a week and 100,000 subscriptions.
    pub false_pages_per_week: Option<f64>,
    /// Its exact one-sided 95 % upper bound.
    pub false_pages_per_week_max: Option<f64>,
}

/// All rows.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Summary {
    /// One a scenario, by name.
    pub scenarios: Vec<Group>,
    /// All runs.
    pub total: Group,
    /// Those runs whose first expected alert is a retry storm, all at 60 requests a minute and more: at 10×.
    pub storms: Group,
    /// The same at 3×.
    pub storms_at_3: Group,
}

/// Sums outcomes up.
#[must_use]
pub fn summarise(outcomes: &[CaseOutcome]) -> Summary {
    let mut scenarios: BTreeMap<&str, Group> = BTreeMap::new();
    let mut total = Group { name: "total".to_owned(), ..Group::default() };
    let mut storms = Group { name: "storms".to_owned(), ..Group::default() };
    let mut storms_at_3 = Group { name: "storms at 3×".to_owned(), ..Group::default() };
    for outcome in outcomes {
        scenarios.entry(&outcome.scenario).or_default().add(outcome);
        total.add(outcome);
        let first = outcome.score.expected.first();
        if first.is_some_and(|first| first.alert == crate::model::AlertName::RetryAmplification) {
            match outcome.amplitude {
                Some(amplitude) if amplitude < 3.0 => {}
                Some(amplitude) if amplitude < 10.0 => storms_at_3.add(outcome),
                _ => storms.add(outcome),
            }
        }
    }
    let scenarios = scenarios.into_iter().map(|(name, group)| Group { name: name.to_owned(), ..group }.finished());
    Summary {
        scenarios: scenarios.collect(),
        total: total.finished(),
        storms: storms.finished(),
        storms_at_3: storms_at_3.finished(),
    }
}

impl Group {
    fn add(&mut self, outcome: &CaseOutcome) {
        let score = &outcome.score;
        self.runs += 1;
        self.events += outcome.events;
        self.days += outcome.days;
        let amplitude = outcome.amplitude.map_or_else(|| "-".to_owned(), |amplitude| amplitude.to_string());
        for expected in &score.expected {
            self.recall.add(expected.delay_ms.is_some());
            self.recall_by_amplitude.entry(amplitude.clone()).or_default().add(expected.delay_ms.is_some());
        }
        self.precision.hits += score.pages_true;
        self.precision.of += score.pages;
        self.delays_s.extend(score.delay_ms.map(|delay_ms| delay_ms as f64 / 1_000.0));
        for (ratio, answer) in
            [(&mut self.cause_first, score.cause_first), (&mut self.red_herrings_refused, score.red_herrings_refused)]
        {
            answer.into_iter().for_each(|hit| ratio.add(hit));
        }
        self.tickets_unexpected += score.tickets_unexpected;
        if score.quiet {
            self.quiet_pages += score.pages;
            self.quiet_days += outcome.days;
            self.quiet_exposure += outcome.days / 7.0 * outcome.subscriptions as f64 / 100_000.0;
        }
    }

    fn finished(mut self) -> Self {
        self.delays_s.sort_by(f64::total_cmp);
        self.delay_s_p50 = quantile(&self.delays_s, 0.5);
        self.delay_s_p95 = quantile(&self.delays_s, 0.95);
        if self.quiet_exposure > 0.0 {
            self.false_pages_per_week = Some(self.quiet_pages as f64 / self.quiet_exposure);
            self.false_pages_per_week_max = Some(upper_bound(self.quiet_pages) / self.quiet_exposure);
        }
        self
    }

    /// Recall of some amplitudes together.
    #[must_use]
    pub fn recall_at(&self, amplitudes: &[&str]) -> Ratio {
        let chosen = self.recall_by_amplitude.iter().filter(|(amplitude, _)| amplitudes.contains(&amplitude.as_str()));
        chosen.fold(Ratio::default(), |sum, (_, ratio)| Ratio { hits: sum.hits + ratio.hits, of: sum.of + ratio.of })
    }
}

/// The smallest value that at least this share of the sorted values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}
