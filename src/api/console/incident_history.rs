//! The picture of an incident that memory has forgotten: from the rollup by minute.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::access::Visitor;
use super::ask::{self, Rows};
use super::incident_picture::{around, marks, part};
use super::traffic::{Frame, place};
use super::{ConsoleState, parts};
use crate::drawing::{Chart, Line, LineStyle, Tone};
use crate::model::{Dimension, IncidentReport, NamedQuery, Timestamp};

/// Filters that the query has.
const FILTERS: [Dimension; 5] =
    [Dimension::Subscription, Dimension::Client, Dimension::ClientVersion, Dimension::Service, Dimension::Route];

/// The charts, or why there are none.
pub(super) async fn charts(state: &ConsoleState, visitor: &Visitor, report: &IncidentReport) -> Result<Markup, Markup> {
    if !visitor.may_ask {
        return Err(html! { p.notice { "History needs a session of a token with the scope " code { "query" } "." } });
    }
    let end = report.ended_at.unwrap_or_else(|| ask::now(state));
    let span = around(report, end);
    let all = asked(state, visitor, span, None).await?;
    let cause = report.causes.first().and_then(|cause| part(&cause.dimensions));
    let cause = cause.filter(|(dimension, _)| FILTERS.contains(dimension));
    let mut load = Vec::new();
    if let Some((dimension, value)) = cause {
        let rows = asked(state, visitor, span, cause).await?;
        let name = format!("of {} = {value}", dimension.as_str());
        load.push(line(&rows, "requests_per_second", &name, (Tone::Harm, LineStyle::Area)));
    }
    load.push(line(&all, "requests_per_second", "requests at the edge", (Tone::Whole, LineStyle::Solid)));
    let (from, until) = span;
    let frame = Frame { from, until, band: Some((report.started_at, end)) };
    let load = Chart { marks: marks(report), ..frame.chart("Load during the incident, requests/s", load) };
    let failed = line(&all, "failure_share", "failed (5xx or 429), share", (Tone::Harm, LineStyle::Area));
    let attempts =
        line(&all, "attempts_per_request", "attempts for each logical request", (Tone::Ratio, LineStyle::Solid));
    Ok(html! {
        p { "From history, by minute." }
        div.charts.tall {
            (parts::chart("load", &load))
            (parts::chart("failures", &frame.chart("Failed requests at the edge", vec![failed])))
            (parts::chart("amplification", &frame.chart("Amplification", vec![attempts])))
        }
    })
}

async fn asked(
    state: &ConsoleState,
    visitor: &Visitor,
    (from, until): (Timestamp, Timestamp),
    filter: Option<(Dimension, &str)>,
) -> Result<Rows, Markup> {
    let absent = || html! { p.notice { "There is no question for it." } };
    let query = NamedQuery::find("traffic_over_time").ok_or_else(absent)?;
    let mut given = BTreeMap::from([("from".to_owned(), from.to_string()), ("until".to_owned(), until.to_string())]);
    given.extend(filter.map(|(dimension, value)| (dimension.as_str().to_owned(), value.to_owned())));
    ask::named(state, visitor, query, &given).await
}

/// A column over time.
fn line(rows: &Rows, column: &str, label: &str, (tone, style): (Tone, LineStyle)) -> Line {
    let of = |name: &str| rows.columns.iter().position(|column| column.name == name);
    let point = |row: &Vec<String>| -> Option<(f64, f64)> {
        Some((place(super::answer::moment(&row[of("time")?])?), row[of(column)?].parse().ok()?))
    };
    Line { label: label.to_owned(), tone, style, points: rows.rows.iter().filter_map(point).collect() }
}
