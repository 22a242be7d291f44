//! Telling the world: webhooks and Alertmanager. Part of the shell, not of the pure core.
//!
//! One task owns every receiver's state; only the HTTP requests run beside it, at most one a receiver. So a slow
//! receiver holds up neither the others nor detection, and messages of one receiver stay in order. Failures are repeated
//! with exponential back-off; what is waiting is bounded, and what is not delivered is counted by reason.

mod alertmanager;
mod book;
mod delivery;
mod outbox;
mod receiver;
mod webhook;

pub use webhook::webhook_id;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::config::NotifyConfig;
use crate::metrics::{Metrics, ReceiverKind};
use crate::model::Transition;
use book::Book;
use delivery::{Endpoint, Outcome};
use outbox::Outbox;
use receiver::{Queue, Receiver};

/// Bound for the channel of transitions into [`Notifier::run`]. The task never waits for a receiver, so it empties it
/// at once; a full one holds the sender up for microseconds.
pub const CHANNEL_BOUND: usize = 1_024;
/// Transitions taken from the channel at a time.
const TAKE_MAX: usize = 256;

/// How often and how long to try. The default is for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Pause after the first failure; each further one doubles it.
    pub backoff_first: Duration,
    /// Longest pause, also when the receiver asks for a longer one.
    pub backoff_max: Duration,
    /// A webhook's notification is given up this long after it came in: an older page helps nobody.
    pub retry_for: Duration,
    /// A resolved alert is told to Alertmanager for this long, as its clients are asked to.
    pub resolved_for: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            retry_for: Duration::from_secs(3_600),
            resolved_for: Duration::from_secs(300),
        }
    }
}

impl Pace {
    /// Pause after this many failures in a row (from 1).
    fn backoff(self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.backoff_first.saturating_mul(factor).min(self.backoff_max)
    }
}

/// Notifications cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A receiver's URL is none. It is not shown: it may hold a secret.
    #[error("the URL of a receiver cannot be read")]
    Url,
    /// The HTTP client cannot be built, usually for want of root certificates.
    #[error("cannot set up HTTP for receiver {name} (https needs the system's root certificates)")]
    Client {
        /// Scheme and host.
        name: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// All receivers and what they are still to be told.
#[derive(Debug)]
pub struct Notifier {
    receivers: Vec<Receiver>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    draining: bool,
}

/// What happened, for the owner of the state to apply.
enum Action {
    Accept(Vec<Arc<Transition>>),
    Closed,
    Settle(Result<(Id, Outcome), JoinError>),
    Due,
    Stop,
}

impl Notifier {
    /// Sets up every receiver of the configuration. Nothing is sent before [`Notifier::run`].
    ///
    /// # Errors
    /// See [`NotifyError`].
    pub fn new(
        config: &NotifyConfig,
        pace: Pace,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Self, NotifyError> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut receivers = Vec::new();
        for webhook in &config.webhooks {
            let endpoint = Endpoint::new(&webhook.url, webhook.timeout.0)?;
            let queue = Queue::Webhook { outbox: Outbox::default(), sending: None };
            receivers.push(Receiver::new(endpoint, queue, pace, Arc::clone(metrics)));
        }
        if let Some(alertmanager) = &config.alertmanager {
            for url in &alertmanager.urls {
                let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
                let endpoint = Endpoint::new(&url, alertmanager.timeout.0)?;
                let queue = Queue::Alertmanager(Book::new(alertmanager.resend_interval.0, pace.resolved_for));
                receivers.push(Receiver::new(endpoint, queue, pace, Arc::clone(metrics)));
            }
        }
        Ok(Self { receivers, metrics: Arc::clone(metrics), health: Arc::clone(health), draining: false })
    }

    /// Tells the receivers until `stop` is cancelled; then delivers what is due, without waiting for receivers that
    /// fail, and returns. A closed channel ends nothing: firing alerts are still sent again.
    pub async fn run(mut self, mut transitions: mpsc::Receiver<Arc<Transition>>, stop: CancellationToken) {
        let mut deliveries = JoinSet::new();
        let mut open = true;
        loop {
            self.start_deliveries(&mut deliveries);
            self.report();
            if self.draining && deliveries.is_empty() {
                break;
            }
            let due = self.receivers.iter().filter_map(Receiver::due_at).min();
            let mut taken = Vec::new();
            let action = tokio::select! {
                biased;
                () = stop.cancelled(), if !self.draining => Action::Stop,
                Some(joined) = deliveries.join_next_with_id() => Action::Settle(joined),
                count = transitions.recv_many(&mut taken, TAKE_MAX), if open =>
                    if count == 0 { Action::Closed } else { Action::Accept(taken) },
                () = sleep_until(due), if !self.draining => Action::Due,
            };
            match action {
                Action::Accept(transitions) => self.accept(&transitions),
                Action::Closed => open = false,
                Action::Settle(joined) => self.settle(joined),
                Action::Due => {}
                Action::Stop => {
                    self.draining = true;
                    while let Ok(transition) = transitions.try_recv() {
                        self.accept(&[transition]);
                    }
                    open = false;
                }
            }
        }
        self.receivers.iter_mut().for_each(Receiver::give_up);
    }

    fn start_deliveries(&mut self, deliveries: &mut JoinSet<Outcome>) {
        let (now, wall_clock) = (Instant::now(), clock::now());
        let draining = self.draining;
        for receiver in self.receivers.iter_mut().filter(|receiver| !(draining && receiver.failing())) {
            if let Some(message) = receiver.start(now, wall_clock) {
                let handle = deliveries.spawn(receiver.endpoint.clone().send(message));
                receiver.in_flight = Some(handle.id());
            }
        }
    }

    fn accept(&mut self, transitions: &[Arc<Transition>]) {
        let now = Instant::now();
        for receiver in &mut self.receivers {
            for transition in transitions {
                receiver.accept(transition, now);
            }
        }
    }

    fn settle(&mut self, joined: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match joined {
            Ok(delivered) => delivered,
            // A panic inside the HTTP client: the receiver must not wait for it for ever.
            Err(error) => (error.id(), Outcome::Retry { why: error.to_string(), after: None }),
        };
        if let Some(receiver) = self.receivers.iter_mut().find(|receiver| receiver.in_flight == Some(id)) {
            receiver.settle(outcome, Instant::now());
        }
    }

    /// Brings metrics and health up to date.
    fn report(&self) {
        for kind in [ReceiverKind::Webhook, ReceiverKind::Alertmanager] {
            let of_kind = self.receivers.iter().filter(|receiver| receiver.kind() == kind);
            self.metrics.set_notifications_waiting(kind, of_kind.map(Receiver::waiting).sum());
        }
        let troubles: Vec<String> = self.receivers.iter().filter_map(Receiver::trouble).collect();
        let status = if troubles.is_empty() { ComponentStatus::Ok } else { ComponentStatus::Degraded };
        let detail = if self.receivers.is_empty() { "no receiver configured".to_owned() } else { troubles.join("; ") };
        self.health.set(Component::Notify, status, &detail, clock::now());
    }
}

/// Sleeps until the moment, or for ever without one.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_cap() {
        let pace = Pace::default();
        let seconds: Vec<u64> = [1, 2, 3, 7, 8, u32::MAX].map(|failures| pace.backoff(failures).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 60, 60, 60]);
    }
}
