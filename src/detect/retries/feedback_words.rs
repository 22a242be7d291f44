//! What is said of a feedback loop: the load, what it would be without repeats, and who repeats.

use rustc_hash::FxHashMap;

use super::retry_groups::Group;
use crate::detect::words::{percent, rate, rounded};
use crate::detect::{Finding, Role, Scene};
use crate::flow::{Cell, Name, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, Timestamp};

/// A group that makes this share of the repeats stands out (explanatory power, Adtributor, NSDI '14: T_EP).
const STANDS_OUT_SHARE: f64 = 0.67;
/// Customers a finding tells of; reports name fewer.
const CUSTOMERS_TOLD_MAX: usize = 1_000;

/// A minute of a service beside what is normal, in requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// All requests.
    pub load: f64,
    /// Usual load.
    pub load_normal: f64,
    /// The most it carried in a healthy minute.
    pub load_peak: f64,
    /// Requests that repeat others.
    pub repeats: f64,
    /// Requests that did not fail.
    pub served: f64,
    /// As many as usual.
    pub served_normal: f64,
    /// Requests that were worked on, or waited for, until they failed.
    pub expired: f64,
    /// Clients give up after three attempts, and what they load the service with is worked off for nobody.
    pub for_nobody: bool,
}

impl Moment {
    /// Requests that are no repeats.
    #[must_use]
    pub fn demand(&self) -> f64 {
        self.load - self.repeats
    }
}

/// The finding about one service.
#[must_use]
pub fn finding(service: Name, since: Timestamp, moment: &Moment, scene: &Scene<'_>) -> Finding {
    let name = scene.names.text(service);
    let who = if service.is_absent() { "the platform".to_owned() } else { format!("service {name}") };
    let present = (!service.is_absent()).then(|| (Dimension::Service, name.clone()));
    let cells: Vec<_> = scene.recent.cells().filter(|(key, _)| key.service == service).collect();
    let (mut all, mut subscriptions) = (Cell::default(), FxHashMap::<Name, Cell>::default());
    for (key, cell) in &cells {
        all.add(cell);
        subscriptions.entry(key.subscription).or_default().add(cell);
    }
    let failing = subscriptions.values().filter(|cell| cell.failures > 0).count();
    Finding {
        alert: AlertName::FeedbackLoop,
        labels: Dimensions::new(present),
        since,
        value: rounded(moment.load),
        baseline: rounded(moment.load_normal),
        harm: moment.repeats,
        unit: "requests per second",
        causes: vec![if moment.for_nobody {
            own_cause(service, moment, scene)
        } else {
            cause(&all, &by_group(&cells), scene)
        }],
        affected: Affected { subscriptions: failing as u64, requests_share: rounded(all.failure_ratio()) },
        customers: customers(&subscriptions, &all, scene),
        summary: format!(
            "load of {who} is kept up by its own failures: {} of {} are repeats, {} are served (normal {}); without \
             repeats load would be {}, and it has carried {}: it will not recover until repeats are held back",
            percent(moment.repeats / moment.load),
            rate(moment.load),
            rate(moment.served),
            rate(moment.served_normal),
            rate(moment.demand()),
            rate(moment.load_peak),
        ),
        role: Role::Symptom,
    }
}

/// Where every client behaves, the service itself is what does not recover.
fn own_cause(service: Name, moment: &Moment, scene: &Scene<'_>) -> Cause {
    let present = (!service.is_absent()).then(|| (Dimension::Service, scene.names.text(service).clone()));
    Cause {
        dimensions: Dimensions::new(present),
        share: 1.0,
        confidence: Confidence::Medium,
        evidence: format!(
            "no client is to blame: what held it back is gone, it works off {}, however much comes, more than the {} of \
             demand; but {} of that expires before it is served and is asked for again",
            rate(moment.served + moment.expired),
            rate(moment.demand()),
            percent(moment.expired / (moment.served + moment.expired).max(f64::MIN_POSITIVE)),
        ),
    }
}

fn by_group(cells: &[(&crate::flow::CellKey, &Cell)]) -> FxHashMap<Group, Cell> {
    let mut groups: FxHashMap<Group, Cell> = FxHashMap::default();
    for (key, cell) in cells {
        for group in Group::of(key).filter(|group| *group != Group::Unversioned) {
            groups.entry(group).or_default().add(cell);
        }
    }
    groups
}

/// The version, caller or else subscription that makes most of the repeats; without one the cause says so.
fn cause(all: &Cell, groups: &FxHashMap<Group, Cell>, scene: &Scene<'_>) -> Cause {
    let share = |cell: &Cell| ratio(cell.resends_likely(), all.resends_likely().max(cell.resends_likely()));
    let rank = |group: &Group| match group {
        Group::Version { .. } => 0,
        Group::Caller { .. } => 1,
        Group::Unversioned | Group::Subscription(_) => 2,
    };
    let standing_out = groups.iter().filter(|(_, cell)| share(cell) >= STANDS_OUT_SHARE);
    let first = standing_out
        .min_by_key(|(group, cell)| (rank(group), std::cmp::Reverse(cell.resends_likely()), group.labels(scene.names)));
    let told = 2 * all.attempts_known >= all.requests;
    let how = if told { "" } else { ", inferred from failures followed by repeats" };
    let Some((group, cell)) = first else {
        return Cause {
            dimensions: Dimensions::default(),
            share: 1.0,
            confidence: Confidence::Low,
            evidence: format!("no narrower culprit: repeats come from many clients{how}"),
        };
    };
    let mut dimensions = group.labels(scene.names);
    let version_says_it = |(other, _): (&Group, &Cell)| match (group, other) {
        (Group::Version { client, client_version }, Group::Version { client: c, client_version: v }) => {
            client_version.is_absent() || client == c || client_version != v
        }
        _ => true,
    };
    if matches!(group, Group::Version { client_version, .. } if !client_version.is_absent())
        && groups.iter().all(version_says_it)
    {
        dimensions.0.remove(&Dimension::Client);
    }
    Cause {
        dimensions,
        share: rounded(share(cell)),
        confidence: if told { Confidence::High } else { Confidence::Medium },
        evidence: format!(
            "{} makes {} of the repeats{how}; {} of its requests repeat others",
            group.title(scene.names),
            percent(share(cell)),
            percent(ratio(cell.resends_likely(), cell.requests)),
        ),
    }
}

/// The subscriptions that repeat most.
fn customers(subscriptions: &FxHashMap<Name, Cell>, all: &Cell, scene: &Scene<'_>) -> Vec<Customer> {
    let mut customers: Vec<Customer> = subscriptions
        .iter()
        .filter(|(_, cell)| cell.beyond_budget() > 0)
        .map(|(name, cell)| Customer {
            subscription: scene.names.text(*name).clone(),
            share: rounded(ratio(cell.resends_likely(), all.resends_likely().max(cell.resends_likely()))),
        })
        .collect();
    customers.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.subscription.cmp(&b.subscription)));
    customers.truncate(CUSTOMERS_TOLD_MAX);
    customers
}
