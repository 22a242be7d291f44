//! `/guard`: what the query guard lets run, wait and fail, and what its black box says of the last crash.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::layout::{self, Section};
use super::{ConsoleState, parts};
use crate::detect::{bytes, duration, percent};
use crate::guard::black_box::Postmortem;
use crate::guard::gate::{GateStatus, SafeModeLevel};
use crate::guard::proxy::GuardLook;

/// Queries of the last look before a crash.
const SUSPECTS_MAX: usize = 10;

/// The page.
pub(super) async fn guard(State(state): State<ConsoleState>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    let look = state.guard.as_ref().map(crate::guard::proxy::GuardView::look);
    let crash = match &state.guard {
        Some(guard) => Some(guard.last_crash().await),
        None => None,
    };
    let body = html! {
        h1 { "Query guard" }
        @match &look {
            None => p.empty { "No guard runs in this service: " code { "guard.policy" } " names none." },
            Some(look) => div #guard data-live {
                (mode(look)) (memory(&look.gate)) (classes(&look.gate)) (present(look)) (refused(&look.gate))
            },
        }
        @match crash {
            Some(Ok(Some(crash))) => { (postmortem(&crash)) },
            Some(Ok(None)) => p { "The black box holds no crash." },
            Some(Err(why)) => p.notice { "The black box cannot be read: " (why) },
            None => {},
        }
    };
    Html(layout::page(&state, &visitor, Section::Guard, "Query guard", &body).into_string())
}

fn mode(look: &GuardLook) -> Markup {
    html! {
        p.lead role="status" {
            @if look.gate.enforce { "It refuses what would do harm" } @else {
                "Shadow mode: it says what it would refuse, and refuses nothing"
            }
            @match look.gate.safe_mode {
                SafeModeLevel::Off => ". Safe mode is off.",
                SafeModeLevel::Reduced { until } => {
                    ". Safe mode until " (parts::moment(until)) ": a share of the slots, no expendable class."
                },
                SafeModeLevel::WritesOnly => ". Safe mode: only writes, until an operator ends it.",
            }
        }
    }
}

fn memory(gate: &GateStatus) -> Markup {
    let of = |bytes_count: u64| bytes(parts::float(bytes_count));
    let admitted = format!("{} admitted", parts::count(gate.counts.admitted));
    html! {
        dl.tiles {
            (parts::tile("Memory in use", &of(gate.memory.used_bytes), &format!("of {}", of(gate.memory.limit_bytes)), ""))
            (parts::tile("Expected of what runs", &of(gate.memory.committed_bytes), "", ""))
            (parts::tile("Writes", &gate.writes_running.to_string(), &format!("{} wait", gate.writes_waiting), ""))
            (parts::tile("Asked", &parts::count(gate.counts.asks), &admitted, ""))
            (parts::tile("Refused", &percent(gate.refused_share), "of what was asked", ""))
        }
    }
}

fn classes(gate: &GateStatus) -> Markup {
    html! {
        section aria-labelledby="classes" {
            h2 #classes { "Classes" }
            table {
                thead {
                    tr {
                        th scope="col" { "class" } th.number scope="col" { "run" } th.number scope="col" { "slots" }
                        th.number scope="col" { "wait" }
                    }
                }
                tbody { @for (name, class) in &gate.classes { tr {
                    th scope="row" { (name) } td.number { (class.running) } td.number { (class.slots) }
                    td.number { (class.waiting) }
                } } }
            }
        }
    }
}

fn present(look: &GuardLook) -> Markup {
    html! {
        section aria-labelledby="present" {
            h2 #present { "Queries that run or wait" }
            p { (look.running) " run, " (look.waiting) " wait." }
            @if !look.queries.is_empty() {
                div.wide tabindex="0" role="region" aria-labelledby="present" { table {
                    thead {
                        tr {
                            th scope="col" { "tenant" } th scope="col" { "pattern" } th scope="col" { "state" }
                            th.number scope="col" { "for" }
                        }
                    }
                    tbody { @for query in &look.queries { tr {
                        th scope="row" { (query.tenant) } td { code { (query.fingerprint) } }
                        td { @if query.runs { "runs" } @else { "waits" } } td.number { (duration(query.since_ms)) }
                    } } }
                } }
            }
        }
    }
}

fn refused(gate: &GateStatus) -> Markup {
    html! {
        section aria-labelledby="refused" {
            h2 #refused { "Refused" }
            @if gate.counts.refused.is_empty() { p.empty { "Nothing so far." } } @else {
                ul {
                    @for (reason, count) in &gate.counts.refused {
                        li { (parts::name_of(reason)) ": " (parts::count(*count)) }
                    }
                }
            }
            @if !gate.breakers.is_empty() {
                h3 { "Breakers" }
                ul { @for breaker in &gate.breakers { li {
                    code { (breaker.fingerprint) } ": " (parts::name_of(&breaker.cause)) ", until "
                    (parts::moment(breaker.until))
                } } }
            }
            @if !gate.blocks.is_empty() {
                h3 { "Blocked by operators" }
                ul { @for block in &gate.blocks { li { code { (block.fingerprint) } } } }
            }
        }
    }
}

fn postmortem(crash: &Postmortem) -> Markup {
    html! {
        section aria-labelledby="crash" {
            h2 #crash { "The last crash of ClickHouse" }
            p { (crash.summary) }
            ol { @for ranked in crash.queries.iter().take(SUSPECTS_MAX) { li {
                code { (ranked.suspect.query.fingerprint) } ": " (ranked.why.join("; "))
            } } }
        }
    }
}
