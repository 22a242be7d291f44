//! What the pager says and does not say.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{PageLabels, SeverityLabels, Unsaid, UnsaidLabels};
use super::register::plain;
use super::{Metrics, gauge};
use crate::alert::paging::{PagerCounts, PagerView, event_name};
use crate::model::{PageEvent, Severity};

const EVENTS: [PageEvent; 4] = [PageEvent::Opened, PageEvent::Updated, PageEvent::Acknowledged, PageEvent::Resolved];

/// The series.
#[derive(Debug, Default)]
pub(super) struct PagingSeries {
    pages: Family<PageLabels, Counter>,
    unsaid: Family<UnsaidLabels, Counter>,
    open: Family<SeverityLabels, Gauge>,
    silences: Gauge,
    not_followed: Counter,
    journal_failures: Counter,
}

impl PagingSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        plain(registry, "pages", "What was said of pages, by event", &self.pages);
        plain(registry, "pages_unsaid", "What was not said, or not on a page of its own, by reason", &self.unsaid);
        plain(registry, "pages_open", "Pages open now, by severity", &self.open);
        plain(registry, "silences", "Silences in force or to come", &self.silences);
        plain(
            registry,
            "alerts_not_followed",
            "Alerts that found no room among those the pager follows; their page counts them",
            &self.not_followed,
        );
        plain(
            registry,
            "paging_journal_failures",
            "Steps of the pager that were told and could not be written down",
            &self.journal_failures,
        );
    }

    pub(super) fn start_at_zero(&self) {
        for event in EVENTS {
            let _ = self.pages.get_or_create(&PageLabels { event: event_name(event) });
        }
        for reason in Unsaid::ALL {
            let _ = self.unsaid.get_or_create(&UnsaidLabels { reason });
        }
        for severity in [Severity::Warning, Severity::Critical] {
            let _ = self.open.get_or_create(&SeverityLabels { severity });
        }
    }
}

impl Metrics {
    /// What the pager has said since the start, and what is open. Counts are totals, told by one task only.
    pub fn set_pages(&self, counts: &PagerCounts, view: &PagerView) {
        let series = &self.series.paging;
        let raise = |counter: &Counter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        for (event, total) in EVENTS.into_iter().zip(counts.said) {
            raise(&series.pages.get_or_create(&PageLabels { event: event_name(event) }), total);
        }
        let unsaid = [counts.silenced, counts.inhibited, counts.in_storms, counts.damped];
        for (reason, total) in Unsaid::ALL.into_iter().zip(unsaid) {
            raise(&series.unsaid.get_or_create(&UnsaidLabels { reason }), total);
        }
        raise(&series.not_followed, counts.not_followed);
        for severity in [Severity::Warning, Severity::Critical] {
            series.open.get_or_create(&SeverityLabels { severity }).set(gauge(view.open(severity)));
        }
        series.silences.set(gauge(view.silences.len()));
    }

    /// Counts a step that could not be written down.
    pub fn add_journal_failure(&self) {
        self.series.paging.journal_failures.inc();
    }
}
