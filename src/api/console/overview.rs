//! `/`: what is going on, from memory alone. It answers while ClickHouse is away.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::layout::{self, Section};
use super::traffic::Frame;
use super::{ConsoleState, incidents, parts, traffic};
use crate::alert::paging::{PageStanding, PageView};
use crate::api::View;
use crate::clock;
use crate::detect::{duration, percent, rate};
use crate::flow::{STEP_MS, STEPS_MAX, TrafficStep, ratio};
use crate::model::{Dimension, DurationMs, Severity, Timestamp};

/// Incidents that are over and still named.
const ENDED_MAX: usize = 5;
/// Open incidents that are named; the list has them all.
const OPEN_MAX: usize = 10;
/// Above these a tile is coloured; alerts have thresholds of their own.
const FAILED_MAX: f64 = 0.05;
const ATTEMPTS_MAX: f64 = 1.5;
/// A watermark further behind than this tells of an old log, or of a clock that is wrong: not of a lag.
const LAG_MS_MAX: DurationMs = 86_400_000;

/// The page.
pub(super) async fn overview(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
) -> Html<String> {
    let view = state.view();
    let body = html! {
        h1 { "Overview" }
        div #now data-live {
            p.lead role="status" { (in_a_sentence(&view)) }
            (layout::troubles(&state.readiness()))
            (open_incidents(&view))
            (tiles(&state, &view))
        }
        div #charts data-live { (charts(&view)) }
        div #tops data-live { (tops(&view)) }
        div #ended data-live { (ended_incidents(&view)) }
    };
    Html(layout::page(&state, &visitor, Section::Overview, "Overview", &body).into_string())
}

fn in_a_sentence(view: &View) -> String {
    let firing = view.firing().count();
    match (view.incidents_open(), firing) {
        _ if view.watermark.is_none() => "Nothing was read yet: no event has come.".to_owned(),
        (0, 0) => "No incident is open, no alert fires.".to_owned(),
        (0, _) => format!("No incident is open; {}.", firing_text(firing)),
        (1, _) => format!("1 incident is open; {}.", firing_text(firing)),
        (open, _) => format!("{open} incidents are open; {}.", firing_text(firing)),
    }
}

fn firing_text(firing: usize) -> String {
    if firing == 1 { "1 alert fires".to_owned() } else { format!("{firing} alerts fire") }
}

fn open_incidents(view: &View) -> Markup {
    let mut open: Vec<_> = view.incidents_open_reports().collect();
    // Stable: of equals the newest comes first.
    open.sort_by_key(|report| std::cmp::Reverse(report.severity));
    let more = open.len().saturating_sub(OPEN_MAX);
    html! {
        @if !open.is_empty() {
            section aria-labelledby="open-incidents" {
                h2 #open-incidents { "Open incidents" }
                ul.cards {
                    @for report in open.iter().take(OPEN_MAX) { li { (incidents::card(report, view.watermark)) } }
                }
                @if more > 0 { p { a href="/incidents" { (more) " more" } } }
            }
        }
    }
}

fn ended_incidents(view: &View) -> Markup {
    let ended = || view.incidents().skip(view.incidents_open());
    html! {
        @if ended().next().is_some() {
            section aria-labelledby="ended-incidents" {
                h2 #ended-incidents { "Ended lately" }
                ul.cards { @for report in ended().take(ENDED_MAX) { li { (incidents::card(report, view.watermark)) } } }
                p { a href="/incidents" { "All incidents" } }
            }
        }
    }
}

fn tiles(state: &ConsoleState, view: &View) -> Markup {
    let newest = view.traffic.newest();
    let load = newest.map_or("–".to_owned(), |step| rate(step.per_second(step.edge.requests)));
    let calls = newest.filter(|step| step.calls > 0);
    let calls =
        calls.map_or(String::new(), |step| format!("{} calls between services", rate(step.per_second(step.calls))));
    let failed = newest.map_or(0.0, |step| ratio(step.edge.failures, step.edge.requests));
    let attempts = newest.map_or(1.0, |step| step.attempts_per_request);
    let told = |text: String| if newest.is_some() { text } else { "–".to_owned() };
    let warn = |is_much: bool| if is_much { "warn" } else { "" };
    let left_out = format!("{} rejected, {} late", view.counts.rejected, view.counts.late);
    let (lag, lag_further, lag_class) = lag(view.watermark, clock::now());
    let (pages, pages_further, pages_class) = pages(state);
    html! {
        dl.tiles {
            (parts::tile("Load", &load, &calls, ""))
            (parts::tile("Failed", &told(percent(failed)), "5xx and 429 at the edge", warn(failed > FAILED_MAX)))
            (parts::tile("Attempts a request", &told(format!("{attempts:.2}")), "1 is no repeats", warn(attempts > ATTEMPTS_MAX)))
            (parts::tile("Watermark", &lag, &lag_further, lag_class))
            (parts::tile("Open pages", &pages, &pages_further, pages_class))
            (parts::tile("Events", &parts::count(view.counts.events), &left_out, ""))
        }
    }
}

/// How far event time is behind the clock.
fn lag(watermark: Option<Timestamp>, now: Timestamp) -> (String, String, &'static str) {
    let Some(watermark) = watermark else { return ("–".to_owned(), "no event yet".to_owned(), "") };
    let behind = now.since(watermark);
    let at = watermark.window_start(1_000).to_string().replace('T', " ").replace('Z', "");
    if behind.abs() > LAG_MS_MAX {
        return (at, "event time of a log that is not of today".to_owned(), "");
    }
    let class = if behind > 60_000 { "warn" } else { "" };
    (format!("{} behind", duration(behind)), format!("decided up to {at}"), class)
}

fn pages(state: &ConsoleState) -> (String, String, &'static str) {
    let Some(paging) = &state.paging else { return ("–".to_owned(), "there is no pager".to_owned(), "") };
    let view = Arc::clone(&paging.view.borrow());
    let open = |page: &&PageView| page.standing != PageStanding::Resolved;
    let untaken = view.pages.iter().filter(open).filter(|page| page.acknowledgement.is_none()).count();
    let critical = view.open(Severity::Critical);
    let further = format!("{critical} critical, {untaken} taken by nobody");
    (view.pages.iter().filter(open).count().to_string(), further, if critical > 0 { "bad" } else { "" })
}

fn charts(view: &View) -> Markup {
    let steps: Vec<&TrafficStep> = view.traffic.iter().collect();
    let Some(last) = steps.last() else {
        return html! { p.empty { "No traffic was seen yet. Charts begin with the first events." } };
    };
    let until = last.start.plus(STEP_MS);
    let longest = STEP_MS * DurationMs::try_from(STEPS_MAX).unwrap_or(DurationMs::MAX / STEP_MS);
    let from = steps[0].start.max(until.plus(-longest));
    let frame = Frame { from, until, band: None };
    html! {
        section aria-labelledby="traffic" {
            h2 #traffic { "Traffic of the last two hours of event time" }
            div.charts {
                (parts::chart("load", &traffic::load(&frame, &steps)))
                (parts::chart("failures", &traffic::failures(&frame, &steps)))
                (parts::chart("amplification", &traffic::amplification(&frame, &steps)))
            }
        }
    }
}

fn tops(view: &View) -> Markup {
    let Some(step) = view.traffic.newest().filter(|step| step.tops(Dimension::Subscription).next().is_some()) else {
        return Markup::default();
    };
    html! {
        section aria-labelledby="top-subscriptions" {
            h2 #top-subscriptions { "Who asks most" }
            p { "Subscriptions in the 30 seconds from " (parts::moment(step.start)) " on." }
            div.wide tabindex="0" role="region" aria-labelledby="top-subscriptions" {
                table {
                    thead { tr {
                        th scope="col" { "subscription" } th.number scope="col" { "requests/s" }
                        th scope="col" { "share of the load" }
                        th.number scope="col" { "failed" } th.number scope="col" { "repeats" }
                    } }
                    tbody {
                        @for part in step.tops(Dimension::Subscription) {
                            tr {
                                th scope="row" { a href=(parts::subscription_path(&part.name)) { (part.name) } }
                                td.number { (parts::number(step.per_second(part.counts.requests))) }
                                td {
                                    (parts::share(ratio(part.counts.requests, step.edge.requests), "share of the load"))
                                }
                                td.number { (percent(ratio(part.counts.failures, part.counts.requests))) }
                                td.number { (percent(ratio(part.counts.resends, part.counts.requests))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_told_and_an_old_log_is_none() {
        let now = Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").unwrap();
        assert_eq!(lag(Some(now.plus(-4_000)), now).0, "4 s behind");
        assert_eq!(lag(Some(now.plus(-120_000)), now).2, "warn");
        assert_eq!(lag(Some(now.plus(-90 * LAG_MS_MAX)), now).0, "2025-12-01 12:00:00");
        assert_eq!(lag(None, now).0, "–");
    }
}
