//! One receiver: what it is still to be told, whether a message is under way, and when to try again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::Id;
use tokio::time::Instant;

use super::Pace;
use super::book::Book;
use super::delivery::{Endpoint, Message, Outcome};
use super::outbox::{Entry, Outbox};
use super::webhook;
use crate::metrics::{Metrics, NotificationOutcome, ReceiverKind};
use crate::model::{Timestamp, Transition};

/// A receiver's own way to remember what to tell.
#[derive(Debug)]
pub(super) enum Queue {
    /// Every transition, in order, and the one being sent.
    Webhook { outbox: Outbox, sending: Option<Entry> },
    /// The state of each alert.
    Alertmanager(Book),
}

/// A receiver and its state.
#[derive(Debug)]
pub(super) struct Receiver {
    pub endpoint: Endpoint,
    pub in_flight: Option<Id>,
    queue: Queue,
    pace: Pace,
    metrics: Arc<Metrics>,
    /// Failures since the last success.
    failures: u32,
    not_before: Option<Instant>,
    /// What is wrong with the receiver, until something is delivered.
    trouble: Option<String>,
}

impl Receiver {
    pub fn new(endpoint: Endpoint, queue: Queue, pace: Pace, metrics: Arc<Metrics>) -> Self {
        Self { endpoint, in_flight: None, queue, pace, metrics, failures: 0, not_before: None, trouble: None }
    }

    pub fn kind(&self) -> ReceiverKind {
        match self.queue {
            Queue::Webhook { .. } => ReceiverKind::Webhook,
            Queue::Alertmanager(_) => ReceiverKind::Alertmanager,
        }
    }

    /// Takes a transition in.
    pub fn accept(&mut self, transition: &Arc<Transition>, now: Instant) {
        let dropped = match &mut self.queue {
            Queue::Webhook { outbox, .. } => outbox.push(Entry { transition: Arc::clone(transition), since: now }),
            Queue::Alertmanager(book) => book.accept(transition, now),
        };
        self.count(NotificationOutcome::Dropped, dropped);
    }

    /// The next message, when one is due and none is under way.
    pub fn start(&mut self, now: Instant, wall_clock: Timestamp) -> Option<Message> {
        if self.in_flight.is_some() || self.not_before.is_some_and(|moment| moment > now) {
            return None;
        }
        let expired = match &mut self.queue {
            Queue::Webhook { outbox, .. } => outbox.expire(now, self.pace.retry_for),
            Queue::Alertmanager(book) => book.expire(now),
        };
        self.count(NotificationOutcome::Expired, expired);
        match &mut self.queue {
            Queue::Webhook { outbox, sending } => {
                *sending = outbox.pop();
                sending.as_ref().map(|entry| webhook::message(&entry.transition))
            }
            Queue::Alertmanager(book) => book.start(now, wall_clock),
        }
    }

    /// When [`Receiver::start`] has something to do, unless a message is under way.
    pub fn due_at(&self) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        let due = match &self.queue {
            Queue::Webhook { outbox, .. } if outbox.len() == 0 => None,
            // The one place that knows the present is `start`: something waits, so at once or after the back-off.
            Queue::Webhook { .. } => return self.not_before,
            Queue::Alertmanager(book) => book.due_at(),
        };
        due.map(|due| self.not_before.map_or(due, |moment| moment.max(due)))
    }

    /// Ends the message under way.
    pub fn settle(&mut self, outcome: Outcome, now: Instant) {
        self.in_flight = None;
        match outcome {
            Outcome::Delivered => {
                if self.trouble.take().is_some() {
                    tracing::info!(receiver = %self.endpoint.name, "receiver takes notifications again");
                }
                self.forget_failures();
                let told = self.finish(now);
                self.count(NotificationOutcome::Delivered, told);
            }
            Outcome::Refused(why) => {
                tracing::warn!(receiver = %self.endpoint.name, why, "notification refused, not repeated");
                self.trouble = Some(format!("refused: {why}"));
                self.forget_failures();
                let told = self.finish(now);
                self.count(NotificationOutcome::Refused, told);
            }
            Outcome::Retry { why, after } => self.retry_later(why, after, now),
        }
    }

    /// What is wrong with the receiver, if anything is.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.as_ref().map(|why| format!("{} {}: {why}", self.kind().as_str(), self.endpoint.name))
    }

    /// How many notifications wait.
    pub fn waiting(&self) -> usize {
        match &self.queue {
            Queue::Webhook { outbox, sending } => outbox.len() + usize::from(sending.is_some()),
            Queue::Alertmanager(book) => book.waiting(),
        }
    }

    /// Gives up what waits after a failure: there will be no later.
    pub fn give_up(&mut self) {
        let waiting = self.waiting();
        if waiting > 0 {
            tracing::warn!(receiver = %self.endpoint.name, waiting, "stopping with notifications undelivered");
            self.count(NotificationOutcome::Expired, waiting as u64);
        }
    }

    /// Whether the last try failed.
    pub fn failing(&self) -> bool {
        self.failures > 0
    }

    /// The message is done; gives back how many notifications that is.
    fn finish(&mut self, now: Instant) -> u64 {
        match &mut self.queue {
            Queue::Webhook { sending, .. } => u64::from(sending.take().is_some()),
            Queue::Alertmanager(book) => book.settle(true, now),
        }
    }

    fn retry_later(&mut self, why: String, after: Option<Duration>, now: Instant) {
        if self.failures == 0 {
            tracing::warn!(receiver = %self.endpoint.name, why, "notification failed, trying again");
        }
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(why);
        self.count(NotificationOutcome::Retried, 1);
        let pause = self.pace.backoff(self.failures).max(after.unwrap_or_default().min(self.pace.backoff_max));
        self.not_before = Some(now + pause);
        let dropped = match &mut self.queue {
            Queue::Webhook { outbox, sending } => sending.take().map_or(0, |entry| outbox.push_back_first(entry)),
            Queue::Alertmanager(book) => book.settle(false, now),
        };
        self.count(NotificationOutcome::Dropped, dropped);
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    fn count(&self, outcome: NotificationOutcome, count: u64) {
        if count > 0 {
            self.metrics.add_notifications(self.kind(), outcome, count);
        }
    }
}
