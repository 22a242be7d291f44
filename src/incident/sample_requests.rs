//! Single requests that show what an alert is about: ids that a person can look up in the platform's own logs.

use std::cmp::Ordering;

use super::attribution::matches;
use crate::alert::AlertChange;
use crate::detect::Scene;
use crate::flow::Exemplar;
use crate::model::{AlertName, Cause, Dimension, Dimensions, SAMPLE_REQUESTS_MAX, SampleRequest};

/// The requests of the last minute that fit an alert best: those of its first cause before others, failed and repeated ones
/// before others (nothing else where failures are the matter), and where slowness is, the slowest. None where an alert is not
/// about requests.
pub(super) fn sample_requests(change: &AlertChange, causes: &[Cause], scene: &Scene<'_>) -> Vec<SampleRequest> {
    let cause = of_requests(causes.first().map(|cause| &cause.dimensions));
    let labels = of_requests(Some(&change.key.labels));
    let wanted = if labels.is_empty() { &cause } else { &labels };
    if wanted.is_empty() && !is_about_requests(change.key.alert) {
        return Vec::new();
    }
    let subscription = wanted.get(Dimension::Subscription);
    let name = subscription.and_then(|subscription| scene.names.known(subscription));
    if subscription.is_some() && name.is_none() {
        return Vec::new();
    }
    let is_slow = change.key.alert == AlertName::LatencyRegression;
    // An objective may count what was slow: which requests were is not known here.
    let has_failed = match change.key.alert {
        AlertName::ErrorBudgetBurn if change.key.labels.get(Dimension::Objective).is_none() => |status| status >= 500,
        AlertName::FeedbackLoop => |status| status >= 500 || status == 429,
        _ => |_: u16| true,
    };
    let fits = |exemplar: &&Exemplar| has_failed(exemplar.status) && matches(&exemplar.cell, wanted, scene.names);
    let found = scene.recent.exemplars(name).filter(fits);
    let mut found: Vec<_> = found.map(|exemplar| (!matches(&exemplar.cell, &cause, scene.names), exemplar)).collect();
    found.sort_by(|(a_misses, a), (b_misses, b)| {
        let slower = if is_slow { b.duration_ms.total_cmp(&a.duration_ms) } else { Ordering::Equal };
        a_misses.cmp(b_misses).then(slower).then(a.rank.cmp(&b.rank)).then_with(|| a.request_id.cmp(&b.request_id))
    });
    let mut told: Vec<SampleRequest> = Vec::new();
    for (_, exemplar) in found {
        if told.len() == SAMPLE_REQUESTS_MAX {
            break;
        }
        // Services that pass a request on keep its id.
        if told.iter().all(|sample| sample.request_id != exemplar.request_id) {
            told.push(sample(exemplar, scene));
        }
    }
    told
}

fn sample(exemplar: &Exemplar, scene: &Scene<'_>) -> SampleRequest {
    SampleRequest {
        request_id: exemplar.request_id.clone(),
        timestamp: exemplar.timestamp,
        subscription: scene.names.text(exemplar.cell.subscription).clone(),
        route: scene.names.text(exemplar.cell.route).clone(),
        status: exemplar.status,
        duration_ms: exemplar.duration_ms,
    }
}

/// Those of the dimensions that requests have.
fn of_requests(dimensions: Option<&Dimensions>) -> Dimensions {
    let all = dimensions.into_iter().flat_map(|dimensions| &dimensions.0);
    let own = all.filter(|(dimension, _)| Dimension::OF_REQUESTS.contains(dimension));
    Dimensions::new(own.map(|(dimension, value)| (*dimension, value.clone())))
}

/// Whether an alert without labels is about all requests.
fn is_about_requests(alert: AlertName) -> bool {
    matches!(
        alert,
        AlertName::RetryAmplification
            | AlertName::RequestAmplification
            | AlertName::RateLimitExceeded
            | AlertName::TrafficSurge
            | AlertName::ErrorBudgetBurn
            | AlertName::LatencyRegression
            | AlertName::FeedbackLoop
    )
}
