//! What is said of a group that repeats without limit: numbers, evidence, whom to talk to.

use super::retry_groups::{Group, Suspect};
use crate::detect::statistics::wilson_lower;
use crate::detect::words::{count, percent, rate, rounded};
use crate::detect::{Finding, Role, Scene};
use crate::flow::{Cell, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, Timestamp};

/// Requests others must have made for "the others behave" to mean something.
pub const OTHERS_REQUESTS_MIN: u64 = 20;
/// One group with this share of all repeats leaves no other to blame.
pub const SHARE_MIN: f64 = 0.8;
/// Whoever makes a smaller share of attempts beyond the third, by the lower end of its interval, behaves.
pub const BEHAVES_SHARE_MAX: f64 = 0.01;
/// Customers a finding tells of; reports name fewer.
const CUSTOMERS_TOLD_MAX: usize = 1_000;

/// What is known of a culprit besides its counts.
#[derive(Debug, Clone, Copy)]
pub struct Culprit {
    /// Who.
    pub group: Group,
    /// Since when there is evidence.
    pub since: Timestamp,
    /// Whether attempts or keys tell it; else it is inferred.
    pub told: bool,
    /// The platform's normal attempts per request.
    pub baseline: f64,
}

/// The finding about one culprit.
#[must_use]
pub fn finding(culprit: &Culprit, suspect: &Suspect, scene: &Scene<'_>) -> Finding {
    let cell = &suspect.cell;
    let resends = cell.resends_likely();
    let load = scene.recent.edge_total().requests.max(cell.requests);
    let seconds = scene.recent.seconds(scene.window.end);
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    let per_second = |requests: u64| requests as f64 / seconds;
    let attempts = cell.attempts_per_request();
    let from = match culprit.group {
        Group::Version { .. } | Group::Unversioned => format!(" from {}", count(suspect.retrying(), "subscription")),
        Group::Subscription(_) | Group::Caller { .. } => String::new(),
    };
    let about = if culprit.told { "" } else { "about " };
    let summary = format!(
        "{} makes {about}{attempts:.1} attempts per request (normal {:.2}){from}: {} of the load; without its repeats \
         load would be {} instead of {}",
        culprit.group.title(scene.names),
        culprit.baseline,
        percent(ratio(cell.requests, load)),
        rate(per_second(load - resends.min(load))),
        rate(per_second(load)),
    );
    Finding {
        alert: AlertName::RetryAmplification,
        labels: culprit.group.labels(scene.names),
        since: culprit.since,
        value: rounded(attempts),
        baseline: rounded(culprit.baseline),
        harm: per_second(resends),
        unit: "attempts per request",
        causes: vec![cause(culprit, suspect, scene)],
        affected: Affected {
            subscriptions: suspect.retrying() as u64,
            requests_share: rounded(ratio(cell.requests, load)),
        },
        customers: customers(suspect, scene),
        summary,
        role: Role::Cause,
    }
}

fn cause(culprit: &Culprit, suspect: &Suspect, scene: &Scene<'_>) -> Cause {
    let others = others(culprit.group, scene);
    let cell = &suspect.cell;
    let share = ratio(cell.resends_likely(), cell.resends_likely() + others.resends_likely());
    let behave = others.requests >= OTHERS_REQUESTS_MIN
        && wilson_lower(others.beyond_budget(), others.requests, 3.0) <= BEHAVES_SHARE_MAX;
    let how = if culprit.told {
        format!(
            "attempt or request key known on {} of its requests",
            percent(ratio(cell.attempts_known, cell.requests))
        )
    } else if suspect.by_growth {
        "inferred from its load, which has grown since its requests fail by more than three attempts of each explain; no \
         attempt number or request key"
            .to_owned()
    } else {
        "inferred from failures followed by repeats; no attempt number or request key".to_owned()
    };
    let evidence = format!(
        "{} of all repeats; {} of its requests are beyond the third attempt, of all others' {}; {} of its {} repeat so; \
         {how}",
        percent(share),
        percent(ratio(cell.beyond_budget(), cell.requests)),
        percent(ratio(others.beyond_budget(), others.requests)),
        suspect.retrying(),
        count(suspect.by_subscription.len(), "subscription"),
    );
    let sure = culprit.told && (behave || share >= SHARE_MIN);
    Cause {
        dimensions: cause_dimensions(culprit.group, scene),
        share: rounded(share),
        confidence: if sure { Confidence::High } else { Confidence::Medium },
        evidence,
    }
}

/// Many subscriptions, no version in common: one finding that says so.
#[must_use]
pub fn spread(culprit: &Culprit, all: &Suspect, scene: &Scene<'_>) -> Finding {
    let subscriptions = all.retrying();
    let mut finding = finding(culprit, all, scene);
    finding.labels = Dimensions::default();
    finding.summary = format!(
        "{} repeat requests without limit ({:.1} attempts per request, normal {:.2}); no client version explains it; \
         without their repeats {}",
        count(subscriptions, "subscription"),
        finding.value,
        finding.baseline,
        finding.summary.rsplit("without its repeats ").next().unwrap_or_default(),
    );
    let how = if culprit.told {
        ""
    } else {
        "; inferred from failures followed by repeats; no attempt number or request key"
    };
    finding.causes = vec![Cause {
        dimensions: Dimensions::default(),
        share: 1.0,
        confidence: Confidence::Low,
        evidence: format!("no narrower culprit: repeats are spread over {}{how}", count(subscriptions, "subscription")),
    }];
    finding
}

/// The subscriptions that repeat most.
fn customers(suspect: &Suspect, scene: &Scene<'_>) -> Vec<Customer> {
    let mut customers: Vec<Customer> = suspect
        .by_subscription
        .iter()
        .filter(|(_, cell)| cell.beyond_budget() > 0)
        .map(|(name, cell)| Customer {
            subscription: scene.names.text(*name).clone(),
            share: rounded(ratio(cell.resends_likely(), suspect.cell.resends_likely().max(cell.resends_likely()))),
        })
        .collect();
    customers.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.subscription.cmp(&b.subscription)));
    customers.truncate(CUSTOMERS_TOLD_MAX);
    customers
}

/// Everybody else at the same time.
fn others(group: Group, scene: &Scene<'_>) -> Cell {
    let mut others = Cell::default();
    for (key, cell) in scene.recent.cells() {
        let same_side = key.caller.is_absent() != matches!(group, Group::Caller { .. });
        if same_side && !Group::of(key).any(|own| own == group) {
            others.add(cell);
        }
    }
    others
}

/// The version alone says it, unless another client has a version of the same name.
fn cause_dimensions(group: Group, scene: &Scene<'_>) -> Dimensions {
    let mut dimensions = group.labels(scene.names);
    if let Group::Version { client, client_version } = group
        && !client_version.is_absent()
        && !scene.recent.cells().any(|(key, _)| key.client_version == client_version && key.client != client)
    {
        dimensions.0.remove(&Dimension::Client);
    }
    dimensions
}
