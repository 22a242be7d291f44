//! Output: alert transitions, incident reports and the summary (contract, DESIGN §5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AlertName, QueryState, Text, Timestamp};

/// One thing the core says to the world, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Output {
    /// An alert changed state.
    Transition(Transition),
    /// An incident ended, or the log did while it was open.
    Incident(IncidentReport),
}

/// How much it matters. `Critical` wakes a person, `Warning` is a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// A ticket.
    Warning,
    /// Wakes a person: causal evidence and impact.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The contract's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What an alert or a cause can be about; the names are those of the event fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Who is billed.
    Subscription,
    /// Client program.
    Client,
    /// Version of the client program.
    ClientVersion,
    /// Who answered.
    Service,
    /// Calling service.
    Caller,
    /// Route template.
    Route,
    /// Source of a signal.
    Source,
    /// ClickHouse node.
    Node,
    /// Normalised query.
    Fingerprint,
    /// Product feature or dashboard that asks.
    Origin,
    /// Version of what asks, or of a service.
    Version,
    /// Name of the rate limit (from the limits file).
    Limit,
    /// Name of the service level objective.
    Objective,
}

impl Dimension {
    /// Those of a request.
    pub const OF_REQUESTS: [Self; 6] =
        [Self::Subscription, Self::Client, Self::ClientVersion, Self::Service, Self::Caller, Self::Route];

    /// Every dimension, in the order of declaration.
    pub const ALL: [Self; 13] = [
        Self::Subscription,
        Self::Client,
        Self::ClientVersion,
        Self::Service,
        Self::Caller,
        Self::Route,
        Self::Source,
        Self::Node,
        Self::Fingerprint,
        Self::Origin,
        Self::Version,
        Self::Limit,
        Self::Objective,
    ];

    /// The contract's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Client => "client",
            Self::ClientVersion => "client_version",
            Self::Service => "service",
            Self::Caller => "caller",
            Self::Route => "route",
            Self::Source => "source",
            Self::Node => "node",
            Self::Fingerprint => "fingerprint",
            Self::Origin => "origin",
            Self::Version => "version",
            Self::Limit => "limit",
            Self::Objective => "objective",
        }
    }
}

/// Labels of an alert, or what narrows a cause down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Dimensions(pub BTreeMap<Dimension, Text>);

impl Dimensions {
    /// From pairs.
    pub fn new(pairs: impl IntoIterator<Item = (Dimension, Text)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The value of one dimension.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.0.get(&dimension).map(Text::as_str)
    }

    /// No dimension: everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Dimensions {
    /// `client_version = 4.0.0, route = StartProfile`, or `everything`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("everything");
        }
        for (i, (dimension, value)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{} = {value}", dimension.as_str())?;
        }
        Ok(())
    }
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A coincidence in time, little more.
    Low,
    /// Evidence, with another explanation left open.
    Medium,
    /// Direct evidence, others refused.
    High,
}

/// One possible cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// What it is narrowed down to; empty when there is no narrower culprit.
    pub dimensions: Dimensions,
    /// Share of the harm it explains, 0 to 1.
    pub share: f64,
    /// How sure.
    pub confidence: Confidence,
    /// The numbers behind it, in one sentence.
    pub evidence: String,
}

/// A candidate that was looked at and refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// What was suspected.
    pub candidate: String,
    /// Why it is not the cause.
    pub why: String,
}

/// A subscription to talk to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Who is billed.
    pub subscription: Text,
    /// Its share of the harm, 0 to 1.
    pub share: f64,
}

/// Who feels it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Affected {
    /// Distinct subscriptions.
    pub subscriptions: u64,
    /// Their share of all requests, 0 to 1.
    pub requests_share: f64,
}

/// State of an alert after a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransitionEvent {
    /// The condition holds, not yet for long enough.
    Pending,
    /// The condition has held for the rule's `for`.
    Firing,
    /// The condition has been gone for the rule's `keep_firing_for`.
    Resolved,
}

impl TransitionEvent {
    /// The contract's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert changed state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transition {
    /// Event time at which it was decided: the end of a closed window.
    pub at: Timestamp,
    /// New state.
    pub event: TransitionEvent,
    /// Alert name.
    pub alert: AlertName,
    /// Severity (contract, DESIGN §5).
    pub severity: Severity,
    /// Incident it belongs to.
    pub incident: Text,
    /// When the condition first held.
    pub since: Timestamp,
    /// Identity of the alert, with its name.
    pub labels: Dimensions,
    /// The number, in `unit`.
    pub value: f64,
    /// What is normal, in `unit`.
    pub baseline: f64,
    /// Unit of `value` and `baseline`.
    pub unit: &'static str,
    /// Ranked causes.
    pub causes: Vec<Cause>,
    /// Who feels it.
    pub affected: Affected,
    /// One sentence for a person.
    pub summary: String,
    /// Where to read what to do.
    pub runbook: Text,
}

/// Everything about an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentReport {
    /// Always `incident`.
    pub event: &'static str,
    /// Identity, e.g. `20260914T101500Z-retry-amplification-3f9c`.
    pub incident: Text,
    /// Onset of the earliest alert.
    pub started_at: Timestamp,
    /// When the last alert resolved; absent while open.
    pub ended_at: Option<Timestamp>,
    /// The worst severity reached.
    pub severity: Severity,
    /// Alert names that fired, in order of first firing.
    pub alerts: Vec<AlertName>,
    /// Ranked causes.
    pub causes: Vec<Cause>,
    /// Refused candidates.
    pub ruled_out: Vec<RuledOut>,
    /// Who felt it.
    pub affected: Affected,
    /// Whom to talk to, the heaviest first (at most [`CUSTOMERS_MAX`]).
    pub customers: Vec<Customer>,
    /// Requests of its worst moment to look up, at most [`SAMPLE_REQUESTS_MAX`]; none where requests have no ids.
    pub sample_requests: Vec<SampleRequest>,
    /// Runs of queries of its worst moment to look up, at most [`SAMPLE_QUERIES_MAX`]; none where it is not about queries or
    /// they have no ids.
    pub sample_queries: Vec<SampleQuery>,
    /// What to do, most urgent first.
    pub actions: Vec<String>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// One sentence for a person.
    pub summary: String,
}

/// A moment of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened, in one sentence.
    pub what: String,
}

/// Customers named in a report; the rest are in the stored requests.
pub const CUSTOMERS_MAX: usize = 20;
/// Requests named in a report.
pub const SAMPLE_REQUESTS_MAX: usize = 3;

/// A single request, to be looked up in the platform's own logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRequest {
    /// Its id, as logged.
    pub request_id: Text,
    /// When.
    pub timestamp: Timestamp,
    /// Who is billed.
    pub subscription: Text,
    /// What was asked for.
    pub route: Text,
    /// How it was answered.
    pub status: u16,
    /// How long that took, in milliseconds.
    pub duration_ms: f64,
}

/// Runs of queries named in a report.
pub const SAMPLE_QUERIES_MAX: usize = 3;

/// A single run of a query, to be looked up in ClickHouse's own `system.query_log`, or in `system.processes` while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleQuery {
    /// Its id, as logged.
    pub query_id: Text,
    /// Its end, or when it was seen running.
    pub timestamp: Timestamp,
    /// ClickHouse node.
    pub node: Text,
    /// ClickHouse user, if known.
    pub user: Option<Text>,
    /// Normalised query.
    pub fingerprint: Text,
    /// How it ended, or that it runs; if known.
    pub state: Option<QueryState>,
    /// Peak memory.
    pub memory_bytes: u64,
    /// Run time so far, in milliseconds; if known.
    pub duration_ms: Option<f64>,
    /// ClickHouse exception code, of one that failed.
    pub exception_code: Option<i32>,
}

impl SampleQuery {
    /// How it ended, or that it runs, in words: `running`, `failed (241)`. One without a state has ended.
    #[must_use]
    pub fn outcome(&self) -> String {
        let ended = if self.exception_code.is_some() { QueryState::Failed } else { QueryState::Finished };
        let state = self.state.unwrap_or(ended).as_str();
        self.exception_code.map_or_else(|| state.to_owned(), |code| format!("{state} ({code})"))
    }
}

/// The last line of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Always `summary`.
    pub event: &'static str,
    /// Events decoded.
    pub events: u64,
    /// Records refused by the decoder.
    pub rejected: u64,
    /// Events that came after their window was closed: stored, not detected on.
    pub late: u64,
    /// Event time up to which everything was decided; absent when no event was read.
    pub watermark: Option<Timestamp>,
    /// Alerts that fired.
    pub alerts: u64,
    /// Incidents opened.
    pub incidents: u64,
}
