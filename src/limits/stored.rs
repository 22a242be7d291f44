//! A limit tried on what ClickHouse has stored: the part of `limits` that is not pure.

use super::keys::By;
use super::report::{Report, SourceKind};
use super::spec::{Precision, Spec};
use super::what_if::WhatIf;
use crate::model::Timestamp;
use crate::store::history::{HourExtent, pieces};
use crate::store::limit_history::{self, TimeSpan};
use crate::store::{ClickHouse, StoreError};

/// Requests that are read one by one unless asked: at half a million a second, less than a minute's work.
const REQUESTS_READ_MAX: u64 = 20_000_000;
/// After so many rows others have their turn.
const ROWS_A_TURN: u32 = 4_096;

/// The stored past.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// Where it is.
    pub clickhouse: &'a ClickHouse,
    /// From when.
    pub from: Timestamp,
    /// To before when.
    pub until: Timestamp,
    /// Which table to read.
    pub precision: Precision,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// ClickHouse cannot be asked.
    #[error("clickhouse cannot be asked: {0}")]
    Store(#[from] StoreError),
    /// There is nothing to look at.
    #[error("nothing is stored from {0} until {1}")]
    Nothing(Timestamp, Timestamp),
    /// Counts by minute cannot answer this.
    #[error("counts by minute cannot answer this: {0}")]
    NotByMinute(&'static str),
}

/// What the limit would have done.
///
/// # Errors
/// See [`WhatIfError`].
pub async fn what_if(history: &History<'_>, spec: &Spec) -> Result<Report, WhatIfError> {
    let span = (history.from, history.until);
    let extent = limit_history::extent(history.clickhouse, span).await?;
    let (kind, why) = choose(history.precision, &extent, spec)?;
    let source = if kind == SourceKind::Requests { "requests" } else { "minutes" };
    let pieces = pieces(extent.iter().filter(|hour| hour.source == source), span);
    if pieces.is_empty() {
        return Err(WhatIfError::Nothing(span.0, span.1));
    }
    let incidents = limit_history::incidents(history.clickhouse, span).await?;
    let by_more = spec.by.iter().any(|by| !matches!(by, By::Subscription | By::Route));
    let touched: Vec<TimeSpan> =
        incidents.iter().map(|past| (past.started_at, past.ended_at.unwrap_or(Timestamp::MAX))).collect();
    let mut what_if = WhatIf::new(spec, kind, incidents);
    for piece in pieces {
        if kind == SourceKind::Requests {
            read_requests(history.clickhouse, piece, &mut what_if).await?;
        } else {
            let described = by_more || touched.iter().any(|(from, until)| *from < piece.1 && piece.0 < *until);
            read_minutes(history.clickhouse, piece, described, &mut what_if).await?;
        }
    }
    Ok(what_if.finish(&why))
}

async fn read_requests(clickhouse: &ClickHouse, piece: TimeSpan, what_if: &mut WhatIf) -> Result<(), StoreError> {
    let mut rows = limit_history::requests(clickhouse, piece)?;
    let mut turn = 0_u32;
    while let Some(row) = rows.next().await? {
        what_if.apply(&row.into_request());
        others_turn(&mut turn).await;
    }
    Ok(())
}

async fn read_minutes(
    clickhouse: &ClickHouse,
    piece: TimeSpan,
    described: bool,
    what_if: &mut WhatIf,
) -> Result<(), StoreError> {
    let mut rows = limit_history::minutes(clickhouse, piece, described)?;
    let mut turn = 0_u32;
    while let Some(row) = rows.next().await? {
        what_if.apply_minute(&row.cell());
        others_turn(&mut turn).await;
    }
    Ok(())
}

/// Rows are often there already: without this a long answer would keep a thread of the service to itself.
async fn others_turn(turn: &mut u32) {
    *turn = turn.wrapping_add(1);
    if turn.is_multiple_of(ROWS_A_TURN) {
        tokio::task::yield_now().await;
    }
}

/// The table to read, and why, in words.
fn choose(precision: Precision, extent: &[HourExtent], spec: &Spec) -> Result<(SourceKind, String), WhatIfError> {
    let of = |source: &'static str| extent.iter().filter(move |hour| hour.source == source);
    let by_minute = spec.answerable_by_minute();
    let requests: u64 = of("requests").map(|hour| hour.rows).sum();
    let (first_request, first_minute) =
        (of("requests").map(|h| h.hour_ms).min(), of("minutes").map(|h| h.hour_ms).min());
    let gone = match (first_request, first_minute) {
        (Some(request), Some(minute)) => request > minute,
        (request, minute) => request.is_none() && minute.is_some(),
    };
    match precision {
        Precision::Requests => Ok((SourceKind::Requests, "every request was asked for".to_owned())),
        Precision::Minutes => match by_minute {
            Ok(()) => Ok((SourceKind::RequestsByMinute, "counts by minute were asked for".to_owned())),
            Err(why) => Err(WhatIfError::NotByMinute(why)),
        },
        Precision::Auto => Ok(match by_minute {
            Ok(()) if gone => {
                let why =
                    "raw requests of the beginning of the span are no longer stored, so counts by minute were read";
                (SourceKind::RequestsByMinute, why.to_owned())
            }
            Ok(()) if requests > REQUESTS_READ_MAX => {
                let why = format!(
                    "{requests} requests are too many to read one by one unasked, so counts by minute were read"
                );
                (SourceKind::RequestsByMinute, why)
            }
            Ok(()) => (SourceKind::Requests, String::new()),
            Err(why) if gone => {
                let why = format!("{why}: read were the requests that are still stored, which is not all of the span");
                (SourceKind::Requests, why)
            }
            Err(_) => (SourceKind::Requests, String::new()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Question, Retries};
    use crate::store::history::HOUR_MS;

    fn hour(source: &str, hour: i64, rows: u64) -> HourExtent {
        HourExtent { source: source.to_owned(), hour_ms: hour * HOUR_MS, rows }
    }

    fn spec(limit: &str, retries: Retries) -> Spec {
        Question { limit: limit.to_owned(), retries, ..Question::default() }.spec().unwrap()
    }

    #[test]
    fn requests_are_read_where_all_are_there_and_few() {
        let minute = spec("1200/min", Retries::AsLogged);
        let chosen = |extent: &[HourExtent], spec: &Spec| choose(Precision::Auto, extent, spec).unwrap();
        let both = [hour("minutes", 5, 10), hour("requests", 5, 100)];
        assert_eq!(chosen(&both, &minute), (SourceKind::Requests, String::new()));
        let gone = [hour("minutes", 4, 10), hour("requests", 5, 100)];
        assert_eq!(chosen(&gone, &minute).0, SourceKind::RequestsByMinute);
        let many = [hour("minutes", 5, 10), hour("requests", 5, REQUESTS_READ_MAX + 1)];
        assert_eq!(chosen(&many, &minute).0, SourceKind::RequestsByMinute);
        let second = chosen(&gone, &spec("20/s", Retries::AsLogged));
        assert_eq!(second.0, SourceKind::Requests);
        assert!(second.1.contains("not all of the span"), "{}", second.1);
        let refused = choose(Precision::Minutes, &both, &spec("1200/min", Retries::Client));
        assert!(matches!(refused, Err(WhatIfError::NotByMinute(_))), "{refused:?}");
    }
}
