//! What failing requests have in common: an exact search over one and two dimensions.
//!
//! A slice explains failures when it holds most of them (explanatory power, Adtributor, NSDI'14: T_EP = 0.67) and fails
//! far more often than the rest (risk ratio, MacroBase, SIGMOD'17: 3). Fewer dimensions win; then the smaller slice.

use rustc_hash::FxHashMap;

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

/// A slice: one or two dimensions with their values.
type Slice = [Option<(Dimension, Name)>; 2];

/// The dimensions of a request that a cause can be narrowed to.
fn dimensions_of(key: &CellKey) -> [(Dimension, Name); 5] {
    [
        (Dimension::Subscription, key.subscription),
        (Dimension::ClientVersion, key.client_version),
        (Dimension::Client, key.client),
        (Dimension::Caller, key.caller),
        (Dimension::Route, key.route),
    ]
}

/// Causes of the failures (5xx) of one service over the last minute. Without a narrower culprit the one cause has empty
/// dimensions and says so.
#[must_use]
pub fn failing_slices(recent: &Recent, service: Option<&str>, names: &Names) -> Vec<Cause> {
    let of_service = |key: &CellKey| names.text(key.service) == service.unwrap_or("");
    let cells: Vec<(&CellKey, &Cell)> = recent.cells().filter(|(key, _)| of_service(key)).collect();
    let mut all = Cell::default();
    cells.iter().for_each(|(_, cell)| all.add(cell));
    let narrowest = (all.server_errors >= FAILURES_MIN).then(|| narrowest(&cells, &all, names)).flatten();
    vec![narrowest.unwrap_or_else(|| Cause {
        dimensions: Dimensions::default(),
        share: 1.0,
        confidence: Confidence::Low,
        evidence: format!(
            "no narrower culprit: {} of all requests fail, spread over subscriptions, versions and routes",
            percent(ratio(all.server_errors, all.requests))
        ),
    })]
}

fn narrowest(cells: &[(&CellKey, &Cell)], all: &Cell, names: &Names) -> Option<Cause> {
    let mut slices: FxHashMap<Slice, Cell> = FxHashMap::default();
    for (key, cell) in cells {
        let present: Vec<_> = dimensions_of(key).into_iter().filter(|(_, name)| !name.is_absent()).collect();
        for (i, first) in present.iter().enumerate() {
            slices.entry([Some(*first), None]).or_default().add(cell);
            for second in &present[i + 1..] {
                slices.entry([Some(*first), Some(*second)]).or_default().add(cell);
            }
        }
    }
    let mut explaining: Vec<(usize, u64, Dimensions, Cell)> = slices
        .into_iter()
        .filter(|(_, inside)| explains(inside, all))
        .map(|(slice, inside)| {
            let pairs = slice.into_iter().flatten();
            let dimensions = Dimensions::new(pairs.map(|(dimension, name)| (dimension, names.text(name).clone())));
            (dimensions.0.len(), inside.requests, dimensions, inside)
        })
        .collect();
    explaining.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    let (_, _, dimensions, inside) = explaining.into_iter().next()?;
    let outside_ratio = ratio(all.server_errors - inside.server_errors, all.requests - inside.requests);
    Some(Cause {
        evidence: format!(
            "{} of the failures; {} of its requests fail, {} of all others",
            percent(ratio(inside.server_errors, all.server_errors)),
            percent(ratio(inside.server_errors, inside.requests)),
            percent(outside_ratio)
        ),
        dimensions,
        share: rounded(ratio(inside.server_errors, all.server_errors)),
        confidence: Confidence::Medium,
    })
}

fn explains(inside: &Cell, all: &Cell) -> bool {
    let (failures, requests) = (all.server_errors - inside.server_errors, all.requests - inside.requests);
    // Little outside to compare with says little: the interval's ends are compared, not the ratios.
    ratio(inside.server_errors, all.server_errors) >= EXPLANATORY_POWER_MIN
        && wilson_lower(inside.server_errors, inside.requests, INTERVAL_Z)
            >= RISK_RATIO_MIN * wilson_upper(failures, requests, INTERVAL_Z)
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
