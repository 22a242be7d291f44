//! Small pieces that pages are made of.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use serde_json::Value;

use super::access::encoded;
use crate::detect::{duration, percent};
use crate::drawing::{Chart, Inset, Line, LineStyle, grouped, inset, inset_data};
use crate::model::{Dimensions, Severity, Timestamp};

/// Rows of numbers below a chart.
const ROWS_MAX: usize = 12;

/// How a severity is shown: a word and a sign, not a colour alone.
pub(super) fn severity(severity: Severity) -> Markup {
    let sign = match severity {
        Severity::Critical => "■",
        Severity::Warning => "▲",
        Severity::Info => "●",
    };
    html! { span.severity.(severity.as_str()) { span aria-hidden="true" { (sign) } " " (severity.as_str()) } }
}

/// A moment, to the second.
pub(super) fn moment(at: Timestamp) -> Markup {
    let text = at.window_start(1_000).to_string();
    let words = text.replace('T', " ").replace('Z', "");
    html! { time datetime=(text) { (words) } }
}

/// From when to when, and how long it was.
pub(super) fn span(from: Timestamp, until: Option<Timestamp>, now: Option<Timestamp>) -> Markup {
    html! {
        (moment(from)) " – "
        @match until { Some(until) => (moment(until)), None => "now" }
        @if let Some(end) = until.or(now) { " (" (duration(end.since(from))) ")" }
    }
}

/// The word of an enum that is written as one.
pub(super) fn name_of(value: &impl Serialize) -> String {
    let words = |value: &Value| value.as_str().unwrap_or_default().replace('_', " ");
    match serde_json::to_value(value).unwrap_or_default() {
        // A variant that holds another.
        Value::Object(fields) => fields.iter().map(|(name, held)| format!("{name}: {}", words(held))).collect(),
        value => words(&value),
    }
}

/// Dimensions as a list of names and values.
pub(super) fn dimensions(dimensions: &Dimensions) -> Markup {
    html! {
        @if dimensions.is_empty() { "everything" }
        @for (number, (dimension, value)) in dimensions.0.iter().enumerate() {
            @if number > 0 { ", " }
            span.dimension { (dimension.as_str()) " = " b { (value) } }
        }
    }
}

/// A summary's first part, and the rest of it as a sentence.
pub(super) fn headline(summary: &str) -> (&str, String) {
    let (first, rest) = summary.split_once("; ").unwrap_or((summary, ""));
    let mut letters = rest.chars();
    let rest = letters.next().map(|letter| format!("{}{}.", letter.to_uppercase(), letters.as_str()));
    (first, rest.unwrap_or_default())
}

/// An incident's page.
pub(super) fn incident_path(id: &str) -> String {
    format!("/incidents/{}", encoded(id))
}

/// A subscription's page.
pub(super) fn subscription_path(name: &str) -> String {
    format!("/subscription?name={}", encoded(name))
}

/// A count with groups of digits.
pub(super) fn count(count: u64) -> String {
    crate::limits::words::thousands(count)
}

/// A count for what takes any number.
#[allow(clippy::cast_precision_loss)] // for reading
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// One number with its name.
pub(super) fn tile(name: &str, value: &str, further: &str, class: &str) -> Markup {
    html! { div.tile.(class) { dt { (name) } dd { b { (value) } @if !further.is_empty() { small { (further) } } } } }
}

/// A share as a bar and as a number.
pub(super) fn share(part: f64, name: &str) -> Markup {
    html! {
        meter min="0" max="1" value=(format!("{:.3}", part.clamp(0.0, 1.0))) aria-label=(name) {} " " (percent(part))
    }
}

/// Whether a text may become a link: rule files are people's own, and a link could be a script.
pub(super) fn is_link(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Where to read what to do: a link where it is one.
pub(super) fn runbook(place: &str) -> Markup {
    html! { @if is_link(place) { a href=(place) rel="noreferrer" { "runbook" } } @else { code { (place) } } }
}

/// A chart over time with its legend and its newest numbers. `id` is unique in the page.
pub(super) fn chart(id: &str, chart: &Chart) -> Markup {
    let lines = chart.panels.first().map_or(&[][..], |panel| &panel.lines);
    let is_empty = lines.iter().all(|line| line.points.iter().all(|(_, value)| !value.is_finite()));
    html! {
        @if is_empty {
            figure { figcaption { (chart.title) } p.empty { "Nothing was seen in this time." } }
        } @else {
            figure {
                figcaption { (chart.title) }
                @let name = format!("{}: values with the arrow keys", chart.title);
                div.plot tabindex="0" role="group" aria-label=(name) data-chart=(inset_data(chart)) {
                    (PreEscaped(inset(chart, Inset { id })))
                }
                (legend(lines))
                @if !chart.marks.is_empty() {
                    p { small { "Numbers above are those of the timeline." } }
                }
                (numbers(chart, lines))
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // epoch milliseconds
fn moment_at(place: f64) -> Timestamp {
    Timestamp::from_millis(place as i64)
}

fn style(style: LineStyle) -> &'static str {
    match style {
        LineStyle::Solid => "solid",
        LineStyle::Dashed => "dashed",
        LineStyle::Area => "area",
    }
}

fn legend(lines: &[Line]) -> Markup {
    html! {
        ul.legend {
            @for line in lines {
                li { span.key.(style(line.style)).(line.tone.class()) aria-hidden="true" {} (line.label) }
            }
        }
    }
}

fn numbers(chart: &Chart, lines: &[Line]) -> Markup {
    let Some(longest) = lines.iter().max_by_key(|line| line.points.len()) else { return Markup::default() };
    let seen = longest.points.iter().rev().filter(|(_, value)| value.is_finite());
    let places: Vec<f64> = seen.take(ROWS_MAX).map(|(at, _)| *at).collect();
    let value = |line: &Line, place: f64| {
        let found = line.points.iter().rev().find(|(at, _)| at.total_cmp(&place).is_eq());
        found.map_or_else(|| "–".to_owned(), |(_, value)| number(*value))
    };
    html! {
        details {
            summary { "Newest numbers" }
            div.wide tabindex="0" role="region" aria-label=(format!("Numbers: {}", chart.title)) {
                table {
                    thead {
                        tr { th scope="col" { "time" } @for line in lines { th.number scope="col" { (line.label) } } }
                    }
                    tbody {
                        @for place in &places {
                            tr {
                                th scope="row" { (moment(moment_at(*place))) }
                                @for line in lines { td.number { (value(line, *place)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number with as many digits as tell something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        value_abs if !value_abs.is_finite() => "–".to_owned(),
        value_abs if value_abs >= 100.0 => grouped(value),
        value_abs if value_abs >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Dimension;

    #[test]
    fn numbers_are_short_and_grouped() {
        let texts = [0.0, 1.239, 48.25, 999.4, 1_234.4, 12_345_678.0, -4_321.0, f64::NAN].map(number);
        assert_eq!(texts, ["0.00", "1.24", "48.2", "999", "1,234", "12,345,678", "-4,321", "–"]);
    }

    #[test]
    fn only_links_become_links() {
        assert!(runbook("https://example.com/x").into_string().starts_with("<a href"));
        assert_eq!(runbook("javascript:alert(1)").into_string(), "<code>javascript:alert(1)</code>");
        let script = Dimensions::new([(Dimension::Subscription, "<script>alert(1)</script>".into())]);
        assert!(!dimensions(&script).into_string().contains("<script>"));
    }
}
