//! The answer of a named query as series: one, or one for each value of a column.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value};

use super::table::{Columns, Row, value};
use super::time;
use crate::model::did_you_mean;

/// Series that are judged at a time: each has a detector of its own.
const SERIES_MAX: usize = 10_000;

/// Rows of each series, in the order of time.
pub(super) fn series(
    answer: &[Map<String, Value>],
    columns: &Columns<'_>,
    by: Option<&str>,
) -> anyhow::Result<BTreeMap<String, Vec<Row>>> {
    for wanted in [Some(columns.timestamp), Some(columns.value), by].into_iter().flatten() {
        check_column(answer, wanted)?;
    }
    let mut series: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (row, number) in answer.iter().zip(1_u64..) {
        let text = |name: &str| row.get(name).map(text_of).unwrap_or_default();
        let (timestamp, written) = (text(columns.timestamp), text(columns.value));
        let timestamp_ms = time::milliseconds(timestamp.trim())
            .ok_or_else(|| anyhow!("row {number}: {}: `{timestamp}` is no time", columns.timestamp))?;
        let value = value(written.trim())
            .ok_or_else(|| anyhow!("row {number}: {}: `{written}` is no number", columns.value))?;
        let rows = series.entry(by.map(text).unwrap_or_default()).or_default();
        rows.push(Row { timestamp, number: written, timestamp_ms, value });
        if series.len() > SERIES_MAX {
            bail!("more than {SERIES_MAX} values of {}", by.unwrap_or_default());
        }
    }
    for (name, rows) in &mut series {
        rows.sort_by_key(|row| row.timestamp_ms);
        if let Some(two) = rows.windows(2).find(|two| two[0].timestamp_ms == two[1].timestamp_ms) {
            let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
            bail!("several rows{of} are of {}: name the column that tells them apart with --by", two[0].timestamp);
        }
    }
    Ok(series)
}

fn check_column(answer: &[Map<String, Value>], wanted: &str) -> anyhow::Result<()> {
    let names: Vec<&str> = answer.first().into_iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    if names.contains(&wanted) {
        return Ok(());
    }
    match did_you_mean(wanted, names.iter().copied()) {
        Some(meant) => bail!("there is no column {wanted}; did you mean {meant}?"),
        None => bail!("there is no column {wanted}; its columns are: {}", names.join(", ")),
    }
}

/// An absent value is a missing one.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns<'_> = Columns { timestamp: "time", value: "p95_ms" };

    fn answer(lines: &[&str]) -> Vec<Map<String, Value>> {
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn rows_become_series_in_the_order_of_time() {
        let rows = answer(&[
            "{\"time\": \"2026-03-09 10:01:00\", \"route\": \"/b\", \"p95_ms\": 2.5}",
            "{\"time\": \"2026-03-09 10:00:00\", \"route\": \"/b\", \"p95_ms\": null}",
            "{\"time\": \"2026-03-09 10:00:00\", \"route\": \"/a\", \"p95_ms\": 1}",
        ]);
        let found = series(&rows, &COLUMNS, Some("route")).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["/a", "/b"]);
        assert!(found["/b"][0].value.is_nan() && found["/b"][1].value == 2.5);
        let error = series(&rows, &COLUMNS, None).unwrap_err().to_string();
        assert!(error.contains("2026-03-09 10:00:00") && error.contains("--by"), "{error}");
        let error = series(&rows, &Columns { value: "p95ms", ..COLUMNS }, None).unwrap_err().to_string();
        assert_eq!(error, "there is no column p95ms; did you mean p95_ms?");
    }
}
