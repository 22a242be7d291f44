//! What an objective is about: a service, a route, a customer; and which requests of it count as bad.

use serde::{Deserialize, Serialize};

use super::outcome_sums::Sums;
use crate::detect::Scene;
use crate::flow::{CellKey, Name, Names, latency_bucket};
use crate::model::{Dimension, Dimensions, Text};

/// Narrows an objective down. What is left out is not narrowed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveSelector {
    /// Name of the objective, a label of its alerts. It tells rules of the same alert and severity apart.
    pub objective: String,
    /// Requests to this service only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Requests of this route only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Requests of this subscription only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// A request served later than this is as bad as a failed one; exact to 9 %. What is neither (4xx, given up) does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms_max: Option<f64>,
}

/// A selector in terms of a log's interned names.
#[derive(Debug, Clone, Copy)]
struct Selected {
    service: Option<Name>,
    route: Option<Name>,
    subscription: Option<Name>,
}

impl Selected {
    fn has(&self, key: &CellKey) -> bool {
        let fits = |wanted: Option<Name>, name: Name| wanted.is_none_or(|wanted| wanted == name);
        self.has_hop(key.service, key.route) && fits(self.subscription, key.subscription)
    }

    fn has_hop(&self, service: Name, route: Name) -> bool {
        let fits = |wanted: Option<Name>, name: Name| wanted.is_none_or(|wanted| wanted == name);
        fits(self.service, service) && fits(self.route, route)
    }
}

impl ObjectiveSelector {
    /// Labels of its alerts.
    #[must_use]
    pub fn labels(&self) -> Dimensions {
        let pairs = [
            (Dimension::Objective, Some(&self.objective).filter(|name| !name.is_empty())),
            (Dimension::Service, self.service.as_ref()),
            (Dimension::Route, self.route.as_ref()),
            (Dimension::Subscription, self.subscription.as_ref()),
        ];
        Dimensions::new(pairs.into_iter().filter_map(|(dimension, value)| Some((dimension, Text::from(value?)))))
    }

    /// Who it is about, for a sentence.
    #[must_use]
    pub fn who(&self) -> String {
        let mut labels = self.labels();
        labels.0.remove(&Dimension::Objective);
        if labels.is_empty() { "the platform".to_owned() } else { labels.to_string() }
    }

    /// What happened to its bad requests, for a sentence.
    #[must_use]
    pub fn bad(&self) -> String {
        self.duration_ms_max.map_or_else(|| "failed".to_owned(), |max| format!("failed or took longer than {max} ms"))
    }

    /// The names it selects; nothing while one of them was never seen.
    fn selected(&self, names: &Names) -> Option<Selected> {
        let known = |text: &Option<String>| match text {
            Some(text) => names.known(text).map(Some),
            None => Some(None),
        };
        let (service, route) = (known(&self.service)?, known(&self.route)?);
        Some(Selected { service, route, subscription: known(&self.subscription)? })
    }

    /// Its requests of the window, and those of them that are bad. 429 is the platform doing what it promised.
    #[must_use]
    pub fn sums(&self, scene: &Scene<'_>) -> Sums {
        let Some(selected) = self.selected(scene.names) else { return Sums::default() };
        let mut sums = Sums::default();
        for (_, cell) in scene.window.cells.iter().filter(|(key, _)| selected.has(key)) {
            sums.add(Sums { failures: cell.server_errors, requests: cell.requests });
        }
        #[allow(clippy::cast_possible_truncation)] // single precision, as durations are counted
        if let Some(bucket) = self.duration_ms_max.map(|max| latency_bucket(max as f32)) {
            let groups = scene.window.latencies.iter();
            let own = groups.filter(|((service, route), _)| selected.has_hop(*service, *route));
            // Only what is served has a duration that counts: the rest (4xx, given up) would pass for fast.
            sums.requests = sums.failures;
            for (_, latencies) in own {
                sums.add(Sums { failures: latencies.count_above(bucket), requests: latencies.count() });
            }
        }
        sums
    }

    /// Whether a request belongs to it.
    pub fn filter<'a>(&self, names: &Names) -> impl Fn(&CellKey) -> bool + use<'a> {
        let selected = self.selected(names);
        move |key: &CellKey| selected.is_some_and(|selected| selected.has(key))
    }
}

/// The services of a list, as a log's names.
#[must_use]
pub fn known_services(services: &[String], names: &Names) -> Vec<Name> {
    services.iter().filter_map(|service| names.known(service)).collect()
}
