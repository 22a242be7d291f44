//! One rule's query: asked again and again, sooner after a failure.

use std::time::Duration;

use super::Lane;
use super::answer::{self, AnswerError};
use crate::clock;
use crate::detect::{QueryRuleSpec, RULE_ROWS_MAX};
use crate::model::{AlertName, Event, NamedQuery};
use crate::store::ClickHouse;

/// Pause after the first failure; each further one doubles it, up to the rule's own interval. Three failures in a row, each
/// with the longest timeout that a rule may have, are known within five minutes.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// The first evaluations of all rules are spread over this long, or over the rule's interval if that is shorter.
const SPREAD: Duration = Duration::from_secs(30);

/// Of an error, which may quote the query, so much is told.
const ERROR_CHARS_MAX: usize = 300;

/// What asks for one rule.
#[derive(Debug)]
pub(super) struct Keeper {
    alert: AlertName,
    spec: QueryRuleSpec,
    client: ClickHouse,
    lane: Lane,
    failures: u64,
    failures_in_a_row: u32,
}

impl Keeper {
    pub fn new(alert: AlertName, spec: &QueryRuleSpec, lane: &Lane) -> Self {
        lane.metrics.add_query_rule(alert);
        lane.statuses.send_modify(|statuses| statuses.set(alert, 0, String::new()));
        let client = lane.storage.protected_reader(spec.timeout.0, RULE_ROWS_MAX);
        Self { alert, spec: spec.clone(), client, lane: lane.clone(), failures: 0, failures_in_a_row: 0 }
    }

    /// Asks until it is aborted.
    pub async fn run(mut self) {
        tokio::time::sleep(phase(self.alert, SPREAD.min(self.spec.every.0))).await;
        loop {
            let answer = self.ask().await;
            let found = answer.and_then(|events| self.lane.found.try_send(events).map_err(|_| AnswerError::NoRoom));
            self.note(found.err());
            tokio::time::sleep(self.pause()).await;
        }
    }

    async fn ask(&self) -> Result<Vec<Event>, AnswerError> {
        // The semaphore is never closed.
        let _turn = self.lane.under_way.acquire().await;
        let query = NamedQuery::find(&self.spec.name).ok_or(AnswerError::UnknownQuery)?;
        let values = answer::values(&self.spec, query, clock::now())?;
        let values = values.iter().map(|(name, value)| (*name, value.clone())).collect();
        let rows = self.client.ask(query, values).await?;
        answer::events(self.alert, &self.spec, &rows, (clock::now(), self.failures))
    }

    /// Says how it went.
    fn note(&mut self, error: Option<AnswerError>) {
        let (before, alert) = (self.failures_in_a_row, self.alert);
        self.lane.metrics.add_rule_evaluation(alert, error.is_some());
        let Some(error) = error else {
            if before > 0 {
                tracing::info!(rule = alert.as_str(), failures = before, "the query of a rule works again");
            }
            self.failures_in_a_row = 0;
            self.lane.statuses.send_modify(|statuses| statuses.set(alert, 0, String::new()));
            return;
        };
        let error: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
        if before == 0 {
            tracing::warn!(rule = alert.as_str(), error, "the query of a rule failed; it is asked again");
        }
        self.failures += 1;
        self.failures_in_a_row = before.saturating_add(1);
        let in_a_row = u64::from(self.failures_in_a_row);
        let events = answer::of_failures(alert, clock::now(), Some(self.failures), in_a_row);
        // Where even this finds no room, the status and the metric say it.
        let _ = self.lane.found.try_send(events);
        self.lane.statuses.send_modify(|statuses| statuses.set(alert, in_a_row, error));
    }

    fn pause(&self) -> Duration {
        match self.failures_in_a_row {
            0 => self.spec.every.0,
            failed => RETRY_PAUSE.saturating_mul(1 << (failed - 1).min(16)).min(self.spec.every.0),
        }
    }
}

/// A part of `span` that depends on the name only: rules that begin together do not ask together.
fn phase(alert: AlertName, span: Duration) -> Duration {
    // FNV-1a: any hash that spreads names will do.
    let hash =
        alert.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    span.mul_f64(f64::from(hash) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_begin_together_are_spread() {
        let phase = |name: &str| phase(name.parse().unwrap(), SPREAD);
        assert!(phase("FirstRule") != phase("SecondRule"));
        assert!(["FirstRule", "SecondRule", "ThirdRule"].iter().all(|name| phase(name) <= SPREAD));
    }
}
