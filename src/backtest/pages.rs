//! Pages and tickets of a run: from `firing` to `resolved`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{AlertName, Dimensions, Output, Severity, Timestamp, TransitionEvent};

/// Alerts of one run; further ones are counted.
const PAGES_MAX: usize = 200_000;

/// An alert that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Alert name.
    pub alert: AlertName,
    /// `critical` is a page, `warning` a ticket.
    pub severity: Severity,
    /// About what.
    pub labels: Dimensions,
    /// When it fired.
    pub fired_at: Timestamp,
    /// When it resolved; absent while it still fires.
    pub resolved_at: Option<Timestamp>,
    /// What it said when it fired.
    pub summary: String,
}

/// What fires at the moment: name, severity and labels.
type Firing = (AlertName, Severity, Dimensions);

/// Collects the pages of a run.
#[derive(Debug, Default)]
pub struct Pages {
    pages: Vec<Page>,
    firing: BTreeMap<Firing, usize>,
    overflowed: u64,
}

impl Pages {
    /// Takes an output in.
    pub fn take(&mut self, output: &Output) {
        let Output::Transition(transition) = output else { return };
        let key = (transition.alert, transition.severity, transition.labels.clone());
        match transition.event {
            TransitionEvent::Pending => {}
            TransitionEvent::Firing if self.pages.len() >= PAGES_MAX => self.overflowed += 1,
            TransitionEvent::Firing => {
                self.firing.insert(key, self.pages.len());
                self.pages.push(Page {
                    alert: transition.alert,
                    severity: transition.severity,
                    labels: transition.labels.clone(),
                    fired_at: transition.at,
                    resolved_at: None,
                    summary: transition.summary.clone(),
                });
            }
            TransitionEvent::Resolved => {
                if let Some(page) = self.firing.remove(&key).and_then(|place| self.pages.get_mut(place)) {
                    page.resolved_at = Some(transition.at);
                }
            }
        }
    }

    /// All of them, in the order of firing.
    #[must_use]
    pub fn into_pages(self) -> Vec<Page> {
        self.pages
    }

    /// How many were beyond the bound.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
