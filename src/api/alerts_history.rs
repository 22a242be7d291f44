//! `/api/v1/alerts/history`: what was said of pages, from ClickHouse.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::alerts_pages::PagingState;
use super::problem::{Problem, ProblemCode};
use super::query::HistoryFilter;
use crate::clock;
use crate::model::Timestamp;
use crate::store::named_queries::{PAGES_SAID, Value};

/// Without `since` the last day is told.
const SINCE_MS: i64 = 86_400_000;
/// Rows of an answer, unless fewer are asked for.
pub(super) const ROWS_MAX: u32 = 1_000;

/// A row, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    said_at: String,
    dedup_key: String,
    revision: u32,
    event: String,
    severity: String,
    reason: String,
    title: String,
    at: String,
    silenced_by: String,
    acknowledged_by: String,
    note: String,
}

#[derive(Serialize)]
struct HistoryBody {
    since: Timestamp,
    until: Timestamp,
    history: Vec<Row>,
}

/// Newest first.
pub(super) async fn history(State(state): State<PagingState>, uri: Uri) -> Result<Response, Problem> {
    let filter = HistoryFilter::parse(&uri)?;
    let until = filter.until.unwrap_or_else(clock::now);
    let since = filter.since.unwrap_or_else(|| until.plus(-SINCE_MS));
    let values = vec![
        ("from", Value::Moment(moment(since))),
        ("until", Value::Moment(moment(until))),
        ("key", Value::Text(filter.key.unwrap_or_default())),
        ("limit", Value::Count(filter.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX))),
    ];
    let rows: Vec<Row> = state.history.ask(&PAGES_SAID, values).await.map_err(|error| {
        let detail = format!("history is in ClickHouse, which cannot be asked now ({}): {error}", error.code());
        Problem::new(ProblemCode::StorageAway, detail)
    })?;
    let history = rows.into_iter().map(|row| Row { said_at: rfc3339(&row.said_at), at: rfc3339(&row.at), ..row });
    Ok(Json(HistoryBody { since, until, history: history.collect() }).into_response())
}

/// As ClickHouse writes a moment.
fn moment(at: Timestamp) -> String {
    let seconds = at.window_start(1_000);
    let text = seconds.to_string().replace('T', " ").replace('Z', "");
    format!("{text}.{:03}", at.since(seconds))
}

/// The way back.
fn rfc3339(text: &str) -> String {
    format!("{}Z", text.replace(' ', "T"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_to_clickhouse_and_back() {
        let at = Timestamp::parse_rfc3339("2026-03-01T10:15:05.007Z").unwrap();
        assert_eq!(moment(at), "2026-03-01 10:15:05.007");
        assert_eq!(Timestamp::parse_rfc3339(&rfc3339(&moment(at))), Ok(at));
    }
}
