//! What happened in an incident, in order: for the page, and for the post-mortem afterwards.

use crate::alert::AlertChange;
use crate::model::{Change, Moment, Timestamp, TransitionEvent};

/// Moments kept of one incident; the first and the newest are the ones people read.
const MOMENTS_MAX: usize = 60;

/// Moments of one incident.
#[derive(Debug, Default)]
pub struct Timeline {
    moments: Vec<Moment>,
}

impl Timeline {
    /// An alert fired or resolved at `at`. When its condition began is a moment of its own.
    pub fn alert(&mut self, change: &AlertChange, at: Timestamp) {
        let subject = format!("{} ({})", change.key.alert, change.key.labels);
        if change.event == TransitionEvent::Firing {
            self.push(change.since, format!("{subject} begins"));
            self.push(at, format!("{subject} fires: {}", change.finding.summary));
        } else {
            self.push(at, format!("{subject} is over"));
        }
    }

    /// A change that may be its cause.
    pub fn change(&mut self, change: &Change) {
        let version = change.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let title = change.title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
        self.push(change.timestamp, format!("{} of {}{version}{title}", change.kind.as_str(), change.service));
    }

    fn push(&mut self, at: Timestamp, what: String) {
        let moment = Moment { at, what };
        if self.moments.contains(&moment) {
            return;
        }
        if self.moments.len() >= MOMENTS_MAX {
            self.moments.remove(MOMENTS_MAX / 2);
        }
        let place = self.moments.partition_point(|known| (known.at, &known.what) <= (moment.at, &moment.what));
        self.moments.insert(place, moment);
    }

    /// The moments, oldest first.
    #[must_use]
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }
}
