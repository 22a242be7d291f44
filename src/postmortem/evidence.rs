//! Named queries with which anybody can look at an incident again.

use serde::Serialize;

use super::text::shell_word;
use super::{AlertRecord, IncidentRecord, Span};
use crate::model::{Dimension, Dimensions, NamedQuery};

/// Looked at for every incident.
const ALWAYS: [&str; 3] = ["incidents_between", "alerts_between", "traffic_over_time"];
/// The one that is asked of all requests as well.
const WHOLE_FIRST: &str = "traffic_over_time";
/// For alerts of a name.
const BY_ALERT: [(&str, &[&str]); 14] = [
    ("RetryAmplification", &["amplification_by_client_version", "subscriptions_top_retries"]),
    ("RequestAmplification", &["amplification_by_client_version", "route_latency_over_time"]),
    ("FeedbackLoop", &["subscriptions_top_retries"]),
    ("ErrorBudgetBurn", &["error_budget_state", "subscriptions_top_errors"]),
    ("RateLimitExceeded", &["limit_exceeded"]),
    ("TrafficSurge", &["subscriptions_top_load"]),
    ("LatencyRegression", &["route_latency_over_time"]),
    ("MemoryExhaustion", &["memory_over_time"]),
    ("RestartLoop", &["memory_over_time"]),
    ("PoolLeak", &["pools_over_time"]),
    ("PoolExhaustion", &["pools_over_time"]),
    ("Saturation", &["subscriptions_top_load"]),
    ("QueryBlowup", &["query_fingerprints_heaviest"]),
    ("QueryRegression", &["query_fingerprints_slowest"]),
];
/// For causes that name a dimension.
const BY_DIMENSION: [(Dimension, &str); 3] = [
    (Dimension::ClientVersion, "customers_on_version"),
    (Dimension::Subscription, "subscription_day"),
    (Dimension::Version, "change_impact"),
];

/// A named query with the values that look at an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceQuery {
    /// Its name.
    pub name: &'static str,
    /// What it answers.
    pub title: String,
    /// Values of its parameters; the rest have their defaults.
    pub parameters: Vec<(String, String)>,
    /// The command line.
    pub command: String,
}

/// The queries for an incident: those there are, with its time range and what its cause names.
#[must_use]
pub fn evidence_queries(record: &IncidentRecord, alerts: &[AlertRecord], span: Span) -> Vec<EvidenceQuery> {
    let cause = record.causes.first().map(|cause| &cause.dimensions);
    let named = Named { cause, labels: cause.and_then(|cause| narrower(cause, alerts)) };
    let by_alert = BY_ALERT.iter().filter(|(alert, _)| record.alerts.iter().any(|fired| fired == alert));
    let by_dimension = BY_DIMENSION.iter().filter(|(dimension, _)| cause.is_some_and(|c| c.get(*dimension).is_some()));
    let mut names: Vec<&str> = ALWAYS.to_vec();
    names.extend(by_dimension.map(|(_, name)| name));
    names.extend(by_alert.flat_map(|(_, names)| *names));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let nothing = Named { cause: None, labels: None };
    let mut queries = Vec::new();
    for query in names.into_iter().filter_map(NamedQuery::find) {
        // What is asked of everything is asked whole first, and then of the cause.
        let whole = if query.name == WHOLE_FIRST { evidence(query, record, nothing, span) } else { None };
        queries.extend(whole.into_iter().chain(evidence(query, record, named, span)));
    }
    queries.dedup();
    queries
}

/// What is known of the cause: its dimensions, and labels of an alert that says more of the same.
#[derive(Clone, Copy)]
struct Named<'a> {
    cause: Option<&'a Dimensions>,
    labels: Option<&'a Dimensions>,
}

impl<'a> Named<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == name)?;
        [self.cause, self.labels].into_iter().flatten().find_map(|named| named.get(dimension))
    }
}

/// Labels of the first alert that fired about the cause: a version's client, which the cause need not name.
fn narrower<'a>(cause: &Dimensions, alerts: &'a [AlertRecord]) -> Option<&'a Dimensions> {
    let holds = |alert: &&AlertRecord| cause.0.iter().all(|(name, value)| alert.labels.get(*name) == Some(value));
    alerts.iter().find(|alert| !cause.is_empty() && holds(alert)).map(|alert| &alert.labels)
}

/// None where the query needs something that the incident does not say.
fn evidence(
    query: &'static NamedQuery,
    record: &IncidentRecord,
    named: Named<'_>,
    span: Span,
) -> Option<EvidenceQuery> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for parameter in &query.parameters {
        let value = match parameter.name.as_str() {
            "from" => Some(span.from.to_string()),
            "until" => Some(span.until.to_string()),
            "incident" => Some(record.incident.clone()),
            name => named.get(name).map(str::to_owned),
        };
        match value {
            Some(value) => parameters.push((parameter.name.clone(), value)),
            None if parameter.default.is_none() => return None,
            None => {}
        }
    }
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!(" -p {}", shell_word(&format!("{name}={value}")))).collect();
    let command = format!("floodmark query {}{}", query.name, pairs.concat());
    Some(EvidenceQuery { name: query.name, title: query.title.clone(), parameters, command })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Text, samples};

    #[test]
    fn every_command_is_one_that_the_registry_takes() {
        let mut record = IncidentRecord::from(&samples::incident());
        record.alerts = BY_ALERT.iter().map(|(alert, _)| (*alert).to_owned()).collect();
        let hostile = Text::from("it's $(rm -rf /); \"x\"");
        let named = [Dimension::ClientVersion, Dimension::Client, Dimension::Subscription, Dimension::Version];
        record.causes[0].dimensions = Dimensions::new(named.map(|dimension| (dimension, hostile.clone())));
        let span = Span::around(&record, None);
        let queries = evidence_queries(&record, &[], span);
        for query in &queries {
            let given: BTreeMap<String, String> = query.parameters.iter().cloned().collect();
            NamedQuery::find(query.name).unwrap().bind(&given, span.until).unwrap();
            // What is outside quotes is only what a shell takes as it is.
            let outside: String = query.command.replace("'\\''", "").split('\'').step_by(2).collect();
            assert!(!outside.contains(['$', '(', ';', '"']), "{}", query.command);
        }
        // A query of this registry that is named above and not in it would be left out without a word.
        let names: Vec<&str> = queries.iter().map(|query| query.name).collect();
        let wanted = BY_ALERT
            .iter()
            .flat_map(|(_, names)| names.iter())
            .chain(&ALWAYS)
            .chain(BY_DIMENSION.iter().map(|(_, n)| n));
        for wanted in wanted {
            assert!(names.contains(wanted), "{wanted} is not among {names:?}");
        }
    }

    #[test]
    fn the_client_of_a_version_is_taken_from_an_alert_about_it() {
        let mut record = IncidentRecord::from(&samples::incident());
        let version = (Dimension::ClientVersion, Text::from("4.0.0"));
        record.causes[0].dimensions = Dimensions::new([version.clone()]);
        let span = Span::around(&record, None);
        let has = |alerts: &[AlertRecord]| {
            evidence_queries(&record, alerts, span).iter().any(|query| query.name == "customers_on_version")
        };
        assert!(!has(&[]), "it cannot be asked without a client");
        let mut alert: AlertRecord =
            serde_json::from_str(&serde_json::to_string(&samples::transition()).unwrap()).unwrap();
        alert.labels = Dimensions::new([version, (Dimension::Client, Text::from("cli"))]);
        assert!(has(std::slice::from_ref(&alert)));
        alert.labels =
            Dimensions::new([(Dimension::ClientVersion, Text::from("3")), (Dimension::Client, "cli".into())]);
        assert!(!has(&[alert]));
    }
}
