//! The frame of every page: head, ways around, who looks, how the service is.

use maud::{DOCTYPE, Markup, html};

use super::ConsoleState;
use super::access::Visitor;
use super::assets::versioned;
use super::form::TOKEN_FIELD;
use crate::api::{ComponentStatus, Overall, Readiness};

/// Pages that the ways around name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// What is going on.
    Overview,
    /// Alerts, pages, silences.
    Alerts,
    /// Incidents, open and over.
    Incidents,
    /// One customer.
    Subscription,
    /// Questions to what is stored.
    Queries,
    /// The query guard.
    Guard,
    /// Limits on the past.
    Limits,
    /// What the public is told.
    Status,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Alerts,
        Self::Incidents,
        Self::Subscription,
        Self::Queries,
        Self::Guard,
        Self::Limits,
        Self::Status,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Alerts => "/alerts",
            Self::Incidents => "/incidents",
            Self::Subscription => "/subscription",
            Self::Queries => "/queries",
            Self::Guard => "/guard",
            Self::Limits => "/limits",
            Self::Status => "/status",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Alerts => "Alerts",
            Self::Incidents => "Incidents",
            Self::Subscription => "Subscription",
            Self::Queries => "Questions",
            Self::Guard => "Guard",
            Self::Limits => "What if",
            Self::Status => "Status page",
        }
    }
}

/// A page.
pub(super) fn page(state: &ConsoleState, visitor: &Visitor, section: Section, title: &str, body: &Markup) -> Markup {
    let readiness = state.readiness();
    let header = html! {
        header {
            a.brand href="/" { img src=(versioned("icon.svg")) alt="" width="24" height="24"; "Floodmark" }
            nav aria-label="Sections" {
                ul {
                    @for other in Section::ALL {
                        @if other != Section::Status || state.status.is_some() { li {
                            a href=(other.path()) aria-current=[(other == section).then_some("page")] {
                                (other.title())
                            }
                        } }
                    }
                }
            }
            div.around {
                div #health data-live { (health(&readiness)) }
                (who(visitor))
            }
        }
    };
    frame(title, &header, body)
}

/// A page for nobody in particular: the login, a refusal.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    let header = html! {
        header { a.brand href="/" { img src=(versioned("icon.svg")) alt="" width="24" height="24"; "Floodmark" } }
    };
    frame(title, &header, body)
}

fn frame(title: &str, header: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Floodmark" }
                link rel="icon" href=(versioned("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(versioned("console.css"));
                script src=(versioned("console.js")) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header)
                main #main tabindex="-1" { (body) }
                footer { p { "Times are UTC. " span #freshness {} } }
            }
        }
    }
}

fn health(readiness: &Readiness) -> Markup {
    let (class, sign, words) = match readiness.overall() {
        Overall::Ok => ("good", "●", "all works"),
        Overall::Degraded => ("warn", "▲", "degraded"),
        Overall::Unavailable => ("bad", "■", "no detection"),
    };
    html! {
        details.health.(class) {
            summary { span aria-hidden="true" { (sign) } " " (words) }
            ul {
                @for component in readiness.components() {
                    li {
                        b { (super::parts::name_of(&component.name)) } " "
                        (super::parts::name_of(&component.status)) " " (component.detail)
                    }
                }
            }
        }
    }
}

/// What does not work, told where it matters: pages go on without it.
pub(super) fn troubles(readiness: &Readiness) -> Markup {
    let is_trouble = |status| matches!(status, ComponentStatus::Down | ComponentStatus::Degraded);
    html! {
        @for component in readiness.components().iter().filter(|component| is_trouble(component.status)) {
            p.notice {
                b { (super::parts::name_of(&component.name)) " is " (super::parts::name_of(&component.status)) }
                " since " (super::parts::moment(component.since)) ". " (component.detail)
                @if component.name == crate::api::Component::Clickhouse {
                    " Detection goes on; what needs history cannot be shown."
                }
            }
        }
    }
}

fn who(visitor: &Visitor) -> Markup {
    html! {
        @if visitor.has_session() {
            form.inline method="post" action="/logout" {
                input type="hidden" name=(TOKEN_FIELD) value=(visitor.form_token);
                span { (visitor.name) }
                button.quiet type="submit" { "Log out" }
            }
        } @else if visitor.can_log_in {
            a href="/login" { "Log in" }
        }
    }
}
