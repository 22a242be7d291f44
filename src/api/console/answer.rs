//! An answer as a table, and as charts where it is a matter of time.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::ask::{Column, Rows};
use super::parts;
use super::traffic::{Frame, place};
use crate::drawing::{Line, LineStyle, Tone};
use crate::model::{Timestamp, Unit};

/// Rows of a table; the API gives all of them.
const ROWS_MAX: usize = 200;
/// Charts of an answer: one for each of the first columns of numbers.
const CHARTS_MAX: usize = 6;
/// Lines of a chart that can be told apart.
const TONES: [Tone; 6] = [Tone::Whole, Tone::Harm, Tone::Ratio, Tone::Notice, Tone::Well, Tone::Usual];

/// The answer.
pub(super) fn answer(rows: &Rows) -> Markup {
    html! {
        @if rows.rows.is_empty() { p.empty { "No row answers this." } } @else {
            (charts(rows))
            (table(rows))
        }
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Number,
    Text,
}

fn role(rows: &Rows, place: usize) -> Role {
    match rows.columns[place].unit {
        Some(Unit::Time) => return Role::Time,
        Some(unit) if unit.is_number() => return Role::Number,
        Some(_) => return Role::Text,
        None => {}
    }
    let values = || rows.rows.iter().map(|row| row[place].as_str()).filter(|text| !text.is_empty());
    if values().next().is_none() {
        Role::Text
    } else if values().all(|text| moment(text).is_some()) {
        Role::Time
    } else if values().all(|text| text.parse::<f64>().is_ok()) {
        Role::Number
    } else {
        Role::Text
    }
}

/// A moment as answers write it: RFC 3339, or as ClickHouse does.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.replace(' ', "T");
    let zoned = if text.ends_with('Z') { text } else { text + "Z" };
    Timestamp::parse_rfc3339(&zoned).ok()
}

/// One chart for each column of numbers; a line for each text beside it.
pub(super) fn charts(rows: &Rows) -> Markup {
    let places_of = |wanted: Role| (0..rows.columns.len()).filter(move |place| role(rows, *place) == wanted);
    let Some(time) = places_of(Role::Time).next() else { return Markup::default() };
    let texts: Vec<usize> = places_of(Role::Text).collect();
    let moments: Vec<Option<Timestamp>> = rows.rows.iter().map(|row| moment(&row[time])).collect();
    let (Some(from), Some(until)) = (moments.iter().flatten().min(), moments.iter().flatten().max()) else {
        return Markup::default();
    };
    let frame = Frame { from: *from, until: *until, band: None };
    // A count says less than the rate beside it.
    let is_rate = |unit: Unit| matches!(unit, Unit::RequestsPerSecond | Unit::RequestsPerMinute);
    let has_rate = rows.columns.iter().any(|column| column.unit.is_some_and(is_rate));
    let charts: Vec<_> = places_of(Role::Number)
        .filter(|column| !(has_rate && rows.columns[*column].unit == Some(Unit::Requests)))
        .filter_map(|column| Some((column, lines(rows, &moments, column, &texts)?)))
        .take(CHARTS_MAX)
        .map(|(column, lines)| (column, frame.chart(&named(&rows.columns[column]), lines)))
        .collect();
    html! {
        @if from < until && !charts.is_empty() {
            div.charts { @for (column, chart) in &charts { (parts::chart(&format!("column-{column}"), chart)) } }
        }
    }
}

/// Absent where there are more lines than can be told apart, or two values at a time.
fn lines(rows: &Rows, moments: &[Option<Timestamp>], column: usize, texts: &[usize]) -> Option<Vec<Line>> {
    let of = |keys: &[usize]| -> BTreeMap<String, BTreeMap<Timestamp, f64>> {
        let mut lines: BTreeMap<String, BTreeMap<Timestamp, f64>> = BTreeMap::new();
        for (row, at) in rows.rows.iter().zip(moments) {
            let (Some(at), Ok(value)) = (at, row[column].parse::<f64>()) else { continue };
            let key: Vec<&str> = keys.iter().map(|key| row[*key].as_str()).collect();
            lines.entry(key.join(", ")).or_default().insert(*at, value);
        }
        lines
    };
    let seen = moments.iter().zip(&rows.rows).filter(|(at, row)| at.is_some() && row[column].parse::<f64>().is_ok());
    let count = seen.count();
    let is_whole = |lines: &BTreeMap<String, BTreeMap<Timestamp, f64>>| {
        count > 1 && lines.len() <= TONES.len() && lines.values().map(BTreeMap::len).sum::<usize>() == count
    };
    let lines = Some(of(&[])).filter(is_whole).or_else(|| Some(of(texts)).filter(is_whole))?;
    let line = |(number, (key, points)): (usize, (String, BTreeMap<Timestamp, f64>))| Line {
        label: if key.is_empty() { named(&rows.columns[column]) } else { key },
        tone: TONES[number % TONES.len()],
        style: if number % 2 == 0 { LineStyle::Solid } else { LineStyle::Dashed },
        points: points.into_iter().map(|(at, value)| (place(at), value)).collect(),
    };
    Some(lines.into_iter().enumerate().map(line).collect())
}

fn named(column: &Column) -> String {
    match column.unit.map(Unit::as_str) {
        None | Some("1") => column.name.clone(),
        Some(unit) => format!("{}, {unit}", column.name),
    }
}

fn table(rows: &Rows) -> Markup {
    let roles: Vec<Role> = (0..rows.columns.len()).map(|place| role(rows, place)).collect();
    let more = rows.rows.len().saturating_sub(ROWS_MAX);
    html! {
        div.wide tabindex="0" role="region" aria-label="Answer" {
            table.answer {
                thead { tr { @for (column, role) in rows.columns.iter().zip(&roles) {
                    th.number[*role == Role::Number] scope="col" title=(column.description) {
                        (column.name)
                        @if let Some(unit) = column.unit.filter(|unit| !matches!(unit, Unit::Count | Unit::Text | Unit::Time)) {
                            " " small { (unit.as_str()) }
                        }
                    }
                } } }
                tbody {
                    @for row in rows.rows.iter().take(ROWS_MAX) {
                        tr {
                            @for ((text, role), column) in row.iter().zip(&roles).zip(&rows.columns) {
                                td.number[*role == Role::Number] { (value(text, *role, column)) }
                            }
                        }
                    }
                }
            }
        }
        p {
            (rows.rows.len()) " rows" @if rows.is_cut { " were read; there are more" } "."
            @if more > 0 { " The first " (ROWS_MAX) " are shown; the API gives all of them." }
        }
    }
}

fn value(text: &str, role: Role, column: &Column) -> Markup {
    match role {
        _ if text.is_empty() => html! { "–" },
        Role::Time => moment(text).map_or_else(|| html! { (text) }, parts::moment),
        Role::Number => html! { (text.parse().map_or_else(|_| text.to_owned(), parts::number)) },
        Role::Text if column.name == "subscription" => {
            html! { a href=(parts::subscription_path(text)) { (text) } }
        }
        Role::Text if column.name == "incident" => html! { a href=(parts::incident_path(text)) { (text) } },
        Role::Text => html! { (text) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&str], rows: &[&[&str]]) -> Rows {
        let column = |name: &&str| Column { name: (*name).to_owned(), unit: None, description: String::new() };
        let row = |row: &&[&str]| row.iter().map(|text| (*text).to_owned()).collect();
        Rows { columns: columns.iter().map(column).collect(), rows: rows.iter().map(row).collect(), is_cut: false }
    }

    #[test]
    fn what_has_times_and_numbers_is_drawn() {
        let times = ["2026-03-01 10:00:00.000", "2026-03-01T10:01:00Z"];
        let one = rows(&["time", "requests", "route"], &[&[times[0], "1", "/a"], &[times[1], "2", "/b"]]);
        assert_eq!(charts(&one).into_string().matches("<polyline").count(), 1, "one line, whatever its texts");
        let two = rows(
            &["time", "source", "used"],
            &[&[times[0], "a", "1"], &[times[0], "b", "5"], &[times[1], "a", "2"], &[times[1], "b", "6"]],
        );
        assert_eq!(charts(&two).into_string().matches("<polyline").count(), 2);
        let none = rows(&["name", "requests"], &[&["a", "1"], &["b", "2"]]);
        assert_eq!(charts(&none).into_string(), "");
    }

    #[test]
    fn cells_are_escaped_and_numbers_are_read() {
        let page = answer(&rows(&["subscription", "n"], &[&["<b>x</b>", "12345"]])).into_string();
        assert!(page.contains("&lt;b&gt;x&lt;/b&gt;") && page.contains("12,345") && !page.contains("<b>x"), "{page}");
        assert!(page.contains("/subscription?name=%3Cb%3Ex%3C%2Fb%3E"), "{page}");
    }
}
