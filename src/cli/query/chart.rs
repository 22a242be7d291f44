//! Numbers against time, as plots in a terminal: one below the other, each with its unit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use serde_json::Value;

use super::Question;
use super::plot::plot;
use super::row::Row;
use super::shown::unit_of;
use crate::cli::moment::written;
use crate::cli::output::is_plain;
use crate::drawing::{number, time_ticks};
use crate::model::{Timestamp, did_you_mean};
use crate::postmortem::plain;

/// Plots that are drawn; of more the highest.
const PLOTS_MAX: usize = 8;
const HEIGHT: usize = 6;
/// Room for the numbers beside a plot.
const MARGIN: usize = 10;
const WIDTH_MIN: usize = 30;
/// Where the terminal does not say how wide it is.
const WIDTH_USUAL: usize = 100;

/// Plots of the rows. Rows that share a moment are told apart by their texts.
pub(super) fn of(rows: &[Row], question: &Question, wanted: &[String]) -> anyhow::Result<String> {
    let Some(first) = rows.first() else { return Ok(String::new()) };
    let Some(time) = time_column(rows) else {
        let names: Vec<&str> = first.keys().map(String::as_str).collect();
        bail!("no column holds times to plot against; there are {}", names.join(", "));
    };
    let columns = number_columns(rows, first, wanted)?;
    let moments: Vec<i64> = rows.iter().filter_map(|row| at(row, &time)).collect();
    let (Some(from), Some(until)) = (moments.iter().min().copied(), moments.iter().max().copied()) else {
        bail!("no row has a time");
    };
    let mut series = series(rows, &time, &columns);
    let all = series.len();
    let peak =
        |points: &[(i64, f64)]| points.iter().map(|(_, value)| *value).filter(|v| v.is_finite()).fold(0.0, f64::max);
    series.sort_by(|a, b| {
        (columns_rank(&columns, &a.0)).cmp(&columns_rank(&columns, &b.0)).then(peak(&b.2).total_cmp(&peak(&a.2)))
    });
    let mut out = String::new();
    let width = width().saturating_sub(MARGIN).max(WIDTH_MIN);
    for (column, name, points) in series.iter().take(PLOTS_MAX) {
        let unit = unit_of(question, column).map(|unit| format!(", {unit}")).unwrap_or_default();
        let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
        draw(&mut out, &format!("{column}{of}{unit}"), points, (from, until), width);
    }
    out += &axis(from, until, width);
    if all > PLOTS_MAX {
        // Writing to a string does not fail.
        let _ = write!(out, "\n{} more are not drawn: choose with --value, or ask for less", all - PLOTS_MAX);
    }
    Ok(out)
}

fn columns_rank(columns: &[String], column: &str) -> usize {
    columns.iter().position(|known| known == column).unwrap_or(usize::MAX)
}

/// The first column whose values are all times.
fn time_column(rows: &[Row]) -> Option<String> {
    let is_time = |name: &&String| {
        let mut values = rows.iter().filter_map(|row| row.get(name)).filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && values.all(|value| value.as_str().is_some_and(|text| written(text).is_some()))
    };
    rows.first()?.keys().find(is_time).cloned()
}

fn at(row: &Row, time: &str) -> Option<i64> {
    written(row.get(time)?.as_str()?).map(Timestamp::as_millis)
}

fn number_columns(rows: &[Row], first: &Row, wanted: &[String]) -> anyhow::Result<Vec<String>> {
    let is_number = |name: &&String| rows.iter().any(|row| row.get(name).is_some_and(Value::is_number));
    let numbers: Vec<String> = first.keys().filter(is_number).cloned().collect();
    if numbers.is_empty() {
        bail!("no column holds numbers to plot");
    }
    for wanted in wanted {
        if !numbers.contains(wanted) {
            let meant = did_you_mean(wanted, numbers.iter().map(String::as_str));
            let hint = meant
                .map_or_else(|| format!("there are {}", numbers.join(", ")), |meant| format!("did you mean {meant}?"));
            bail!("there is no column {wanted} of numbers; {hint}");
        }
    }
    Ok(if wanted.is_empty() { numbers } else { wanted.to_vec() })
}

type Series = (String, String, Vec<(i64, f64)>);

/// A series for each column of numbers, and for each combination of texts where several rows share a moment.
fn series(rows: &[Row], time: &str, columns: &[String]) -> Vec<Series> {
    let mut moments = std::collections::BTreeSet::new();
    let is_shared = rows.iter().filter_map(|row| at(row, time)).any(|at| !moments.insert(at));
    let name_of = |row: &Row| -> String {
        let texts = row.iter().filter(|(name, _)| *name != time).filter_map(|(_, value)| value.as_str());
        if is_shared {
            texts.filter(|text| !text.is_empty()).map(plain).collect::<Vec<_>>().join(" ")
        } else {
            String::new()
        }
    };
    let mut all: BTreeMap<(String, String), Vec<(i64, f64)>> = BTreeMap::new();
    for row in rows {
        let Some(at) = at(row, time) else { continue };
        for column in columns {
            let value = row.get(column).and_then(Value::as_f64).unwrap_or(f64::NAN);
            all.entry((column.clone(), name_of(row))).or_default().push((at, value));
        }
    }
    let sorted = |mut points: Vec<(i64, f64)>| {
        points.sort_by_key(|(at, _)| *at);
        points
    };
    all.into_iter().map(|((column, name), points)| (column, name, sorted(points))).collect()
}

fn draw(out: &mut String, title: &str, points: &[(i64, f64)], (from, until): (i64, i64), width: usize) {
    let finite = || points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let highest = finite().fold(0.0, f64::max);
    let last = finite().next_back().unwrap_or(f64::NAN);
    let span = (until - from).max(1) as f64;
    let places: Vec<(f64, f64)> = points.iter().map(|(at, value)| ((at - from) as f64 / span, *value)).collect();
    let (bold, colour, end) = if is_plain() { ("", "", "") } else { ("\u{1b}[1m", "\u{1b}[34m", "\u{1b}[0m") };
    let _ = writeln!(out, "{bold}{}{end}  (last {})", plain(title), number(last));
    let lines = plot(&places, highest, width, HEIGHT);
    for (index, line) in lines.iter().enumerate() {
        let label = match index {
            0 => number(highest),
            _ if index + 1 == lines.len() => "0".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(out, "{label:>8} {colour}{line}{end}");
    }
}

/// Times below the plots, where they belong.
fn axis(from: i64, until: i64, width: usize) -> String {
    let mut line = vec![' '; MARGIN + width];
    let span = (until - from).max(1) as f64;
    let mut free_from = 0;
    for (at, label) in time_ticks(Timestamp::from_millis(from), Timestamp::from_millis(until)) {
        let place = MARGIN - 1 + ((at - from as f64) / span * (width - 1) as f64) as usize;
        let begin = place.saturating_sub(label.len() / 2);
        if begin < free_from || begin + label.len() > line.len() {
            continue;
        }
        for (offset, character) in label.chars().enumerate() {
            line[begin + offset] = character;
        }
        free_from = begin + label.len() + 1;
    }
    let text: String = line.into_iter().collect();
    format!("{} (UTC)", text.trim_end())
}

/// The terminal's width, else what COLUMNS says.
fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse::<usize>().ok();
    let terminal = comfy_table::Table::new().width().map(usize::from);
    terminal.or_else(columns).unwrap_or(WIDTH_USUAL).clamp(WIDTH_MIN + MARGIN, 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[&str]) -> Vec<Row> {
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn sql() -> Question {
        Question::Sql(String::new())
    }

    #[test]
    fn rows_of_one_moment_are_told_apart_by_their_texts() {
        let rows = rows(&[
            r#"{"route": "/a", "at": "2026-03-09 10:00:00", "requests": 1, "version": "4.0.0"}"#,
            r#"{"route": "/b\u001b", "at": "2026-03-09 10:00:00", "requests": 30, "version": "4.0.0"}"#,
            r#"{"route": "/a", "at": "2026-03-09 10:20:00", "requests": 2, "version": "4.0.0"}"#,
        ]);
        let text = of(&rows, &sql(), &[]).unwrap();
        let titles: Vec<&str> = text.lines().filter(|line| line.contains("(last ")).collect();
        // The higher first.
        assert_eq!(titles, ["requests of /b\u{fffd} 4.0.0  (last 30.0)", "requests of /a 4.0.0  (last 2.0)"]);
        assert!(text.ends_with("(UTC)") && text.contains("10:10"), "{text}");
    }

    #[test]
    fn what_cannot_be_plotted_is_told() {
        let told = |lines: &[&str], wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            of(&rows(lines), &sql(), &wanted).unwrap_err().to_string()
        };
        assert!(told(&[r#"{"version": "4.0.0", "n": 1}"#], &[]).contains("there are version, n"));
        assert!(told(&[r#"{"at": "2026-03-09T10:00:00Z", "name": "x"}"#], &[]).contains("no column holds numbers"));
        let rows = [r#"{"at": "2026-03-09T10:00:00Z", "requests": 1}"#];
        assert!(told(&rows, &["requets"]).contains("did you mean requests?"));
    }
}
