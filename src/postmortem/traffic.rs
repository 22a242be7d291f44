//! Requests around an incident, bucket by bucket, counted from events; storage counts the same way (`queries/incidents`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::customers::{CUSTOMERS_HELD_MAX, CustomerTraffic, Role};
use super::{Selection, Span};
use crate::model::{Request, Text, Timestamp};

/// What was counted in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficPoint {
    /// Begin of the bucket, epoch milliseconds.
    pub at_ms: i64,
    /// All requests.
    pub requests: u64,
    /// Of these, answered 5xx or 429.
    pub failures: u64,
    /// Of these, repeats: attempts after the first.
    pub resends: u64,
    /// Requests of the cause.
    pub cause_requests: u64,
    /// Of these, answered 5xx or 429.
    pub cause_failures: u64,
    /// Of these, repeats.
    pub cause_resends: u64,
    /// What the customers of the cause sent beside it.
    pub elsewhere_requests: u64,
}

/// Subscription, client, client version and whether it is of the cause.
type Key = (Text, Text, Text, bool);

/// Counts requests of one incident.
#[derive(Debug)]
pub struct TrafficCounter {
    span: Span,
    selection: Selection,
    points: BTreeMap<i64, TrafficPoint>,
    customers: BTreeMap<Key, CustomerTraffic>,
    /// Requests by bucket of a subscription that are not of the cause.
    others: BTreeMap<(Text, i64), u64>,
    further_customers: bool,
}

impl TrafficCounter {
    /// Counts nothing yet.
    #[must_use]
    pub fn new(span: Span, selection: Selection) -> Self {
        let (points, customers, others) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { span, selection, points, customers, others, further_customers: false }
    }

    /// Counts a request, if it is of the stretch.
    pub fn add(&mut self, request: &Request) {
        let at = request.timestamp;
        if at < self.span.from || at >= self.span.until || !self.selection.counts(request) {
            return;
        }
        let is_cause = self.selection.matches(request);
        let failed = u64::from(request.status >= 500 || request.status == 429);
        let resent = u64::from(request.attempt.is_some_and(|attempt| attempt > 1));
        let bucket = at.window_start(self.span.bucket_ms);
        let empty = TrafficPoint { at_ms: bucket.as_millis(), ..TrafficPoint::default() };
        let point = self.points.entry(bucket.as_millis()).or_insert(empty);
        point.requests += 1;
        point.failures += failed;
        point.resends += resent;
        if is_cause {
            point.cause_requests += 1;
            point.cause_failures += failed;
            point.cause_resends += resent;
        } else if self.selection.names_requests() {
            let key = (request.subscription.clone(), bucket.as_millis());
            // As many buckets of as many customers as are held; what is beyond is not counted as theirs.
            if self.others.len() < CUSTOMERS_HELD_MAX * 16 || self.others.contains_key(&key) {
                *self.others.entry(key).or_default() += 1;
            }
        }
        if (self.span.began..self.span.ended).contains(&at) {
            self.add_customer(request, is_cause, failed, resent);
        }
    }

    fn add_customer(&mut self, request: &Request, is_cause: bool, failed: u64, resent: u64) {
        let text = |text: &Option<Text>| text.clone().unwrap_or_default();
        let key = (request.subscription.clone(), text(&request.client), text(&request.client_version), is_cause);
        if self.customers.len() >= CUSTOMERS_HELD_MAX && !self.customers.contains_key(&key) {
            self.further_customers = true;
            return;
        }
        let minute = request.timestamp.window_start(60_000);
        let (subscription, client, client_version) = (key.0.to_string(), key.1.to_string(), key.2.to_string());
        let customer = self.customers.entry(key).or_insert_with(|| CustomerTraffic {
            subscription,
            client,
            client_version,
            role: if is_cause { Role::Cause } else { Role::Affected },
            requests: 0,
            failures: 0,
            resends: 0,
            since: minute,
            until: minute,
        });
        customer.requests += 1;
        customer.failures += failed;
        customer.resends += resent;
        customer.since = customer.since.min(minute);
        customer.until = customer.until.max(minute);
    }

    /// The buckets in order, holes filled with nothing, and the customers; whether there were more of them than are held.
    #[must_use]
    pub fn finish(mut self) -> (Vec<TrafficPoint>, Vec<CustomerTraffic>, bool) {
        let causing: BTreeSet<&Text> =
            self.customers.keys().filter(|(.., is_cause)| *is_cause).map(|(subscription, ..)| subscription).collect();
        for ((subscription, bucket), requests) in &self.others {
            if let Some(point) = self.points.get_mut(bucket).filter(|_| causing.contains(subscription)) {
                point.elsewhere_requests += requests;
            }
        }
        let points = filled_points(self.span, self.points.into_values());
        (points, self.customers.into_values().collect(), self.further_customers)
    }
}

/// A point for every bucket from the first to the last that counted something: a bucket without requests is one too.
#[must_use]
pub fn filled_points(span: Span, counted: impl IntoIterator<Item = TrafficPoint>) -> Vec<TrafficPoint> {
    let counted: BTreeMap<i64, TrafficPoint> = counted.into_iter().map(|point| (point.at_ms, point)).collect();
    let (Some((first, _)), Some((last, _))) = (counted.first_key_value(), counted.last_key_value()) else {
        return Vec::new();
    };
    let first = (*first).max(span.from.as_millis());
    let last = (*last).min(span.until.as_millis());
    let width = span.bucket_ms.max(1);
    let places = (0..).map(|index| first + index * width).take_while(|at| *at <= last);
    let empty = |at_ms| TrafficPoint { at_ms, ..TrafficPoint::default() };
    places.map(|at| counted.get(&at).copied().unwrap_or_else(|| empty(at))).collect()
}

impl TrafficPoint {
    /// Begin of the bucket.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }
}
