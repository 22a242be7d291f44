//! Other rates over the same requests, and which of them to take.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::buckets::Buckets;
use super::keys::{KeyId, Keys};
use super::limiter::Limiter;
use super::rate::{Rate, two_digits};
use super::report::{PlanProposal, Proposal, Sweep, SweepPoint};
use super::spec::{SWEEP_POINTS, Spec};
use super::words::{counted, percent, share, thousands};
use crate::model::{DurationMs, Text, Timestamp};

/// Room above the busiest healthy customer: next week is a little busier than this one.
const MARGIN: f64 = 1.25;
/// A rate that touches no more than this many customers is worth naming them.
const FEW_CUSTOMERS: u64 = 3;
/// Customers that are in no plan.
const NO_PLAN: &str = "(none)";

/// One rate at work.
#[derive(Debug)]
pub(super) struct Trial {
    limiter: Limiter,
    throttled: u64,
    throttled_outside: u64,
    touched: FxHashSet<KeyId>,
    touched_outside: FxHashSet<KeyId>,
    /// Load in incidents.
    minutes: Buckets,
}

/// The limiters of a sweep.
pub(super) fn trials(spec: &Spec) -> Vec<Trial> {
    let rates = spec.sweep.map(|range| range.rates(SWEEP_POINTS)).unwrap_or_default();
    let trial = |rate| Trial {
        limiter: Limiter::new(spec.algorithm, rate, spec.burst),
        throttled: 0,
        throttled_outside: 0,
        touched: FxHashSet::default(),
        touched_outside: FxHashSet::default(),
        minutes: Buckets::new(60_000),
    };
    rates.into_iter().map(trial).collect()
}

impl Trial {
    /// Offers requests of a key that the limit counts; `in_incident` and how many there were otherwise are for the load.
    pub(super) fn offer(&mut self, key: KeyId, (at, lasts_ms): (Timestamp, DurationMs), sent: u64, outside: bool) {
        let passed = match lasts_ms {
            0 => u64::from(self.limiter.admit(key, at)),
            _ => self.limiter.admit_minute(key, at, sent),
        };
        let throttled = sent - passed;
        if throttled > 0 {
            self.throttled += throttled;
            self.touched.insert(key);
            if outside {
                self.throttled_outside += throttled;
                self.touched_outside.insert(key);
            }
        }
        if !outside {
            self.minutes.add(at, sent, passed);
        }
    }

    /// Load in an incident that the limit does not count.
    pub(super) fn pass(&mut self, at: Timestamp, sent: u64) {
        self.minutes.add(at, sent, sent);
    }
}

/// What all trials had in common.
pub(super) struct Common<'a> {
    pub(super) keys: &'a Keys,
    pub(super) spec: &'a Spec,
    /// Requests that the limit counts: all, and those outside of incidents.
    pub(super) counted: u64,
    pub(super) counted_outside: u64,
    /// The busiest minute outside of incidents, of each key.
    pub(super) busiest_outside: &'a dyn Fn(KeyId) -> u64,
}

/// The curve and the proposals; `None` without trials.
pub(super) fn finish(trials: Vec<Trial>, common: &Common<'_>) -> Option<Sweep> {
    let mut points = Vec::new();
    let mut touched = Vec::new();
    for trial in trials {
        let (before, after) = trial.minutes.peaks();
        points.push(SweepPoint {
            rate: trial.limiter.rate(),
            throttled_share_outside: share(trial.throttled_outside, common.counted_outside),
            throttled_outside: trial.throttled_outside,
            customers_outside: trial.touched_outside.len() as u64,
            customers: trial.touched.len() as u64,
            throttled_share: share(trial.throttled, common.counted),
            incident_peak_after: after.requests,
            incident_peak_ratio: if before.requests == 0 { 1.0 } else { share(after.requests, before.requests) },
        });
        touched.push((trial.limiter.rate(), trial.touched_outside));
    }
    if points.is_empty() {
        return None;
    }
    let proposal = proposal(&points, &touched, common);
    let plans = plan_proposals(&touched, common);
    Some(Sweep { points, proposal, plans })
}

impl Sweep {
    /// Proposes nothing, for this reason.
    pub(super) fn withdraw(&mut self, why: &str) {
        let nothing = || Proposal { rate: None, reason: why.to_owned() };
        self.proposal = nothing();
        self.plans.iter_mut().for_each(|plan| plan.proposal = nothing());
    }
}

/// The least rate from which on nobody is touched outside of incidents.
fn least_untouched(touched: &[(Rate, FxHashSet<KeyId>)], of: &dyn Fn(KeyId) -> bool) -> Option<Rate> {
    let clear = |set: &FxHashSet<KeyId>| !set.iter().any(|key| of(*key));
    touched.iter().rev().take_while(|(_, set)| clear(set)).last().map(|(rate, _)| *rate)
}

/// That rate with its margin.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn with_margin(rate: Rate) -> Rate {
    rate.with_requests(two_digits((rate.requests as f64 * MARGIN).ceil() as u64))
}

fn proposal(points: &[SweepPoint], touched: &[(Rate, FxHashSet<KeyId>)], common: &Common<'_>) -> Proposal {
    let Some(least) = least_untouched(touched, &|_| true) else {
        let greatest = points.last().map_or(0, |point| point.customers_outside);
        let held_up = held_up(touched, common);
        let reason = format!(
            "even the greatest rate of the range refuses requests of {} outside of incidents{held_up}",
            counted(greatest, "customer")
        );
        return Proposal { rate: None, reason };
    };
    let rate = with_margin(least);
    let effect = points.iter().find(|point| point.rate.requests >= rate.requests).map(|point| {
        let ratio = point.incident_peak_ratio;
        format!(
            "; at {} the busiest minute of incidents would have been {} ({} of what it was)",
            point.rate,
            thousands(point.incident_peak_after),
            percent(ratio)
        )
    });
    let lowest = points.first().is_some_and(|point| point.rate == least);
    let reason = format!(
        "from {least} on{} nobody is refused anything outside of incidents; {rate} leaves room of a quarter{}{}",
        if lowest { ", the least that was tried," } else { "" },
        effect.unwrap_or_default(),
        held_up(touched, common)
    );
    Proposal { rate: Some(rate), reason }
}

/// Who alone asks for so high a rate.
fn held_up(touched: &[(Rate, FxHashSet<KeyId>)], common: &Common<'_>) -> String {
    let few = touched.iter().rev().take_while(|(_, set)| set.len() as u64 <= FEW_CUSTOMERS).last();
    let all = touched.iter().rev().take_while(|(_, set)| set.is_empty()).last();
    // Worth a word where it makes much of a difference, and these are few among many.
    let lower = |rate: &Rate| all.is_none_or(|(all, _)| rate.requests * 2 <= all.requests);
    let among_many = |set: &FxHashSet<KeyId>| set.len() * 10 <= common.keys.len();
    let few = few.filter(|(rate, set)| !set.is_empty() && lower(rate) && among_many(set));
    let Some((rate, set)) = few else { return String::new() };
    let mut named: Vec<(u64, &Text)> =
        set.iter().map(|key| ((common.busiest_outside)(*key), common.keys.text(*key))).collect();
    named.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
    let names: Vec<String> =
        named.iter().map(|(busiest, key)| format!("{key} ({} in its busiest minute)", thousands(*busiest))).collect();
    format!(
        "; at {rate} only {} would be touched: exempt them, or talk to them, and a lower limit will do",
        names.join(", ")
    )
}

fn plan_proposals(touched: &[(Rate, FxHashSet<KeyId>)], common: &Common<'_>) -> Vec<PlanProposal> {
    if common.spec.plans.is_empty() {
        return Vec::new();
    }
    let plan_of = |key: KeyId| {
        common.spec.plans.get(common.keys.subscription(key)).cloned().unwrap_or_else(|| Text::from(NO_PLAN))
    };
    let mut customers: BTreeMap<Text, u64> = BTreeMap::new();
    for key in common.keys.all() {
        *customers.entry(plan_of(key)).or_default() += 1;
    }
    let one = |(plan, customers): (Text, u64)| {
        let least = least_untouched(touched, &|key| plan_of(key) == plan);
        let rate = least.map(with_margin);
        let reason = match (least, rate) {
            (Some(least), Some(rate)) => {
                format!(
                    "from {least} on nobody of the plan is refused anything outside of incidents; {rate} leaves room"
                )
            }
            _ => "even the greatest rate of the range refuses requests outside of incidents".to_owned(),
        };
        PlanProposal { plan, customers, proposal: Proposal { rate, reason } }
    };
    customers.into_iter().map(one).collect()
}
