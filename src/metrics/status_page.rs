//! Metrics of the public status page.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::register::plain;
use crate::status::ComponentState;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// The series.
#[derive(Debug, Default)]
pub(super) struct StatusPageSeries {
    components: Family<StateLabels, Gauge>,
    drafts: Gauge,
    windows_lost: Counter,
    save_failures: Counter,
}

impl StatusPageSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        plain(registry, "status_components", "Components of the status page by what is said of them", &self.components);
        plain(registry, "status_drafts", "Incidents drafted for the public that wait for a person", &self.drafts);
        plain(
            registry,
            "status_windows_lost",
            "Windows that the status page did not take in time: gaps in what it tells",
            &self.windows_lost,
        );
        plain(
            registry,
            "status_save_failures",
            "Times that the state of the status page could not be saved",
            &self.save_failures,
        );
    }
}

impl Metrics {
    /// What is said of the components, and how many drafts wait.
    pub fn set_status_page(&self, states: &[ComponentState], drafts: usize) {
        let series = &self.series.status_page;
        for state in ComponentState::ALL {
            let count = states.iter().filter(|said| **said == state).count();
            let labels = StateLabels { state: state.as_str() };
            series.components.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        series.drafts.set(i64::try_from(drafts).unwrap_or(i64::MAX));
    }

    /// How many windows the status page has missed since the start.
    pub fn set_status_windows_lost(&self, lost: u64) {
        let counter = &self.series.status_page.windows_lost;
        counter.inc_by(lost.saturating_sub(counter.get()));
    }

    /// Counts a state of the status page that could not be saved.
    pub fn add_status_save_failure(&self) {
        self.series.status_page.save_failures.inc();
    }
}
