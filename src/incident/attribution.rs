//! What failing requests have in common: an exact search of up to three dimensions, and who is held against it.
//!
//! The search is that of `floodmark attribute` (docs/attribution.md). What it finds is told when it fails far more often
//! than what is left (risk ratio, MacroBase, SIGMOD'17: 3) and, with the others found, explains most failures
//! (explanatory power, Adtributor, NSDI'14: T_EP = 0.67).

use rustc_hash::{FxHashMap, FxHashSet};

use super::ranked::{Counted, ranked_causes};
use crate::detect::statistics::{wilson_lower, wilson_upper};
use crate::detect::{percent, rounded};
use crate::flow::{Cell, CellKey, Name, Names, Recent, ratio};
use crate::model::{Cause, Confidence, Dimension, Dimensions};

const EXPLANATORY_POWER_MIN: f64 = 0.67;
const RISK_RATIO_MIN: f64 = 3.0;
/// Confidence of the compared intervals, in standard deviations (one-sided 97.5 %).
const INTERVAL_Z: f64 = 1.96;
/// Fewer failures have nothing in common but chance.
const FAILURES_MIN: u64 = 10;
/// A value with fewer of the failures is no cause (a further cause explains a tenth of them): it is not told apart, so that
/// the search stays small, with at most twenty values in each dimension.
const VALUE_SHARE_MIN: f64 = 0.05;

/// The dimensions of a request that a cause can be narrowed to.
const DIMENSIONS: [Dimension; 5] =
    [Dimension::Subscription, Dimension::Client, Dimension::ClientVersion, Dimension::Caller, Dimension::Route];

fn values_of(key: &CellKey) -> [Name; 5] {
    [key.subscription, key.client, key.client_version, key.caller, key.route]
}

/// Ranked causes of the failures (5xx) of one service over the last minute. Without a narrower culprit the one cause has
/// empty dimensions and says so.
#[must_use]
pub fn failing_slices(recent: &Recent, service: Option<&str>, names: &Names) -> Vec<Cause> {
    let of_service = |key: &CellKey| names.text(key.service) == service.unwrap_or("");
    let cells: Vec<(&CellKey, &Cell)> = recent.cells().filter(|(key, _)| of_service(key)).collect();
    let mut all = Cell::default();
    cells.iter().for_each(|(_, cell)| all.add(cell));
    let found = if all.server_errors >= FAILURES_MIN { narrower(&cells, &all, names) } else { Vec::new() };
    if !found.is_empty() {
        return found;
    }
    vec![Cause {
        dimensions: Dimensions::default(),
        share: 1.0,
        confidence: Confidence::Low,
        evidence: format!(
            "no narrower culprit: {} of all requests fail, spread over subscriptions, versions and routes",
            percent(ratio(all.server_errors, all.requests))
        ),
    }]
}

fn narrower(cells: &[(&CellKey, &Cell)], all: &Cell, names: &Names) -> Vec<Cause> {
    let counted = counted(cells, all, names);
    let mut causes = ranked_causes(&counted);
    causes.retain(|cause| !cause.dimensions.is_empty());
    let describes = |cause: &Cause, one: &Counted| {
        cause.dimensions.0.iter().all(|(dimension, value)| one.dimensions.get(*dimension) == Some(value))
    };
    let sums = |of: &dyn Fn(&Counted) -> bool| {
        let those = counted.iter().filter(|one| of(one));
        those.fold((0, 0), |(bad, total), one| (bad + one.bad, total + one.total))
    };
    let (bad, total) = sums(&|one| !causes.iter().any(|cause| describes(cause, one)));
    if ratio(all.server_errors - bad, all.server_errors) < EXPLANATORY_POWER_MIN {
        return Vec::new();
    }
    let others = wilson_upper(bad, total, INTERVAL_Z);
    let told = causes.iter().filter_map(|cause| {
        let (failures, requests) = sums(&|one| describes(cause, one));
        // Little outside to compare with says little: the interval's ends are compared, not the ratios.
        let stands_out = wilson_lower(failures, requests, INTERVAL_Z) >= RISK_RATIO_MIN * others;
        let share = ratio(failures, all.server_errors);
        stands_out.then(|| Cause {
            dimensions: cause.dimensions.clone(),
            share: rounded(share),
            confidence: Confidence::Medium,
            evidence: format!(
                "{} of the failures; {} of its requests fail, {} of all others",
                percent(share),
                percent(ratio(failures, requests)),
                percent(ratio(bad, total))
            ),
        })
    });
    told.collect()
}

/// The cells with only those values told apart that can make a cause: with enough failures, and not those of all requests.
fn counted(cells: &[(&CellKey, &Cell)], all: &Cell, names: &Names) -> Vec<Counted> {
    let mut failures: [FxHashMap<Name, u64>; 5] = Default::default();
    for (key, cell) in cells {
        for (failures, name) in failures.iter_mut().zip(values_of(key)) {
            *failures.entry(name).or_default() += cell.server_errors;
        }
    }
    let enough = |failures: &u64| ratio(*failures, all.server_errors) >= VALUE_SHARE_MIN;
    failures.iter_mut().for_each(|failures| failures.retain(|_, failures| enough(failures)));
    let mut values: [FxHashSet<Name>; 5] = Default::default();
    let mut sums: FxHashMap<[Name; 5], (u64, u64)> = FxHashMap::default();
    for (key, cell) in cells {
        let mut own = values_of(key);
        for ((name, failures), values) in own.iter_mut().zip(&failures).zip(&mut values) {
            *name = if failures.contains_key(name) { *name } else { Name::ABSENT };
            values.insert(*name);
        }
        let sum = sums.entry(own).or_default();
        *sum = (sum.0 + cell.server_errors, sum.1 + cell.requests);
    }
    let differs = values.map(|values| values.len() > 1);
    let as_counted = |(own, (bad, total)): ([Name; 5], (u64, u64))| {
        let present = DIMENSIONS.into_iter().zip(own).zip(differs);
        let present = present.filter(|((_, name), differs)| *differs && !name.is_absent());
        let dimensions = Dimensions::new(present.map(|((dimension, name), _)| (dimension, names.text(name).clone())));
        Counted { dimensions, bad, total }
    };
    sums.into_iter().map(as_counted).collect()
}

/// Share of a service's requests over the last minute that a culprit makes.
#[must_use]
pub fn share_of_requests(recent: &Recent, service: Option<&str>, culprit: &Dimensions, names: &Names) -> f64 {
    let (mut own, mut all) = (0, 0);
    for (key, cell) in recent.cells() {
        if service.is_none_or(|service| names.text(key.service) == service) {
            all += cell.requests;
            own += if matches(key, culprit, names) { cell.requests } else { 0 };
        }
    }
    ratio(own, all)
}

/// Whether a request belongs to what `dimensions` describe.
#[must_use]
pub fn matches(key: &CellKey, dimensions: &Dimensions, names: &Names) -> bool {
    dimensions.0.iter().all(|(dimension, value)| {
        let name = match dimension {
            // A name that people gave; it narrows nothing.
            Dimension::Objective => return true,
            Dimension::Subscription => key.subscription,
            Dimension::Client => key.client,
            Dimension::ClientVersion => key.client_version,
            Dimension::Service => key.service,
            Dimension::Caller => key.caller,
            Dimension::Route => key.route,
            Dimension::Source
            | Dimension::Node
            | Dimension::Fingerprint
            | Dimension::Origin
            | Dimension::Version
            | Dimension::Limit => return false,
        };
        names.text(name) == value
    })
}
