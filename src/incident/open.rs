//! One incident while it is open, and its report.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use crate::alert::{AlertChange, AlertKey};
use crate::detect::{Finding, Role, duration, rounded};
use crate::flow::{ClosedWindow, Name, ratio};
use crate::model::{
    Affected, AlertName, CUSTOMERS_MAX, Cause, Customer, Dimension, Dimensions, IncidentReport, RuledOut, Severity,
    Text, Timestamp, TransitionEvent,
};

/// Causes kept of one incident.
const CAUSES_MAX: usize = 10;
/// Subjects of one alert that a summary names.
const SUBJECTS_NAMED_MAX: usize = 3;
/// Refused candidates kept of one incident.
const RULED_OUT_MAX: usize = 20;

/// Alerts with one cause.
#[derive(Debug)]
pub struct Incident {
    id: Text,
    started_at: Timestamp,
    /// The last moment at which an alert that keeps it open was active.
    last_active: Timestamp,
    severity: Severity,
    fired: bool,
    root: Option<Root>,
    active: BTreeSet<AlertKey>,
    alerts: Vec<AlertName>,
    subjects: BTreeSet<(AlertName, Dimensions)>,
    causes: Vec<Cause>,
    ruled_out: BTreeMap<String, String>,
    customers: BTreeMap<Text, f64>,
    affected_by_alert: Affected,
    failing: FxHashSet<Name>,
    failed_requests: u64,
    requests: u64,
    headline: String,
    headline_harm: f64,
}

/// The finding that names who does it.
#[derive(Debug, Clone)]
pub struct Root {
    /// Labels of the alert.
    pub labels: Dimensions,
    /// Its first cause, narrowed.
    pub dimensions: Dimensions,
    /// When it began.
    pub since: Timestamp,
}

impl Incident {
    /// Opened by an alert.
    #[must_use]
    pub fn new(change: &AlertChange, at: Timestamp) -> Self {
        Self {
            id: incident_id(change),
            started_at: change.since,
            last_active: at,
            severity: change.key.severity.0,
            fired: false,
            root: None,
            active: BTreeSet::new(),
            alerts: Vec::new(),
            subjects: BTreeSet::new(),
            causes: Vec::new(),
            ruled_out: BTreeMap::new(),
            customers: BTreeMap::new(),
            affected_by_alert: Affected::default(),
            failing: FxHashSet::default(),
            failed_requests: 0,
            requests: 0,
            headline: String::new(),
            headline_harm: 0.0,
        }
    }

    /// Takes in a change, at `at`, of one of its alerts; `causes` are those of the transition.
    pub fn apply(&mut self, change: &AlertChange, causes: &[Cause], at: Timestamp) {
        let finding = &change.finding;
        if change.event == TransitionEvent::Resolved {
            self.last_active = if self.is_active() { at } else { self.last_active };
            self.active.remove(&change.key);
        } else {
            self.active.insert(change.key.clone());
            self.severity = self.severity.max(change.key.severity.0);
        }
        if change.event == TransitionEvent::Firing {
            self.fired = true;
            self.started_at = self.started_at.min(change.since);
            if !self.alerts.contains(&change.key.alert) {
                self.alerts.push(change.key.alert);
            }
            self.subjects.insert((change.key.alert, change.key.labels.clone()));
        }
        if finding.role == Role::Cause && self.root.is_none() {
            // What was said before the culprit was known was about symptoms.
            self.forget_root();
            self.root = Some(Root {
                labels: change.key.labels.clone(),
                dimensions: causes.first().map(|c| c.dimensions.clone()).unwrap_or_default(),
                since: change.since,
            });
        }
        if self.speaks_for(change) && change.event != TransitionEvent::Resolved {
            self.note(finding, causes);
        }
    }

    /// Whether an alert is what the incident is about, or, while nobody is named, anything.
    #[must_use]
    pub fn speaks_for(&self, change: &AlertChange) -> bool {
        self.root.as_ref().is_none_or(|root| root.labels == change.key.labels)
    }

    /// Keeps the strongest picture of what the incident is about.
    pub fn note(&mut self, finding: &Finding, causes: &[Cause]) {
        let worst = finding.harm > self.headline_harm || self.headline.is_empty();
        for cause in causes {
            let known = self.causes.iter().position(|known| known.dimensions == cause.dimensions);
            match known {
                // Causes tell of the worst moment too: the calm at the end explains nothing.
                Some(place) if worst => self.causes[place] = cause.clone(),
                Some(_) => {}
                None => self.causes.push(cause.clone()),
            }
        }
        self.causes.sort_by(|a, b| {
            let strength = |c: &Cause| (c.confidence, c.share);
            let order = strength(b).partial_cmp(&strength(a)).unwrap_or(std::cmp::Ordering::Equal);
            order.then_with(|| a.dimensions.cmp(&b.dimensions))
        });
        self.causes.truncate(CAUSES_MAX);
        if worst {
            // Shares are those of the worst moment; whoever took part at another one stays on the list.
            self.customers.values_mut().for_each(|share| *share = 0.0);
        }
        for customer in &finding.customers {
            let share = self.customers.entry(customer.subscription.clone()).or_insert(0.0);
            if worst {
                *share = customer.share;
            }
        }
        if finding.affected.subscriptions >= self.affected_by_alert.subscriptions {
            self.affected_by_alert = finding.affected;
        }
        if worst {
            self.headline_harm = finding.harm;
            self.headline.clone_from(&finding.summary);
        }
    }

    /// Counts who fails meanwhile.
    pub fn count(&mut self, window: &ClosedWindow) {
        if self.severity != Severity::Critical || !self.is_active() {
            return;
        }
        self.requests += window.total.requests;
        for (key, cell) in window.cells.iter().filter(|(_, cell)| cell.failures > 0) {
            self.failed_requests += cell.failures;
            self.failing.insert(key.subscription);
        }
    }

    /// Remembers why candidates were refused; a newer reason replaces an older one.
    pub fn rule_out(&mut self, refused: Vec<RuledOut>) {
        for RuledOut { candidate, why } in refused {
            if self.ruled_out.len() < RULED_OUT_MAX || self.ruled_out.contains_key(&candidate) {
                self.ruled_out.insert(candidate, why);
            }
        }
    }

    /// Forgets alerts that are not active any more: a pending one may go away without a transition. A culprit that was
    /// only suspected is forgotten with its alert.
    pub fn keep_active(&mut self, is_active: &dyn Fn(&AlertKey) -> bool) {
        self.active.retain(is_active);
        let suspected = |root: &Root| {
            !self.subjects.iter().any(|(_, labels)| *labels == root.labels)
                && !self.active.iter().any(|key| key.labels == root.labels)
        };
        if self.root.as_ref().is_some_and(suspected) {
            self.forget_root();
        }
    }

    fn forget_root(&mut self) {
        self.root = None;
        self.causes.clear();
        self.ruled_out.clear();
        self.customers.clear();
        self.headline.clear();
        self.headline_harm = f64::NEG_INFINITY;
    }

    /// Marks the incident as alive at `at` if an alert keeps it open: of a critical incident, only critical ones do.
    pub fn touch(&mut self, at: Timestamp) {
        if self.is_active() {
            self.last_active = at;
        }
    }

    /// Whether an alert keeps it open.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.iter().any(|key| key.severity.0 == self.severity)
    }

    /// Whether any alert of it has fired.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.fired
    }

    /// Identity.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.id
    }

    /// Who does it, once known.
    #[must_use]
    pub fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    /// The worst severity so far.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Onset.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The last moment at which an alert that keeps it open was active.
    #[must_use]
    pub fn last_active(&self) -> Timestamp {
        self.last_active
    }

    /// Whether a subscription is among the culprit's.
    #[must_use]
    pub fn has_customer(&self, subscription: &str) -> bool {
        self.customers.contains_key(subscription)
    }

    /// Whether the alert belongs to it and is active.
    #[must_use]
    pub fn holds(&self, key: &AlertKey) -> bool {
        self.active.contains(key)
    }

    /// A narrower culprit gives way to the wider one that explains it.
    pub fn replace_root(&mut self, change: &AlertChange) {
        self.forget_root();
        self.started_at = self.started_at.min(change.since);
    }

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
            severity: self.severity,
            alerts: self.alerts.clone(),
            causes: self.causes.clone(),
            ruled_out: self
                .ruled_out
                .iter()
                .map(|(candidate, why)| RuledOut { candidate: candidate.clone(), why: why.clone() })
                .collect(),
            affected,
            customers: self.customers(),
            actions: self.actions(),
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
        let customers = self.customers();
        let names: Vec<&str> = customers.iter().take(5).map(|c| c.subscription.as_str()).collect();
        let more = if self.customers.len() > names.len() {
            format!(" and {} more", self.customers.len() - names.len())
        } else {
            String::new()
        };
        let mut actions = vec![format!(
            "Limit these subscriptions at the gateway now (429 with Retry-After), heaviest first: {}{more}.",
            names.join(", ")
        )];
        if let Some(version) = root.labels.get(Dimension::ClientVersion) {
            let client = root.labels.get(Dimension::Client).unwrap_or("the client");
            actions.push(format!("Ask these customers to go back from {client} {version}; withdraw the release."));
            actions.push(format!(
                "Fix {client}: at most 3 attempts, exponential back-off with jitter, and honour Retry-After."
            ));
        } else if let Some(caller) = root.labels.get(Dimension::Caller) {
            actions.push(format!("Put a retry budget on {caller} (at most 20 % of its calls) or roll it back."));
        } else {
            actions.push("Ask the customer to stop retrying without limit.".to_owned());
        }
        actions
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
    }
}

/// `20260309T101500Z-retry-amplification-3f9c`: onset, first alert, and a hash of its labels to tell twins apart.
fn incident_id(change: &AlertChange) -> Text {
    let start: String = change.since.window_start(1_000).to_string().chars().filter(|c| !"-:".contains(*c)).collect();
    let mut slug = String::new();
    for (i, c) in change.key.alert.as_str().chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            slug.push('-');
        }
        slug.push(c.to_ascii_lowercase());
    }
    // FNV-1a: short, fixed for all time, no dependency.
    let hash = change
        .key
        .labels
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Text::from(format!("{start}-{slug}-{:04x}", hash & 0xffff))
}
