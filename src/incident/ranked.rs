//! Causes from counts: which dimension values the bad ones have in common.

use super::lattice::{DIMENSIONS_MAX, Measure, Moment, Options, RootCause, TableBuilder, explain};
use crate::model::{Cause, Dimension, Dimensions, Text};

/// What one combination of dimension values counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// What is known of it; a dimension that is absent here cannot be part of a cause by it.
    pub dimensions: Dimensions,
    /// Bad ones: failures, retries, anything that there should be less of.
    pub bad: u64,
    /// All of them.
    pub total: u64,
}

/// Causes looked for; each takes a search.
const CAUSES_MAX: usize = 3;
/// Dimensions a cause can name, the likeliest first: they end up in a [`Cause`] sorted anyway.
const SEARCHED: [Dimension; 6] = Dimension::OF_REQUESTS;
const _: () = assert!(SEARCHED.len() <= DIMENSIONS_MAX);

/// The ranked causes of bad ones: every one is one too many. Empty when nothing stands out, or when there are more
/// combinations than can be searched; a cause with empty dimensions says that everything is hit alike.
///
/// The result does not depend on the order of the counts.
#[must_use]
pub fn ranked_causes(counted: &[Counted]) -> Vec<Cause> {
    let names: Vec<String> = SEARCHED.iter().map(|dimension| dimension.as_str().to_owned()).collect();
    let Ok(mut builder) = TableBuilder::with_expected(names, Measure::Ratio) else { return Vec::new() };
    for one in counted {
        let values = SEARCHED.map(|dimension| one.dimensions.get(dimension).unwrap_or(""));
        if builder.add(&values, Moment::Now, one.bad as f64, one.total as f64).is_err() {
            return Vec::new();
        }
    }
    // Requests come and fail one by one: without a long history they vary at least as independent events do.
    let options = Options { dispersion: Some(1.0), causes_max: CAUSES_MAX, ..Options::default() };
    let found = explain(&builder.finish(), &options);
    found.causes.into_iter().filter(|cause| cause.stands_out).map(as_cause).collect()
}

fn as_cause(cause: RootCause) -> Cause {
    let named = |name: &str| SEARCHED.into_iter().find(|dimension| dimension.as_str() == name);
    let pairs = cause.conditions.iter().filter_map(|(name, value)| Some((named(name)?, Text::from(value.as_str()))));
    Cause {
        dimensions: Dimensions::new(pairs),
        share: cause.share,
        confidence: cause.confidence,
        evidence: cause.evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Confidence;

    /// Requests of each customer, version and route; `bad` says how many of 100 fail.
    fn counted(bad: impl Fn(usize, &str, &str) -> u64) -> Vec<Counted> {
        let mut all = Vec::new();
        for customer in 0..20 {
            for version in ["3.9.0", "4.0.0", "4.1.0"] {
                for route in ["/login", "/start", "/stop"] {
                    let dimensions = Dimensions::new([
                        (Dimension::Subscription, Text::from(format!("sub-{customer}").as_str())),
                        (Dimension::ClientVersion, Text::from(version)),
                        (Dimension::Route, Text::from(route)),
                    ]);
                    all.push(Counted { dimensions, bad: bad(customer, version, route), total: 100 });
                }
            }
        }
        all
    }

    fn named(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|cause| cause.dimensions.to_string()).collect()
    }

    #[test]
    fn a_version_on_a_route_is_named() {
        let causes = ranked_causes(&counted(|_, version, route| match (version, route) {
            ("4.0.0", "/start") => 60,
            _ => 1,
        }));
        assert_eq!(named(&causes), ["client_version = 4.0.0, route = /start"]);
        assert!(causes[0].confidence >= Confidence::Medium, "{causes:?}");
    }

    #[test]
    fn three_dimensions_are_named_together() {
        let bad = |customer, version: &str, route: &str| match (customer, version, route) {
            (5, "4.0.0", "/start") => 90,
            _ => 0,
        };
        assert_eq!(
            named(&ranked_causes(&counted(bad))),
            ["subscription = sub-5, client_version = 4.0.0, route = /start"]
        );
    }

    #[test]
    fn a_customer_beside_a_version() {
        let causes = ranked_causes(&counted(|customer, version, _| match (customer, version) {
            (_, "4.0.0") => 40,
            (7, _) => 90,
            _ => 1,
        }));
        assert_eq!(named(&causes), ["client_version = 4.0.0", "subscription = sub-7"]);
        assert!(causes[0].share > 0.7 && causes[1].share < 0.3, "{causes:?}");
    }

    #[test]
    fn everything_alike_and_nothing_at_all() {
        assert_eq!(named(&ranked_causes(&counted(|_, _, _| 30))), ["everything"]);
        assert!(ranked_causes(&[]).is_empty());
    }
}
