//! What is said of an incident: its report, one sentence, whom to talk to and what to do.

use std::collections::BTreeMap;

use super::open::{Incident, Root};
use crate::detect::{duration, rounded};
use crate::flow::ratio;
use crate::model::{Affected, AlertName, CUSTOMERS_MAX, Customer, Dimension, IncidentReport, RuledOut, Text};

/// Subjects of one alert that a summary names.
const SUBJECTS_NAMED_MAX: usize = 3;

impl Incident {
    /// The report as of now; `ended` when no alert will come any more.
    #[must_use]
    pub fn report(&self, ended: bool) -> IncidentReport {
        let affected = if self.failing.is_empty() {
            self.affected_by_alert
        } else {
            Affected {
                subscriptions: self.failing.len() as u64,
                requests_share: rounded(ratio(self.failed_requests, self.requests)),
            }
        };
        IncidentReport {
            event: "incident",
            incident: self.id.clone(),
            started_at: self.started_at,
            ended_at: ended.then_some(self.last_active),
            severity: self.severity_told(),
            alerts: self.alerts.clone(),
            causes: self.causes().cloned().collect(),
            ruled_out: self
                .ruled_out
                .iter()
                .map(|(candidate, why)| RuledOut { candidate: candidate.clone(), why: why.clone() })
                .collect(),
            affected,
            customers: self.customers(),
            sample_requests: self.sample_requests.clone(),
            sample_queries: self.sample_queries.clone(),
            actions: self.actions(),
            timeline: self.timeline.moments().to_vec(),
            summary: self.summary(ended),
        }
    }

    fn customers(&self) -> Vec<Customer> {
        let mut customers: Vec<Customer> = self
            .customers
            .iter()
            .map(|(subscription, share)| Customer { subscription: subscription.clone(), share: *share })
            .collect();
        customers.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.subscription.cmp(&b.subscription)));
        customers.truncate(CUSTOMERS_MAX);
        customers
    }

    fn summary(&self, ended: bool) -> String {
        let span = duration(self.last_active.since(self.started_at));
        let time = if ended { format!("for {span}") } else { format!("for {span} so far") };
        let symptoms = self.symptoms();
        if symptoms.is_empty() {
            format!("{}; {time}", self.headline)
        } else {
            format!("{}; {time}, and with it {}", self.headline, symptoms.join(", "))
        }
    }

    /// What came with a named cause: `RestartLoop (container/api-1, container/api-2 and 4 more)`.
    fn symptoms(&self) -> Vec<String> {
        let Some(root) = &self.root else { return Vec::new() };
        let mut subjects: BTreeMap<AlertName, Vec<&str>> = BTreeMap::new();
        for (alert, labels) in self.subjects.iter().filter(|(_, labels)| *labels != root.labels) {
            let subject = labels.get(Dimension::Subscription).or(labels.0.values().next().map(Text::as_str));
            subjects.entry(*alert).or_default().extend(subject);
        }
        let named = |(alert, subjects): (AlertName, Vec<&str>)| {
            let more = subjects.len().saturating_sub(SUBJECTS_NAMED_MAX);
            let listed = subjects[..subjects.len() - more].join(", ");
            match (subjects.len(), more) {
                (0, _) => alert.to_string(),
                (_, 0) => format!("{alert} ({listed})"),
                _ => format!("{alert} ({listed} and {more} more)"),
            }
        };
        subjects.into_iter().map(named).collect()
    }

    fn actions(&self) -> Vec<String> {
        let Some(root) = self.root.as_ref() else {
            return self.alerts.iter().map(|alert| first_step(*alert).to_owned()).collect();
        };
        let mut actions = self.limit_customers(root);
        actions.extend(remedies(root));
        actions
    }

    /// Whom to limit at the gateway, where requests of customers are the cause.
    fn limit_customers(&self, root: &Root) -> Vec<String> {
        let customers = self.customers();
        if root.alert != AlertName::RetryAmplification || customers.is_empty() {
            return Vec::new();
        }
        let names: Vec<&str> = customers.iter().take(5).map(|c| c.subscription.as_str()).collect();
        let more = if self.customers.len() > names.len() {
            format!(" and {} more", self.customers.len() - names.len())
        } else {
            String::new()
        };
        vec![format!(
            "Limit these subscriptions at the gateway now (429 with Retry-After), heaviest first: {}{more}.",
            names.join(", ")
        )]
    }
}

/// What ends the cause, most urgent first.
fn remedies(root: &Root) -> Vec<String> {
    let label = |dimension| root.labels.get(dimension);
    match (root.alert, label(Dimension::ClientVersion), label(Dimension::Caller)) {
        (AlertName::RetryAmplification, Some(version), _) => {
            let client = label(Dimension::Client).unwrap_or("the client");
            vec![
                format!("Ask these customers to go back from {client} {version}; withdraw the release."),
                format!("Fix {client}: at most 3 attempts, exponential back-off with jitter, and honour Retry-After."),
            ]
        }
        (AlertName::RetryAmplification, None, Some(caller)) => {
            vec![format!("Put a retry budget on {caller} (at most 20 % of its calls) or roll it back.")]
        }
        (AlertName::RetryAmplification, None, None) => {
            vec!["Ask the customer to stop retrying without limit.".to_owned()]
        }
        (AlertName::RequestAmplification, _, Some(caller)) => vec![
            format!(
                "Limit the calls of {caller} now (concurrency, or a pause of what rebuilds), or roll back its newest change."
            ),
            format!("Let {caller} ask once a key and page through large answers; give its retries a budget."),
        ],
        (alert, _, _) => vec![first_step(alert).to_owned()],
    }
}

fn first_step(alert: AlertName) -> &'static str {
    match alert {
        AlertName::RetryAmplification => "Limit the subscriptions that repeat requests at the gateway.",
        AlertName::RateLimitExceeded => "Talk to the customer; enforce the limit at the gateway if others suffer.",
        AlertName::ErrorBudgetBurn => {
            "Look at the failing slice first; roll back the newest change if it began with it."
        }
        AlertName::MemoryExhaustion => "Give the source memory or take load off it before it is killed.",
        AlertName::RestartLoop => "Read the last lines of the restarting process; raise its limit or shed load.",
        AlertName::RequestAmplification => "Put a limit on the calling service, or roll back its newest change.",
        AlertName::FeedbackLoop => "Shed load until failures stop: the trigger is gone, the repeats keep the load up.",
        AlertName::TrafficSurge => "Find out who it is; nothing is known to be wrong with it.",
        AlertName::LatencyRegression => "Compare the slow route with the time before; roll back the newest change.",
        AlertName::PoolLeak => "Release what is reserved for too long; roll back what reserves without releasing.",
        AlertName::PoolExhaustion => "Raise the pool's size, or shorten how long its members are held.",
        AlertName::Saturation => "Take load off it, or spread it over more of its kind.",
        AlertName::CacheCollapse => {
            "Fill the cache slowly, with one request a key, before the load reaches what is behind."
        }
        AlertName::QueryBlowup => "Stop the query pattern (kill it, limit its memory), then roll back what sends it.",
        AlertName::QueryRegression => {
            "Look at the change the query pattern came with, before it meets the big customers."
        }
        AlertName::DataDelayed => {
            "Look at the producers' clocks and at the broker: detection is blind to what comes late."
        }
        AlertName::Custom(_) => "See the runbook.",
    }
}
