//! Components: state, who says so, ninety days, what was measured.

use maud::{Markup, html};

use super::Shown;
use super::bars::bars;
use super::figures::Figures;
use super::latency::picture;
use super::moments::{lasted, objective, percent};
use crate::drawing::grouped;
use crate::status::{Authority, ComponentState, ComponentView};

/// A sign beside a word, so that the colour is not alone.
pub(super) fn glyph(state: ComponentState) -> Markup {
    let sign = match state {
        ComponentState::Operational => "✓",
        ComponentState::UnderMaintenance => "◐",
        ComponentState::Unknown => "?",
        ComponentState::DegradedPerformance => "▲",
        ComponentState::PartialOutage => "◆",
        ComponentState::MajorOutage => "■",
    };
    html! { span.glyph aria-hidden="true" { (sign) } " " }
}

/// A state in words, with sign and colour.
pub(super) fn state_words(state: ComponentState) -> Markup {
    html! { span.state.(state.as_str()) { (glyph(state)) (state.words()) } }
}

/// All of them. Those of a group stand where the first of it stands.
pub(super) fn section(shown: Shown<'_>) -> Markup {
    let components = &shown.board.components;
    let is_first = |(place, component): &(usize, &ComponentView)| {
        component.group.is_none() || components[..*place].iter().all(|other| other.group != component.group)
    };
    html! {
        section aria-labelledby="components" {
            h2 #components { "Components" }
            @if components.is_empty() { p { "There are none." } }
            @for (_, first) in components.iter().enumerate().filter(is_first) {
                @if let Some(group) = &first.group {
                    section.group aria-label=(group) {
                        h3 { (group) }
                        @for member in components.iter().filter(|member| member.group == first.group) {
                            (card(shown, member))
                        }
                    }
                } @else {
                    (card(shown, first))
                }
            }
            (legend())
        }
    }
}

fn card(shown: Shown<'_>, component: &ComponentView) -> Markup {
    let heading = format!("name-{}", component.id);
    html! {
        article.(component.state.as_str()) id={ "c-" (component.id) } aria-labelledby=(heading) data-live {
            div.top {
                @if component.group.is_some() { h4 id=(heading) { (component.name) } }
                @else { h3 id=(heading) { (component.name) } }
                p {
                    (state_words(component.state))
                    @if let Some(since) = component.since.filter(|_| component.state != ComponentState::Operational) {
                        " since " (shown.zone.moment(since))
                    }
                }
            }
            (authority(shown, &component.authority))
            @if let Some(description) = &component.description { p.soft { (description) } }
            (uptime(component))
            (picture(shown, component))
        }
    }
}

fn authority(shown: Shown<'_>, authority: &Authority) -> Markup {
    html! {
        @match authority {
            Authority::Measured => {}
            Authority::Maintenance => { p.stated { "So announced; what is measured does not count meanwhile." } }
            Authority::Person { until, note } => {
                p.stated {
                    b { "Stated by the team until " (shown.zone.moment(*until)) }
                    "; the measured state is hidden so long."
                    @if let Some(note) = note { " “" (note) "”" }
                }
            }
        }
    }
}

fn uptime(component: &ComponentView) -> Markup {
    let (days, figures) = (component.days.len(), Figures::of(&component.days));
    let aim = component.objective;
    html! {
        @if days > 0 {
            (bars(component))
            p.scale {
                span { (days) " days" }
                a.more href={ "#days-" (component.id) } {
                    "In words"
                }
                a.less href={ "#c-" (component.id) } {
                    "As bars"
                }
                span { "today" }
            }
            p {
                @if let Some(uptime) = figures.uptime { "Uptime " b { (percent(uptime)) } }
                @else { "Uptime is not known" }
                @if figures.unknown_ms > 0 { ", not counted: " (lasted(figures.unknown_ms)) " without data" }
                "."
                @if let Some(success) = figures.success() {
                    " Measured: " b { (percent(success)) } " of " (grouped(figures.requests as f64))
                    " requests succeeded"
                    @if let Some(aim) = aim {
                        " (objective " (objective(aim)) ", " (if success >= aim { "met" } else { "missed" }) ")"
                    }
                    "."
                } @else if let Some(aim) = aim {
                    " Objective: " (objective(aim)) " of requests succeed."
                }
            }
        }
    }
}

/// What the bars mean: their height says it too.
fn legend() -> Markup {
    let marks = [
        ("", "as it should be"),
        ("d", "degraded"),
        ("p", "partly out"),
        ("m", "out"),
        ("w", "maintenance"),
        ("u", "partly unknown"),
        ("n", "no data"),
    ];
    html! {
        details.legend {
            summary { "What the bars and figures mean" }
            ul {
                @for (class, words) in marks { li { i.bar.(class) {} " " (words) } }
            }
            p {
                "A bar is a day, by the worst of it; the taller, the worse. Uptime is 1 − (time out + 0.3 × time partly "
                "out) ÷ (time − maintenance − unknown): what nobody knows counts neither as up nor as down. Degraded "
                "performance does not count as down."
            }
        }
    }
}
