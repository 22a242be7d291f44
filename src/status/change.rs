//! A component's state changed.

use serde::{Deserialize, Serialize};

use super::ComponentState;
use crate::model::Timestamp;

/// A change of what the public is told of a component, whoever says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentChange {
    /// Identity of the component.
    pub component: String,
    /// Before.
    pub before: ComponentState,
    /// After.
    pub after: ComponentState,
    /// When the new state began: before it was decided, because a change is believed only when it lasts.
    pub since: Timestamp,
    /// When it was decided: the end of a window.
    pub at: Timestamp,
    /// What was measured from `since` to `at`.
    pub figures: Figures,
}

/// Counts of requests of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// Of these, failed (5xx or 429).
    pub failures: u64,
    /// Of these, slow.
    pub slow: u64,
}

impl Figures {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.slow += other.slow;
    }

    /// Takes away what was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.requests -= other.requests;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }
}
