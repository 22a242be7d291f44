//! From counts to the report, with what to know when reading it.

use super::buckets::Buckets;
use super::customers::CustomerTally;
use super::keys::KeyId;
use super::report::{
    CUSTOMERS_TOLD_MAX, CustomerEffect, LimitAsked, Load, Outside, PeakEffect, Report, SourceFacts, SourceKind,
};
use super::spec::{Retries, Spec};
use super::sweep;
use super::what_if::{MINUTES_MAX, WhatIf};
use super::words::{counted, rounded, share, thousands};
use super::{limiter::Algorithm, rollup};
use crate::model::{Text, did_you_mean};

/// Without incidents, a busiest minute of so many times the usual one may be a storm: no day of customers is so uneven.
const STORM_TIMES_USUAL: f64 = 5.0;

impl WhatIf {
    /// The report. `why` says why this source was taken; empty: there was no choice.
    #[must_use]
    pub fn finish(mut self, why: &str) -> Report {
        let exact = self.kind != SourceKind::RequestsByMinute;
        let usual = usual(&self);
        let outside = outside(&self);
        let (customers, customers_throttled) = customers(&self);
        let tally = |key: KeyId| self.customers.get(key.index()).map_or(0, CustomerTally::busiest_outside);
        let trials = std::mem::take(&mut self.trials);
        let common = sweep::Common {
            keys: &self.keys,
            spec: &self.spec,
            counted: self.traffic.counted,
            counted_outside: self.counted_outside,
            busiest_outside: &tally,
        };
        let mut sweep = sweep::finish(trials, &common);
        let mut traffic = self.traffic;
        traffic.throttled_most =
            if exact { traffic.throttled } else { self.keys.all().map(|key| self.most.of(key.index())).sum() };
        traffic.share_of_counted = share(traffic.throttled, traffic.counted);
        traffic.share_of_all = share(traffic.throttled, traffic.requests);
        traffic.refused_then = exact.then_some(self.refused_then);
        traffic.calls_between_services = (self.kind == SourceKind::Files).then_some(self.calls);
        let notes = notes(&self);
        let source = source_facts(&self, exact, why);
        let load = load(usual, exact, self.all, self.counted, self.not_refused_then);
        if let (Some(sweep), Some(why)) = (&mut sweep, no_calm(&load, self.incidents.is_empty())) {
            sweep.withdraw(&why);
        }
        let incidents = self.incidents.into_iter().map(|incident| incident.finish(usual, exact)).collect();
        Report {
            limit: asked(&self.spec),
            source,
            traffic,
            load,
            outside_incidents: outside,
            customers,
            customers_throttled,
            incidents,
            sweep,
            notes,
        }
    }
}

fn asked(spec: &Spec) -> LimitAsked {
    let sorted = |names: &rustc_hash::FxHashSet<Text>| {
        let mut names: Vec<Text> = names.iter().cloned().collect();
        names.sort_unstable();
        names
    };
    LimitAsked {
        rate: spec.rate,
        routes: sorted(&spec.routes),
        by: spec.by.clone(),
        burst: spec.burst,
        algorithm: spec.algorithm,
        exempt: sorted(&spec.exempt),
        retries: spec.retries,
    }
}

fn source_facts(what_if: &WhatIf, exact: bool, why: &str) -> SourceFacts {
    let precision =
        if exact { "every single request, at its logged millisecond".to_owned() } else { rollup::words(&what_if.spec) };
    let exact = exact || what_if.spec.algorithm == Algorithm::FixedWindow;
    let precision = if why.is_empty() { precision } else { format!("{why}; {precision}") };
    SourceFacts { kind: what_if.kind, from: what_if.first, until: what_if.last, exact, precision }
}

/// The median minute outside of incidents; of all minutes where there is none outside.
#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
fn usual(what_if: &WhatIf) -> f64 {
    let minutes = |any: bool| {
        let mut all: Vec<u64> = what_if.minutes.values().filter(|(_, quiet)| *quiet || any).map(|m| m.0).collect();
        all.sort_unstable();
        all
    };
    let outside = minutes(false);
    let minutes = if outside.is_empty() { minutes(true) } else { outside };
    let middle = minutes.len() / 2;
    match minutes.as_slice() {
        [] => 0.0,
        all if all.len() % 2 == 1 => all[middle] as f64,
        all => rounded((all[middle - 1] + all[middle]) as f64 / 2.0, 10.0),
    }
}

fn outside(what_if: &WhatIf) -> Outside {
    let touched = what_if.customers.iter().filter(|tally| tally.throttled_outside > 0).count();
    Outside {
        minutes: what_if.minutes.values().filter(|(_, quiet)| *quiet).count() as u64,
        counted: what_if.counted_outside,
        throttled: what_if.throttled_outside,
        share: share(what_if.throttled_outside, what_if.counted_outside),
        customers_throttled: touched as u64,
    }
}

/// Those that were throttled, or may have been, and how many.
fn customers(what_if: &WhatIf) -> (Vec<CustomerEffect>, u64) {
    let exact = what_if.kind != SourceKind::RequestsByMinute;
    let most = |key: KeyId, tally: &CustomerTally| if exact { tally.throttled } else { what_if.most.of(key.index()) };
    let mut touched: Vec<(KeyId, &CustomerTally, u64)> = what_if
        .keys
        .all()
        .filter_map(|key| what_if.customers.get(key.index()).map(|tally| (key, tally, most(key, tally))))
        .filter(|(_, tally, most)| tally.throttled > 0 || *most > 0)
        .collect();
    let throttled = touched.iter().filter(|(_, tally, _)| tally.throttled > 0).count();
    let text = |key: KeyId| what_if.keys.text(key);
    touched.sort_by(|a, b| (b.1.throttled, b.2, text(a.0)).cmp(&(a.1.throttled, a.2, text(b.0))));
    touched.truncate(CUSTOMERS_TOLD_MAX);
    let effect = |(key, tally, most): (KeyId, &CustomerTally, u64)| {
        let plan = what_if.spec.plans.get(what_if.keys.subscription(key)).cloned();
        tally.finish(text(key).clone(), plan, most)
    };
    (touched.into_iter().map(effect).collect(), throttled as u64)
}

fn load(usual: f64, exact: bool, all: [Buckets; 2], counted: [Buckets; 2], not_refused_then: Buckets) -> Load {
    let effects = |buckets: [Buckets; 2]| buckets.map(|buckets| PeakEffect::new(buckets.peaks()));
    let ([all_minute, all_second], [counted_minute, counted_second]) = (effects(all), effects(counted));
    Load {
        usual_per_minute: usual,
        times_usual_before: all_minute.times_before(usual),
        times_usual_after: all_minute.times_after(usual),
        all_minute,
        all_second: exact.then_some(all_second),
        counted_minute,
        counted_second: exact.then_some(counted_second),
        not_refused_then_minute: exact.then(|| not_refused_then.peaks().0.requests),
    }
}

/// Why nothing can be proposed: a storm that no incident tells of would be taken for what customers need.
fn no_calm(load: &Load, no_incident: bool) -> Option<String> {
    let times = load.times_usual_before;
    (no_incident && times >= STORM_TIMES_USUAL).then(|| {
        format!(
        "no incident is known in this span, but its busiest minute had {} requests, {times} times the usual: what customers \
         need cannot be told from a storm. Choose a span without it, or one whose incidents are known",
        thousands(load.all_minute.before)
    )})
}

fn notes(what_if: &WhatIf) -> Vec<String> {
    let mut notes = vec![feedback(what_if.spec.retries).to_owned()];
    notes.extend(routes_not_called(what_if));
    if what_if.spec.retries == Retries::Client {
        let (given_up, left) = (what_if.waiting.given_up, what_if.waiting.left());
        notes.push(format!(
            "of the refused requests that would have come again, {} were given up, and {} had not come again at the end",
            thousands(given_up),
            thousands(left)
        ));
    }
    if what_if.refused_then > 0 {
        notes.push(format!(
            "{} were answered 429 in the log: a limit was there already; they count as sent",
            counted(what_if.refused_then, "request")
        ));
    }
    if what_if.traffic.not_judged > 0 {
        notes.push(format!(
            "{} of keys beyond the first {} were let pass",
            counted(what_if.traffic.not_judged, "request"),
            thousands(what_if.keys.len() as u64)
        ));
    }
    if what_if.incidents_left_out > 0 {
        notes.push(format!("{} were left out", counted(what_if.incidents_left_out, "further incident")));
    }
    if what_if.minutes.len() >= MINUTES_MAX {
        notes.push("the usual minute is that of the first two months".to_owned());
    }
    if what_if.incidents.is_empty() {
        notes.push("no incident is known in this span: everything counts as outside of incidents".to_owned());
    }
    notes
}

/// Each route that was asked for and that nobody called, with the one that was perhaps meant.
fn routes_not_called(what_if: &WhatIf) -> Vec<String> {
    let seen = || what_if.routes_seen.iter().map(|route| &**route);
    let mut absent: Vec<&Text> =
        what_if.spec.routes.iter().filter(|route| !what_if.routes_seen.contains(*route)).collect();
    absent.sort_unstable();
    let note = |route: &Text| {
        let meant = did_you_mean(route, seen()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        format!("in this span nobody called the route {route}{meant}")
    };
    absent.into_iter().map(note).collect()
}

/// What the answer leaves out, because the past cannot be run again.
fn feedback(retries: Retries) -> &'static str {
    match retries {
        Retries::AsLogged => {
            "as logged: every request that was sent is offered to the limit, and a refusal changes nothing that follows. \
             A client that repeats what is refused would send more than this; failures that the limit prevents would \
             not have been repeated, and so it would be less. Which of them weighs more, the log cannot tell"
        }
        Retries::None => {
            "first attempts only: what would be left of the load, before and after, if no client repeated anything. \
             Where the log does not number attempts, repeats count as first attempts"
        }
        Retries::Client => {
            "a refused request that was answered well then comes again after 1, 2 and 4 s, at most three times; one that \
             failed then is repeated in the log as its client did. Failures that the limit prevents would not have been \
             repeated: that is still not seen"
        }
    }
}
