//! What a detector says about one window: a condition holds, for whom, how much, and why.

use crate::model::{Affected, AlertName, Cause, Customer, Dimensions, Timestamp};

/// What a cause with empty dimensions says.
const NOTHING_NARROWER: &str = "no narrower culprit";

/// A condition that holds at the end of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which alert it is about.
    pub alert: AlertName,
    /// Identity of the alert, with its name.
    pub labels: Dimensions,
    /// When the condition began, as far as the detector can tell (at most the window's end).
    pub since: Timestamp,
    /// The number, in `unit`.
    pub value: f64,
    /// What is normal, in `unit`.
    pub baseline: f64,
    /// How bad it is, to compare moments of the same alert: the worst one tells the story afterwards.
    pub harm: f64,
    /// Unit of `value` and `baseline`.
    pub unit: &'static str,
    /// Ranked causes, as far as this detector can tell.
    pub causes: Vec<Cause>,
    /// Who feels it.
    pub affected: Affected,
    /// The subscriptions behind it, the heaviest first, with their share of the value: whom to talk to. Bounded.
    pub customers: Vec<Customer>,
    /// One sentence for a person.
    pub summary: String,
    /// How the finding takes part in incidents.
    pub role: Role,
}

impl Finding {
    /// Holds every cause to the contract: one whose dimensions are empty says that there is no narrower culprit. A log may
    /// lack what a detector would name (a service, a client), so this is not left to each of them.
    pub fn say_where_nothing_is_narrower(&mut self) {
        for cause in self.causes.iter_mut().filter(|cause| cause.dimensions.is_empty()) {
            if !cause.evidence.contains(NOTHING_NARROWER) {
                cause.evidence = format!("{NOTHING_NARROWER}: {}", cause.evidence);
            }
        }
    }
}

/// How a finding takes part in incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It names who does it: an incident of its own, or the cause of one that has only symptoms so far.
    Cause,
    /// It is what a cause does to the platform: joins an incident near in time.
    Symptom,
    /// It stands alone (a ticket about one customer, a slow leak): never joins an incident by time only.
    Separate,
}
