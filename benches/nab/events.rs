//! Precision and recall of alerts where single rows are labelled.

use std::ops::AddAssign;

/// An event is found until so many rows after its last labelled one.
const TOLERANCE_ROWS: usize = 3;

/// What alerts found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Found {
    /// Runs of labelled rows, and those with an alert.
    pub events: usize,
    pub events_found: usize,
    /// Alerts, and those that belong to an event.
    pub alerts: usize,
    pub alerts_right: usize,
}

impl Found {
    pub fn recall(&self) -> f64 {
        self.events_found as f64 / self.events.max(1) as f64
    }

    pub fn precision(&self) -> f64 {
        self.alerts_right as f64 / self.alerts.max(1) as f64
    }
}

impl AddAssign for Found {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.events_found += other.events_found;
        self.alerts += other.alerts;
        self.alerts_right += other.alerts_right;
    }
}

/// Compares alerts with labels, row by row.
pub fn compare(labelled: &[bool], alerts: &[bool]) -> Found {
    let mut found = Found { alerts: alerts.iter().filter(|alert| **alert).count(), ..Found::default() };
    let mut counted = vec![false; alerts.len()];
    let mut row = 0;
    while row < labelled.len() {
        let run = labelled[row..].iter().take_while(|labelled| **labelled).count();
        if run > 0 {
            let near = row..(row + run + TOLERANCE_ROWS).min(alerts.len());
            found.events += 1;
            found.events_found += usize::from(alerts[near.clone()].contains(&true));
            counted[near].fill(true);
        }
        row += run.max(1);
    }
    found.alerts_right = alerts.iter().zip(counted).filter(|(alert, near)| **alert && *near).count();
    found
}
