//! Questions of pages to the stored tables, through the desk that the API asks too. What a page shows is bounded.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;

use futures_util::Stream as _;
use maud::{Markup, html};

use super::ConsoleState;
use super::access::Visitor;
use super::parts;
use crate::clock;
use crate::model::{NamedQuery, Timestamp, Unit};
use crate::query::{Answer, Asker, Estimate, QueryError, ResultFormat};

/// Bytes of an answer that a page reads; the rest is left unread, which ends the query.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub name: String,
    /// What its values are counted in; absent where nobody has said.
    pub unit: Option<Unit>,
    /// What it means.
    pub description: String,
}

/// An answer, as texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rows {
    /// In order.
    pub columns: Vec<Column>,
    /// In order; each as long as the columns.
    pub rows: Vec<Vec<String>>,
    /// Whether there are more that were not read.
    pub is_cut: bool,
}

/// Why a page has no answer, in words.
pub(super) fn why_not(error: &QueryError) -> Markup {
    let suggestion = match error {
        QueryError::Guard { refusal, .. } => Some(refusal.suggestion.clone()),
        QueryError::Fence(error) => Some(error.suggestion().to_owned()),
        QueryError::Limit { .. } => Some("Read less: a shorter time, fewer groups, fewer columns.".to_owned()),
        _ => None,
    };
    let what = match error {
        QueryError::Guard { refusal, .. } => refusal.explanation.clone(),
        QueryError::Storage(error) => {
            tracing::warn!(%error, "a question of the console was not answered");
            format!("History is in ClickHouse, which cannot be asked now ({}). Detection goes on.", error.code())
        }
        other => other.to_string(),
    };
    html! {
        p.notice role="alert" { b { "No answer. " } (what) @if let Some(suggestion) = suggestion { " " (suggestion) } }
    }
}

/// What a question would cost.
pub(super) fn cost(estimate: Option<&Estimate>, read_rows_max: u64, read_bytes_max: u64) -> Markup {
    html! {
        @match estimate {
            Some(estimate) => p {
                "Reads " @if estimate.is_upper_bound { "at most " } b { (parts::count(estimate.rows)) " rows" }
                ", at most " (crate::detect::bytes(parts::float(estimate.bytes_max))) ". "
                "A question may read " (parts::count(read_rows_max)) " rows and "
                (crate::detect::bytes(parts::float(read_bytes_max))) "."
            },
            None => p { "ClickHouse cannot say what this would cost." },
        }
    }
}

/// What `now` means in questions of pages: how far events are decided. A replayed log ends long before today.
pub(super) fn now(state: &ConsoleState) -> Timestamp {
    state.view().watermark.map_or_else(clock::now, |watermark| watermark.plus(1))
}

/// Who asks.
pub(super) fn asker(visitor: &Visitor) -> Asker {
    Asker { token: visitor.name.as_str().into(), subscription: None }
}

/// Asks a named query.
pub(super) async fn named(
    state: &ConsoleState,
    visitor: &Visitor,
    query: &'static NamedQuery,
    given: &BTreeMap<String, String>,
) -> Result<Rows, Markup> {
    let desk = state.queries.as_ref().ok_or_else(|| html! { p.notice { "Nothing can be asked here." } })?;
    let bound = query.bind(given, now(state)).map_err(|error| {
        html! { p.notice role="alert" { @for problem in &error.problems { (problem) ". " } } }
    })?;
    let answer = desk.named(&bound, &asker(visitor), ResultFormat::Csv).await.map_err(|error| why_not(&error))?;
    let mut rows = read(answer).await.map_err(|why| html! { p.notice role="alert" { (why) } })?;
    for column in &mut rows.columns {
        if let Some(known) = query.columns.iter().find(|known| known.name == column.name) {
            (column.unit, column.description) = (Some(known.unit), known.description.clone());
        }
    }
    Ok(rows)
}

/// Reads an answer in CSV, up to a bound.
pub(super) async fn read(mut answer: Answer) -> Result<Rows, String> {
    let (mut bytes, mut is_cut) = (Vec::new(), false);
    while let Some(piece) = poll_fn(|context| Pin::new(&mut answer).poll_next(context)).await {
        bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        if bytes.len() > ANSWER_BYTES_MAX {
            // The last line may be half a line.
            let end = bytes[..ANSWER_BYTES_MAX].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            bytes.truncate(end);
            is_cut = true;
            break;
        }
    }
    Ok(Rows { is_cut, ..parse(&bytes) })
}

fn parse(bytes: &[u8]) -> Rows {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let names = reader.headers().cloned().unwrap_or_default();
    let column = |name: &str| Column { name: name.to_owned(), unit: None, description: String::new() };
    let columns: Vec<Column> = names.iter().map(column).collect();
    let text = |text: &str| if text == "\\N" { String::new() } else { text.to_owned() };
    let row = |record: csv::ByteRecord| -> Vec<String> {
        record.iter().map(|field| text(&String::from_utf8_lossy(field))).collect()
    };
    let rows = reader.into_byte_records().map_while(Result::ok).map(row);
    let rows = rows.filter(|row| row.len() == columns.len()).collect();
    Rows { columns, rows, is_cut: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_the_order_of_its_columns_and_what_is_absent() {
        let rows = parse(b"\"z\",\"a\"\n\"x, \"\"y\"\"\",1\n\\N,2\nhalf\n");
        assert_eq!(rows.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(rows.rows, [["x, \"y\"".to_owned(), "1".to_owned()], [String::new(), "2".to_owned()]]);
    }
}
