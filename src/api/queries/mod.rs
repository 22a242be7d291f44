//! Questions over HTTP: named queries, ad-hoc SQL, curves.

mod accept;
mod listing;
mod outcome;
mod range;
mod results;
mod series;
mod sql;

pub(super) use listing::{all, one};
pub(super) use range::query_range;
pub(super) use results::{results, results_posted};
pub(super) use series::series;
pub(super) use sql::sql;

use super::auth::Bearer;
use crate::query::Asker;

/// Longest body: SQL of the greatest length, as JSON with every character escaped.
pub(super) const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// Whether answers to this path come from ClickHouse and not from memory.
pub(super) fn asks_clickhouse(path: &str) -> bool {
    let is_results = path.starts_with("/api/v1/queries/") && path.ends_with("/results");
    is_results
        || super::postmortem::is_draft(path)
        || ["/api/v1/sql", "/api/v1/query_range", "/api/v1/alerts/history"].contains(&path)
}

fn asker(bearer: &Bearer) -> Asker {
    Asker { token: bearer.0.clone(), subscription: bearer.1.clone() }
}
