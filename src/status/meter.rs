//! Closed windows become counts by component: requests from outside, how many failed, how many were slow.

use std::collections::{HashSet, VecDeque};

use super::Figures;
use crate::config::{ComponentConfig, StatusConfig};
use crate::flow::{ClosedWindow, Hop, Latencies, Name, Names, latency_bucket};
use crate::model::Timestamp;

/// Counts of one component in one window that wait to be taken, at most; the oldest go. A task that takes them after each
/// batch leaves a few.
const COUNTS_WAITING_MAX: usize = 50_000;

/// What happened to the components in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusWindow {
    /// First moment.
    pub start: Timestamp,
    /// First moment after it.
    pub end: Timestamp,
    /// In the order of the configuration.
    pub components: Vec<ComponentCounts>,
}

/// A component in a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComponentCounts {
    /// Requests from outside.
    pub figures: Figures,
    /// Durations of those that were answered without an error.
    pub latencies: Latencies,
}

/// Counts what is closed, and keeps it until somebody takes it.
#[derive(Debug)]
pub struct Meter {
    components: Vec<Selector>,
    waiting: VecDeque<StatusWindow>,
    waiting_max: usize,
    lost: u64,
}

/// Which requests are a component's.
#[derive(Debug)]
struct Selector {
    services: Vec<String>,
    routes: Vec<String>,
    /// Requests in buckets above are slow.
    slow_above: Option<i16>,
}

impl Selector {
    fn new(component: &ComponentConfig) -> Self {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // as durations are sorted into buckets
        let bucket = |slow_from: crate::config::Span| latency_bucket(slow_from.as_millis() as f32);
        Self {
            services: component.services.clone(),
            routes: component.routes.clone(),
            slow_above: component.slow_from.map(bucket),
        }
    }

    fn count(&self, window: &ClosedWindow, names: &Names) -> ComponentCounts {
        let wanted = |texts: &[String]| -> Option<HashSet<Name>> {
            (!texts.is_empty()).then(|| texts.iter().filter_map(|text| names.known(text)).collect())
        };
        let (services, routes) = (wanted(&self.services), wanted(&self.routes));
        let fits = |service: Name, route: Name| {
            services.as_ref().is_none_or(|services| services.contains(&service))
                && routes.as_ref().is_none_or(|routes| routes.contains(&route))
        };
        let mut counts = ComponentCounts::default();
        let of_it = |hop: &Hop| hop.caller.is_absent() && fits(hop.service, hop.route);
        for (_, sums) in window.hops.iter().filter(|(hop, _)| of_it(hop)) {
            counts.figures.requests += sums.cell.requests;
            counts.figures.failures += sums.cell.failures;
        }
        let latencies = &mut counts.latencies;
        window.latencies.iter().filter(|((service, route), _)| fits(*service, *route)).for_each(|(_, durations)| {
            latencies.merge(durations);
        });
        window.call_latencies.iter().filter(|((service, route), _)| fits(*service, *route)).for_each(|(_, calls)| {
            latencies.subtract(calls);
        });
        counts.figures.slow = self.slow_above.map_or(0, |bucket| latencies.count_above(bucket));
        counts
    }
}

impl Meter {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(config: &StatusConfig) -> Self {
        let components: Vec<Selector> = config.components_in_force().iter().map(Selector::new).collect();
        let waiting_max = (COUNTS_WAITING_MAX / components.len().max(1)).max(1);
        Self { components, waiting: VecDeque::new(), waiting_max, lost: 0 }
    }

    /// Takes in a closed window; windows come in order.
    pub fn push(&mut self, window: &ClosedWindow, names: &Names) {
        if self.waiting.len() >= self.waiting_max {
            self.waiting.pop_front();
            self.lost += 1;
        }
        let components = self.components.iter().map(|component| component.count(window, names)).collect();
        self.waiting.push_back(StatusWindow { start: window.start, end: window.end, components });
    }

    /// What was counted since the last time, the oldest first.
    pub fn take(&mut self) -> Vec<StatusWindow> {
        self.waiting.drain(..).collect()
    }

    /// Windows that nobody took in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
