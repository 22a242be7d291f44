//! The answer: the same on the command line, over HTTP and in the console.

use serde::Serialize;

use super::buckets::Peak;
use super::keys::By;
use super::limiter::Algorithm;
use super::rate::Rate;
use super::spec::Retries;
use super::words::{rounded, share};
use crate::model::{Dimensions, Severity, Text, Timestamp};

/// Customers told of; further ones are counted.
pub const CUSTOMERS_TOLD_MAX: usize = 100;

/// What a limit would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was asked.
    pub limit: LimitAsked,
    /// What was looked at.
    pub source: SourceFacts,
    /// All requests.
    pub traffic: Traffic,
    /// How busy it was, and would have been.
    pub load: Load,
    /// While no incident that wakes somebody was under way.
    pub outside_incidents: Outside,
    /// Who would have been throttled, the most throttled first; at most [`CUSTOMERS_TOLD_MAX`].
    pub customers: Vec<CustomerEffect>,
    /// How many would have been throttled, told or not.
    pub customers_throttled: u64,
    /// Each incident, oldest first.
    pub incidents: Vec<IncidentEffect>,
    /// Other rates.
    pub sweep: Option<Sweep>,
    /// What to know when reading the numbers.
    pub notes: Vec<String>,
}

/// The limit in question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitAsked {
    /// `1200/min`.
    pub rate: Rate,
    /// Routes counted together; all when empty.
    pub routes: Vec<Text>,
    /// Who has a count of its own.
    pub by: Vec<By>,
    /// As given.
    pub burst: Option<u64>,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// Subscriptions that have no limit.
    pub exempt: Vec<Text>,
    /// What clients are taken to do.
    pub retries: Retries,
}

/// Where requests are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Files.
    Files,
    /// The table `requests`: every request.
    Requests,
    /// The table `requests_by_minute`: counts by minute.
    RequestsByMinute,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFacts {
    /// Where requests are from.
    pub kind: SourceKind,
    /// The first request; absent when there is none.
    pub from: Option<Timestamp>,
    /// The last request, or the end of its minute.
    pub until: Option<Timestamp>,
    /// Whether the numbers are those of every single request.
    pub exact: bool,
    /// Why this source, and what error it brings.
    pub precision: String,
}

/// All requests at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Traffic {
    /// Looked at.
    pub requests: u64,
    /// Of these, those that the limit counts.
    pub counted: u64,
    /// Of these, those that would have been refused (at least, from counts by minute).
    pub throttled: u64,
    /// At most.
    pub throttled_most: u64,
    /// `throttled` of `counted`.
    pub share_of_counted: f64,
    /// `throttled` of `requests`.
    pub share_of_all: f64,
    /// Repeats that were left out (`retries: none`).
    pub repeats_left_out: u64,
    /// What would have been sent again (`retries: client`).
    pub sent_again: u64,
    /// Of these, what would have passed.
    pub passed_again: u64,
    /// Requests that were answered 429 then; absent where that is not known.
    pub refused_then: Option<u64>,
    /// Requests of keys beyond the bound: let pass.
    pub not_judged: u64,
    /// Calls between services, which a limit at the edge does not see; absent where they were not read.
    pub calls_between_services: Option<u64>,
}

/// How busy it was, and would have been.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Requests in the usual minute: the median of all minutes outside of incidents, as it was.
    pub usual_per_minute: f64,
    /// The busiest minute over the usual one.
    pub times_usual_before: f64,
    /// The busiest minute with the limit over the same.
    pub times_usual_after: f64,
    /// All requests at the edge.
    pub all_minute: PeakEffect,
    /// So too, by second; absent from counts by minute.
    pub all_second: Option<PeakEffect>,
    /// Requests that the limit counts.
    pub counted_minute: PeakEffect,
    /// So too, by second.
    pub counted_second: Option<PeakEffect>,
    /// The busiest minute of requests that were not answered 429 then: what came through a limit that was there already.
    pub not_refused_then_minute: Option<u64>,
}

/// The busiest second or minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PeakEffect {
    /// Requests in it.
    pub before: u64,
    /// When it began.
    pub before_at: Timestamp,
    /// Requests in the busiest one with the limit.
    pub after: u64,
    /// When that began.
    pub after_at: Timestamp,
    /// `after` of `before`.
    pub ratio: f64,
}

impl PeakEffect {
    pub(super) fn new((before, after): (Peak, Peak)) -> Self {
        Self {
            before: before.requests,
            before_at: before.at,
            after: after.requests,
            after_at: after.at,
            ratio: share(after.requests, before.requests),
        }
    }

    pub(super) fn times_before(&self, usual: f64) -> f64 {
        times(self.before, usual)
    }

    pub(super) fn times_after(&self, usual: f64) -> f64 {
        times(self.after, usual)
    }
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
fn times(requests: u64, usual: f64) -> f64 {
    if usual > 0.0 { rounded(requests as f64 / usual, 100.0) } else { 0.0 }
}

/// While no incident that wakes somebody was under way.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Outside {
    /// Minutes with any request.
    pub minutes: u64,
    /// Requests that the limit counts.
    pub counted: u64,
    /// Of these, those that would have been refused.
    pub throttled: u64,
    /// Their share.
    pub share: f64,
    /// Customers among them.
    pub customers_throttled: u64,
}

/// What it would have done to one customer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CustomerEffect {
    /// Subscription, or whatever the limit is by.
    pub key: Text,
    /// Its plan, if a plan map names it.
    pub plan: Option<Text>,
    /// Requests that the limit counts.
    pub requests: u64,
    /// Of these, those that would have been refused.
    pub throttled: u64,
    /// At most.
    pub throttled_most: u64,
    /// `throttled` of `requests`.
    pub share: f64,
    /// Of `throttled`, those while no incident was under way.
    pub throttled_outside_incidents: u64,
    /// Requests in its busiest minute.
    pub busiest_minute: u64,
    /// When, oldest first.
    pub intervals: Vec<Interval>,
    /// Stretches that are not told.
    pub further_intervals: u64,
}

/// A stretch of time in which requests would have been refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The first of them.
    pub from: Timestamp,
    /// The last of them, or the end of its minute.
    pub until: Timestamp,
    /// How many.
    pub throttled: u64,
}

/// Some requests, and how many of them would have been held back.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Part {
    /// Requests.
    pub requests: u64,
    /// Of these, those that would have been refused.
    pub held_back: u64,
    /// Their share.
    pub share: f64,
}

impl Part {
    pub(super) fn with_share(self) -> Self {
        Self { share: share(self.held_back, self.requests), ..self }
    }
}

/// What it would have done in one incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentEffect {
    /// Identity.
    pub incident: Text,
    /// Onset.
    pub started_at: Timestamp,
    /// End; absent while open.
    pub ended_at: Option<Timestamp>,
    /// The worst severity reached.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// Who did it; empty: nobody in particular.
    pub culprits: Dimensions,
    /// Of their requests, in the incident.
    pub held_back_of_culprits: Part,
    /// Of all others.
    pub held_back_of_others: Part,
    /// Its busiest minute over the usual one.
    pub times_usual_before: f64,
    /// With the limit.
    pub times_usual_after: f64,
    /// Its busiest minute.
    pub peak_minute: PeakEffect,
    /// Its busiest second; absent from counts by minute.
    pub peak_second: Option<PeakEffect>,
}

/// Other rates, and the one to take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// From the least to the greatest.
    pub points: Vec<SweepPoint>,
    /// The one to take.
    pub proposal: Proposal,
    /// One for each plan of the plan map, by name; those that are in no plan are `(none)`.
    pub plans: Vec<PlanProposal>,
}

/// One rate of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepPoint {
    /// The rate.
    pub rate: Rate,
    /// Share refused of what it counts while no incident was under way.
    pub throttled_share_outside: f64,
    /// Requests refused meanwhile.
    pub throttled_outside: u64,
    /// Customers touched meanwhile.
    pub customers_outside: u64,
    /// Customers touched at all.
    pub customers: u64,
    /// Share refused of all it counts.
    pub throttled_share: f64,
    /// The busiest minute of all incidents, with this limit.
    pub incident_peak_after: u64,
    /// That over the busiest minute as it was; 1 without an incident.
    pub incident_peak_ratio: f64,
}

/// The rate to take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// Absent when no rate of the range will do.
    pub rate: Option<Rate>,
    /// Why.
    pub reason: String,
}

/// The rate to take for one plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanProposal {
    /// The plan.
    pub plan: Text,
    /// Its customers that made requests.
    pub customers: u64,
    /// The rate, and why.
    #[serde(flatten)]
    pub proposal: Proposal,
}
