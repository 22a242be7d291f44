//! One incident while it is open: its alerts, who does it, the strongest picture seen, who fails meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use super::timeline::Timeline;
use crate::alert::{AlertChange, AlertKey};
use crate::detect::{Finding, Role};
use crate::flow::{ClosedWindow, Name};
use crate::model::{
    Affected, AlertName, Cause, Dimension, Dimensions, DurationMs, RuledOut, SampleQuery, SampleRequest, Severity,
    Text, Timestamp, TransitionEvent,
};

/// Causes kept of one incident.
const CAUSES_MAX: usize = 10;
/// Refused candidates kept of one incident.
const RULED_OUT_MAX: usize = 20;
/// Causes that take part in one incident beside the first.
const CONTRIBUTORS_MAX: usize = 20;
/// A symptom that began at most this long after the culprit may be how it came about.
const WITH_ROOT_MS: DurationMs = 30_000;

/// Below this share of members held, a leaking pool has enough for all who ask: no failure follows from it.
const POOL_EXPLAINS_SHARE_MIN: f64 = 0.8;

/// Alerts with one cause.
#[derive(Debug)]
pub struct Incident {
    pub(super) id: Text,
    pub(super) started_at: Timestamp,
    /// The last moment at which an alert that keeps it open was active.
    pub(super) last_active: Timestamp,
    /// The last moment at which an alert became part of it.
    last_grown: Timestamp,
    pub(super) severity: Severity,
    /// The worst severity of an alert that fired; of a pending one nobody was told.
    fired: Option<Severity>,
    opened_by: Role,
    pub(super) root: Option<Root>,
    contributors: BTreeMap<Dimensions, AlertName>,
    active: BTreeSet<AlertKey>,
    pub(super) alerts: Vec<AlertName>,
    pub(super) subjects: BTreeSet<(AlertName, Dimensions)>,
    /// Ranked: the culprit's first.
    causes: Vec<(Rank, Cause)>,
    pub(super) ruled_out: BTreeMap<String, String>,
    pub(super) customers: BTreeMap<Text, f64>,
    pub(super) sample_requests: Vec<SampleRequest>,
    pub(super) sample_queries: Vec<SampleQuery>,
    pub(super) affected_by_alert: Affected,
    pub(super) failing: FxHashSet<Name>,
    pub(super) failed_requests: u64,
    pub(super) requests: u64,
    pub(super) headline: String,
    headline_rank: Rank,
    headline_harm: f64,
    pub(super) timeline: Timeline,
}

/// The finding that names who does it.
#[derive(Debug, Clone)]
pub struct Root {
    /// Which alert says so.
    pub alert: AlertName,
    /// Labels of the alert.
    pub labels: Dimensions,
    /// Its first cause, narrowed.
    pub dimensions: Dimensions,
    /// When it began.
    pub since: Timestamp,
    /// Whether failures can follow from it: not from a leak before the pool was nearly without members.
    pub explains: bool,
}

/// Whether failures can follow from what an alert is about.
pub fn explains(change: &AlertChange) -> bool {
    change.key.alert != AlertName::PoolLeak || change.finding.harm >= POOL_EXPLAINS_SHARE_MIN
}

/// How far up the chain of causes an alert points: the culprit, what takes part, then symptoms from the ceiling that
/// was met down to the requests that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u8);

impl Rank {
    const ROOT: Self = Self(100);
    const CONTRIBUTOR: Self = Self(50);

    fn of_symptom(alert: AlertName) -> Self {
        Self(match alert {
            AlertName::CacheCollapse | AlertName::Saturation | AlertName::PoolExhaustion => 5,
            AlertName::MemoryExhaustion => 4,
            AlertName::RestartLoop => 3,
            AlertName::FeedbackLoop => 2,
            _ => 1,
        })
    }
}

impl Incident {
    /// Opened by an alert.
    #[must_use]
    pub fn new(change: &AlertChange, at: Timestamp) -> Self {
        Self {
            id: incident_id(change),
            started_at: change.since,
            last_active: at,
            last_grown: at,
            severity: change.key.severity.0,
            fired: None,
            opened_by: change.finding.role,
            root: None,
            contributors: BTreeMap::new(),
            active: BTreeSet::new(),
            alerts: Vec::new(),
            subjects: BTreeSet::new(),
            causes: Vec::new(),
            ruled_out: BTreeMap::new(),
            customers: BTreeMap::new(),
            sample_requests: Vec::new(),
            sample_queries: Vec::new(),
            affected_by_alert: Affected::default(),
            failing: FxHashSet::default(),
            failed_requests: 0,
            requests: 0,
            headline: String::new(),
            headline_rank: Rank(0),
            headline_harm: f64::NEG_INFINITY,
            timeline: Timeline::default(),
        }
    }

    /// Takes in a change, at `at`, of one of its alerts; `causes` are those of the transition. Whether it is the strongest
    /// picture so far.
    pub fn apply(&mut self, change: &AlertChange, causes: &[Cause], at: Timestamp) -> bool {
        if change.event == TransitionEvent::Resolved {
            self.last_active = if self.is_active() { at } else { self.last_active };
            self.active.remove(&change.key);
        } else {
            if self.active.insert(change.key.clone()) {
                self.last_grown = at;
            }
            self.severity = self.severity.max(change.key.severity.0);
        }
        if change.event == TransitionEvent::Firing {
            self.fired = self.fired.max(Some(change.key.severity.0));
            self.started_at = self.started_at.min(change.since);
            if !self.alerts.contains(&change.key.alert) {
                self.alerts.push(change.key.alert);
            }
            self.subjects.insert((change.key.alert, change.key.labels.clone()));
        }
        if change.event != TransitionEvent::Pending {
            self.timeline.alert(change, at);
        }
        if change.finding.role == Role::Cause {
            self.take_culprit(change, causes);
        }
        self.note_exhaustion();
        change.event != TransitionEvent::Resolved && self.note(change, causes)
    }

    /// A leak of a pool that has no members left explains what fails, whether or not it is still seen to grow.
    fn note_exhaustion(&mut self) {
        let Some(root) = &mut self.root else { return };
        let mut active = self.active.iter().map(|key| (key.alert, &key.labels));
        root.explains |= active.any(|(alert, labels)| alert == AlertName::PoolExhaustion && *labels == root.labels);
    }

    fn take_culprit(&mut self, change: &AlertChange, causes: &[Cause]) {
        let labels = &change.key.labels;
        if self.root.is_none() {
            // What was said before the culprit was known was about symptoms.
            self.forget_root();
            self.contributors.remove(labels);
            self.root = Some(Root {
                alert: change.key.alert,
                labels: labels.clone(),
                dimensions: causes.first().map(|c| c.dimensions.clone()).unwrap_or_default(),
                since: change.since,
                explains: explains(change),
            });
        } else if self.root.as_ref().is_some_and(|root| root.labels != *labels)
            && self.contributors.len() < CONTRIBUTORS_MAX
        {
            self.contributors.insert(labels.clone(), change.key.alert);
        }
    }

    /// Whether an alert is what the incident is about, or, while nobody is named, anything.
    #[must_use]
    pub fn speaks_for(&self, change: &AlertChange) -> bool {
        self.root.as_ref().is_none_or(|root| root.labels == change.key.labels)
    }

    fn rank(&self, change: &AlertChange) -> Rank {
        match (&self.root, change.finding.role) {
            (Some(root), Role::Cause) if root.labels == change.key.labels => Rank::ROOT,
            (_, Role::Cause) => Rank::CONTRIBUTOR,
            (_, Role::Symptom | Role::Separate) => Rank::of_symptom(change.key.alert),
        }
    }

    /// Keeps the strongest picture of what the incident is about: told at its worst moment, by whoever is furthest up
    /// the chain of causes. Whether this is the strongest.
    pub fn note(&mut self, change: &AlertChange, causes: &[Cause]) -> bool {
        let finding = &change.finding;
        let rank = self.rank(change);
        if rank == Rank::ROOT
            && let Some(root) = &mut self.root
        {
            root.explains |= explains(change);
        }
        let worst = rank > self.headline_rank || rank == self.headline_rank && finding.harm > self.headline_harm;
        if self.is_told_of(change, rank) {
            self.note_causes(rank, causes, worst);
        }
        if !self.speaks_for(change) {
            return false;
        }
        self.note_customers(finding, worst);
        if worst {
            self.headline_rank = rank;
            self.headline_harm = finding.harm;
            self.headline.clone_from(&finding.summary);
        }
        worst
    }

    /// Beside a culprit, a symptom is told as a cause only where it may be the way in: a cache, a ceiling, that went with
    /// or before it.
    fn is_told_of(&self, change: &AlertChange, rank: Rank) -> bool {
        let Some(root) = &self.root else { return true };
        let way_in = matches!(change.key.alert, AlertName::CacheCollapse | AlertName::Saturation);
        rank >= Rank::CONTRIBUTOR || way_in && change.since.since(root.since) <= WITH_ROOT_MS
    }

    fn note_causes(&mut self, rank: Rank, causes: &[Cause], worst: bool) {
        for (place, cause) in causes.iter().enumerate() {
            let known = self.causes.iter().position(|(_, known)| known.dimensions == cause.dimensions);
            // Only an alert's first cause speaks with its rank: what follows it are other possibilities.
            let rank = if place == 0 { rank } else { Rank(rank.0.saturating_sub(2)) };
            match known {
                // Causes tell of the worst moment too: the calm at the end explains nothing.
                Some(known) if worst || rank > self.causes[known].0 => self.causes[known] = (rank, cause.clone()),
                Some(_) => {}
                None => self.causes.push((rank, cause.clone())),
            }
        }
        self.causes.sort_by(|(rank_a, a), (rank_b, b)| {
            let strength = |rank: Rank, c: &Cause| (rank, c.confidence, c.share);
            let order = strength(*rank_b, b).partial_cmp(&strength(*rank_a, a)).unwrap_or(std::cmp::Ordering::Equal);
            order.then_with(|| a.dimensions.cmp(&b.dimensions))
        });
        self.causes.truncate(CAUSES_MAX);
    }

    fn note_customers(&mut self, finding: &Finding, worst: bool) {
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
    }

    /// Keeps requests and queries that show what the strongest picture is of. Where there are none, those of a weaker one stay.
    pub fn note_samples(&mut self, sample_requests: Vec<SampleRequest>, sample_queries: Vec<SampleQuery>) {
        if !sample_requests.is_empty() {
            self.sample_requests = sample_requests;
        }
        if !sample_queries.is_empty() {
            self.sample_queries = sample_queries;
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
        // What may have led to it is still true.
        let way_in = Rank::of_symptom(AlertName::Saturation);
        self.causes.retain(|(rank, _)| *rank >= way_in && *rank < Rank::CONTRIBUTOR);
        self.ruled_out.clear();
        self.customers.clear();
        self.sample_requests.clear();
        self.sample_queries.clear();
        self.headline.clear();
        self.headline_rank = Rank(0);
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
        self.fired.is_some()
    }

    /// The worst severity anybody was told of.
    #[must_use]
    pub fn severity_told(&self) -> Severity {
        self.fired.unwrap_or(self.severity)
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

    /// Whether labels are those of a cause that takes part beside the first.
    #[must_use]
    pub fn is_contributor(&self, labels: &Dimensions) -> bool {
        self.contributors.contains_key(labels)
    }

    /// Whether only symptoms made it so far; a ticket about one subject is none.
    #[must_use]
    pub fn has_only_symptoms(&self) -> bool {
        self.root.is_none() && self.opened_by == Role::Symptom
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

    /// The last moment at which an alert became part of it.
    #[must_use]
    pub fn last_grown(&self) -> Timestamp {
        self.last_grown
    }

    /// Ranked causes.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.causes.iter().map(|(_, cause)| cause)
    }

    /// Whether a subscription is among the culprit's.
    #[must_use]
    pub fn has_customer(&self, subscription: &str) -> bool {
        self.customers.contains_key(subscription)
    }

    /// Whether one of its alerts, active or over, has this label.
    #[must_use]
    pub fn is_about(&self, dimension: Dimension, value: &str) -> bool {
        let active = self.active.iter().map(|key| &key.labels);
        active.chain(self.subjects.iter().map(|(_, labels)| labels)).any(|l| l.get(dimension) == Some(value))
    }

    /// What may be behind its symptoms where no culprit is known: a ceiling, a cache, memory, restarts.
    #[must_use]
    pub fn way_in(&self) -> Option<&Cause> {
        let (rank, cause) = self.causes.first()?;
        (self.root.is_none() && *rank >= Rank::of_symptom(AlertName::RestartLoop) && !cause.dimensions.is_empty())
            .then_some(cause)
    }

    /// Whether the alert belongs to it and is active.
    #[must_use]
    pub fn holds(&self, key: &AlertKey) -> bool {
        self.active.contains(key)
    }

    /// A culprit gives way to one that explains it: a wider one, or one that began before. It stays as one that takes part.
    pub fn replace_root(&mut self, change: &AlertChange) {
        let replaced = self.root.take().filter(|root| root.alert != change.key.alert);
        self.forget_root();
        if let Some(replaced) = replaced {
            self.contributors.insert(replaced.labels, replaced.alert);
        }
        self.started_at = self.started_at.min(change.since);
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
