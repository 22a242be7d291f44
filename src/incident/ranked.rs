//! Causes from counts: which dimension values the bad ones have in common, now against before.

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

/// Dimensions a cause can name, the likeliest first: they end up in a [`Cause`] sorted anyway.
const SEARCHED: [Dimension; 6] = [
    Dimension::Subscription,
    Dimension::Client,
    Dimension::ClientVersion,
    Dimension::Service,
    Dimension::Caller,
    Dimension::Route,
];
const _: () = assert!(SEARCHED.len() <= DIMENSIONS_MAX);

/// The ranked causes of bad ones now. `before` are moments to compare with, the newest first, each with the same kind of
/// counts; without any, every bad one is one too many. Empty when nothing stands out, or when there are more combinations
/// than can be searched; a cause with empty dimensions says that everything is hit alike.
///
/// The result does not depend on the order of the counts.
#[must_use]
pub fn ranked_causes(now: &[Counted], before: &[Vec<Counted>]) -> Vec<Cause> {
    let names: Vec<String> = SEARCHED.iter().map(|dimension| dimension.as_str().to_owned()).collect();
    let builder = match before.len() {
        0 => TableBuilder::with_expected(names, Measure::Ratio),
        moments => TableBuilder::new(names, Measure::Ratio, moments),
    };
    let Ok(mut builder) = builder else { return Vec::new() };
    let moments = before.iter().enumerate().map(|(place, counted)| (Moment::Before(place), counted.as_slice()));
    for (moment, counted) in moments.chain([(Moment::Now, now)]) {
        for one in counted {
            let values = SEARCHED.map(|dimension| one.dimensions.get(dimension).unwrap_or(""));
            if builder.add(&values, moment, one.bad as f64, one.total as f64).is_err() {
                return Vec::new();
            }
        }
    }
    // Requests come and fail one by one: without a long history they vary at least as independent events do.
    let options = Options { dispersion: Some(1.0), ..Options::default() };
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
    fn a_version_on_a_route_is_named_against_what_was_before() {
        let quiet = counted(|_, _, _| 1);
        let now = counted(|_, version, route| if version == "4.0.0" && route == "/start" { 60 } else { 1 });
        for before in [vec![], vec![quiet.clone()], vec![quiet.clone(); 6]] {
            let causes = ranked_causes(&now, &before);
            assert_eq!(named(&causes), ["client_version = 4.0.0, route = /start"], "{} moments", before.len());
            assert!(causes[0].confidence >= Confidence::Medium, "{causes:?}");
        }
    }

    #[test]
    fn what_always_failed_is_not_the_cause() {
        let always = |customer: usize| if customer == 3 { 50 } else { 1 };
        let before = vec![counted(|customer, _, _| always(customer)); 6];
        let now = counted(|customer, version, _| always(customer).max(if version == "4.1.0" { 30 } else { 0 }));
        assert_eq!(named(&ranked_causes(&now, &before)), ["client_version = 4.1.0"]);
        assert_eq!(named(&ranked_causes(&now, &[]))[0], "client_version = 4.1.0");
    }

    #[test]
    fn a_customer_beside_a_version() {
        let before = vec![counted(|_, _, _| 1); 6];
        let now = counted(|customer, version, _| match (customer, version) {
            (_, "4.0.0") => 40,
            (7, _) => 90,
            _ => 1,
        });
        let causes = ranked_causes(&now, &before);
        assert_eq!(named(&causes), ["client_version = 4.0.0", "subscription = sub-7"]);
        assert!(causes[0].share > 0.8 && causes[1].share < 0.2, "{causes:?}");
    }

    #[test]
    fn everything_alike_and_nothing_at_all() {
        let before = vec![counted(|_, _, _| 1); 6];
        assert_eq!(named(&ranked_causes(&counted(|_, _, _| 30), &before)), ["everything"]);
        assert!(ranked_causes(&counted(|_, _, _| 1), &before).is_empty());
        assert!(ranked_causes(&[], &[]).is_empty());
    }
}
