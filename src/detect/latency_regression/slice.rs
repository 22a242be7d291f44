//! Whose requests are the slow ones: a client version, or a subscription, if the others' are not.

use std::collections::BTreeMap;

use super::super::Scene;
use super::super::words::percent;
use crate::flow::{Cell, CellKey, Name};
use crate::model::{Dimension, Dimensions, Text};

/// Requests a slice must have to be named.
const REQUESTS_MIN: u64 = 20;
/// How many times slower than all others it must be.
const FACTOR_MIN: f64 = 2.0;
/// Share of the additional time it must make.
const EXCESS_SHARE_MIN: f64 = 0.8;
/// A slice of nearly everything is no slice.
const REQUESTS_SHARE_MAX: f64 = 0.9;

/// The slice of the routes' requests of the last minute that takes the additional time: its dimensions, its share of
/// it, and the numbers in words. Nothing when there is none.
pub fn narrowest(service: Name, routes: &[Name], scene: &Scene<'_>) -> Option<(Dimensions, f64, String)> {
    let of = |dimension, name| slowest(dimension, name, service, routes, scene);
    of(Dimension::ClientVersion, |key| key.client_version)
        .or_else(|| of(Dimension::Subscription, |key| key.subscription))
}

fn slowest(
    dimension: Dimension,
    name: fn(&CellKey) -> Name,
    service: Name,
    routes: &[Name],
    scene: &Scene<'_>,
) -> Option<(Dimensions, f64, String)> {
    let mut all = Cell::default();
    let mut values: BTreeMap<&Text, Cell> = BTreeMap::new();
    for (key, cell) in scene.recent.cells() {
        if key.service != service || !routes.contains(&key.route) {
            continue;
        }
        all.add(cell);
        if !name(key).is_absent() && name(key) != Name::OTHER {
            values.entry(scene.names.text(name(key))).or_default().add(cell);
        }
    }
    let slowest = |(value, own): (&Text, Cell)| {
        let mut others = all;
        others.subtract(&own);
        let (mean, mean_of_others) = (own.duration_ms_mean(), others.duration_ms_mean());
        #[allow(clippy::cast_precision_loss)]
        let (requests, of_all) = (own.requests as f64, all.requests as f64);
        let excess = requests * (mean - mean_of_others);
        let named = own.requests >= REQUESTS_MIN
            && others.requests >= REQUESTS_MIN
            && requests <= REQUESTS_SHARE_MAX * of_all
            && mean >= FACTOR_MIN * mean_of_others;
        named.then_some((value.clone(), own, mean, mean_of_others, excess))
    };
    let found: Vec<_> = values.into_iter().filter_map(slowest).collect();
    let total: f64 = found.iter().map(|(_, _, _, _, excess)| excess).sum();
    let (value, own, mean, mean_of_others, excess) = found
        .into_iter()
        .rev()
        .max_by(|a, b| a.4.total_cmp(&b.4))
        .filter(|found| found.4 >= EXCESS_SHARE_MIN * total)?;
    let words = format!(
        "{} = {value} takes {mean:.0} ms on average, all others {mean_of_others:.0} ms; it makes {} of the requests",
        dimension.as_str(),
        percent(crate::flow::ratio(own.requests, all.requests)),
    );
    Some((Dimensions::new([(dimension, value)]), (excess / total).min(1.0), words))
}
