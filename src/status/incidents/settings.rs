//! What incidents take from the configuration.

use jiff::tz::TimeZone;

use crate::config::{AutoPublish, ComponentConfig, StatusConfig};
use crate::model::DurationMs;
use crate::status::words::WordCheck;
use crate::status::{ComponentState, PublicName};

/// What incidents, maintenances and a person's words take from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(in crate::status) components: Vec<ComponentSettings>,
    pub(in crate::status) zone: TimeZone,
    pub(in crate::status) person_holds_ms: DurationMs,
    /// Where what is measured is older, the machine says nothing.
    pub(in crate::status) stale_after_ms: DurationMs,
    page_name: String,
    forbidden_words: Vec<String>,
}

/// A component.
#[derive(Debug, Clone)]
pub(in crate::status) struct ComponentSettings {
    pub(in crate::status) id: String,
    pub(in crate::status) name: PublicName,
    /// From which state on the machine publishes.
    pub(in crate::status) publishes_from: Option<ComponentState>,
    pub(in crate::status) publishes_after_ms: DurationMs,
    /// From which share of failing requests on it is they that harm.
    pub(in crate::status) failing_from: f64,
}

impl ComponentSettings {
    fn new(component: &ComponentConfig) -> Self {
        Self {
            id: component.id.clone(),
            name: PublicName::of(component),
            publishes_from: match component.auto_publish {
                AutoPublish::Never => None,
                AutoPublish::DegradedPerformance => Some(ComponentState::DegradedPerformance),
                AutoPublish::PartialOutage => Some(ComponentState::PartialOutage),
                AutoPublish::MajorOutage => Some(ComponentState::MajorOutage),
            },
            publishes_after_ms: component.auto_publish_after.as_millis(),
            failing_from: component.degraded.failing,
        }
    }

    /// Of all requests, where none is configured.
    fn of_all_requests() -> Self {
        Self {
            id: "api".to_owned(),
            name: PublicName::of_all_requests(),
            publishes_from: None,
            publishes_after_ms: 0,
            failing_from: 0.02,
        }
    }
}

impl Settings {
    /// Of a checked configuration; a zone that is not known is UTC.
    #[must_use]
    pub fn new(config: &StatusConfig) -> Self {
        let mut components: Vec<_> = config.components.iter().map(ComponentSettings::new).collect();
        if components.is_empty() {
            components.push(ComponentSettings::of_all_requests());
        }
        Self {
            components,
            zone: TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC),
            person_holds_ms: config.person_holds.as_millis(),
            stale_after_ms: config.stale_after.as_millis(),
            page_name: config.name.clone(),
            forbidden_words: config.forbidden_words.clone(),
        }
    }

    pub(in crate::status) fn component(&self, id: &str) -> Option<&ComponentSettings> {
        self.components.iter().find(|component| component.id == id)
    }

    /// The order of the configuration; what is not there any more comes last.
    pub(in crate::status) fn place(&self, id: &str) -> usize {
        self.components.iter().position(|component| component.id == id).unwrap_or(usize::MAX)
    }

    /// What texts of people are held against, but for names of internal incidents.
    pub(in crate::status) fn word_check(&self) -> WordCheck {
        let names = self.components.iter().flat_map(|component| [component.name.as_str(), component.id.as_str()]);
        let allowed = names.chain([self.page_name.as_str()]);
        WordCheck::allowing(allowed).forbidding(self.forbidden_words.iter().map(String::as_str))
    }
}
