//! How the queries of rules are doing: for readiness.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::model::AlertName;

/// How each rule's query is doing.
#[derive(Debug, Default)]
pub(super) struct Statuses(BTreeMap<AlertName, Status>);

/// How one is doing.
#[derive(Debug, Default)]
struct Status {
    failures_in_a_row: u64,
    error: String,
}

impl Statuses {
    /// Failures of a rule's query since it last worked.
    pub fn failures_in_a_row(&self, alert: AlertName) -> u64 {
        self.0.get(&alert).map_or(0, |status| status.failures_in_a_row)
    }

    /// Takes what an evaluation came to: the failures in a row, and why the last one failed.
    pub fn set(&mut self, alert: AlertName, failures_in_a_row: u64, error: String) {
        self.0.insert(alert, Status { failures_in_a_row, error });
    }

    /// Nobody asks for it any more.
    pub fn remove(&mut self, alert: AlertName) {
        self.0.remove(&alert);
    }

    /// The component, and what to say of it.
    fn component(&self) -> (ComponentStatus, String) {
        let failing = || self.0.iter().filter(|(_, status)| status.failures_in_a_row > 0);
        match failing().next() {
            None if self.0.is_empty() => (ComponentStatus::Off, "no rule asks a query".to_owned()),
            None => (ComponentStatus::Ok, format!("{} asked", self.0.len())),
            Some((alert, status)) => {
                let more = match failing().count() - 1 {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                let Status { failures_in_a_row, error } = status;
                let detail = format!("the query of {alert} has failed {failures_in_a_row} times: {error}{more}");
                (ComponentStatus::Degraded, detail)
            }
        }
    }
}

/// Shows them as they change.
pub(super) async fn show(mut statuses: watch::Receiver<Statuses>, health: &Health) {
    loop {
        let (status, detail) = statuses.borrow_and_update().component();
        health.set(Component::RuleQueries, status, &detail, clock::now());
        if statuses.changed().await.is_err() {
            return;
        }
    }
}
