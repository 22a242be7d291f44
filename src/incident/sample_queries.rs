//! Single runs of queries that show what an alert is about: ids that a person can look up in `system.query_log`.

use crate::alert::AlertChange;
use crate::detect::Scene;
use crate::flow::{Names, QueryExemplar, QueryKey};
use crate::model::{Cause, Dimension, Dimensions, SAMPLE_QUERIES_MAX, SampleQuery};

/// What tells queries apart.
const OF_QUERIES: [Dimension; 4] = [Dimension::Fingerprint, Dimension::Origin, Dimension::Version, Dimension::Node];

/// The runs of the last minute that fit an alert best: those of its first cause alone where there are such, and of these the
/// ones that took the most memory. None where neither the alert nor its first cause names a query.
pub(super) fn sample_queries(change: &AlertChange, causes: &[Cause], scene: &Scene<'_>) -> Vec<SampleQuery> {
    let cause = of_queries(causes.first().map(|cause| &cause.dimensions));
    let labels = of_queries(Some(&change.key.labels));
    let Some(query) = [&labels, &cause].into_iter().find(|named| named.get(Dimension::Fingerprint).is_some()) else {
        return Vec::new();
    };
    let found = scene.recent.query_exemplars().filter(|exemplar| matches(&exemplar.key, query, scene.names));
    let mut found: Vec<&QueryExemplar> = found.collect();
    // What the version before took shows nothing.
    let is_of_cause = |exemplar: &&QueryExemplar| matches(&exemplar.key, &cause, scene.names);
    if found.iter().any(is_of_cause) {
        found.retain(is_of_cause);
    }
    found.sort_by(|a, b| a.rank(b));
    let mut told: Vec<SampleQuery> = Vec::new();
    for exemplar in found {
        if told.len() == SAMPLE_QUERIES_MAX {
            break;
        }
        // One that runs long is reported in every window.
        if told.iter().all(|sample| sample.query_id != exemplar.query_id) {
            told.push(sample(exemplar, scene.names));
        }
    }
    told
}

fn sample(exemplar: &QueryExemplar, names: &Names) -> SampleQuery {
    let QueryExemplar { key, query_id, timestamp, state, memory_bytes, duration_ms, exception_code } = exemplar;
    SampleQuery {
        query_id: query_id.clone(),
        timestamp: *timestamp,
        node: names.text(key.node).clone(),
        user: (!key.user.is_absent()).then(|| names.text(key.user).clone()),
        fingerprint: names.text(key.fingerprint).clone(),
        state: *state,
        memory_bytes: *memory_bytes,
        duration_ms: *duration_ms,
        exception_code: *exception_code,
    }
}

/// Those of the dimensions that queries have.
fn of_queries(dimensions: Option<&Dimensions>) -> Dimensions {
    let all = dimensions.into_iter().flat_map(|dimensions| &dimensions.0);
    let own = all.filter(|(dimension, _)| OF_QUERIES.contains(dimension));
    Dimensions::new(own.map(|(dimension, value)| (*dimension, value.clone())))
}

/// Whether a run belongs to what `dimensions` describe.
fn matches(key: &QueryKey, dimensions: &Dimensions, names: &Names) -> bool {
    dimensions.0.iter().all(|(dimension, value)| names.text(key.name(*dimension)) == value)
}
