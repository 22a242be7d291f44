//! One receiver: what it is still to be told, whether a message is under way, and when to try again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::Id;
use tokio::time::Instant;

use super::Pace;
use super::book::Book;
use super::dead_letters::{DeadLetter, DeadLetterReason};
use super::delivery::{Message, Outcome, Transport};
use super::heartbeat::Heartbeat;
use super::journal::Record;
use super::moment::Moment;
use super::notice::Notice;
use super::outbox::{Entry, Outbox};
use super::render::{Rendering, Subject};
use crate::metrics::{Metrics, NotificationOutcome, ReceiverKind};
use crate::model::{Page, PublicNews, Timestamp, Transition};

/// Who a receiver is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Unique: part of the name of its file.
    pub name: String,
    pub kind: ReceiverKind,
    /// The name that routes know it by; without one it gets everything.
    pub route: Option<String>,
}

/// A receiver's own way to remember what to tell.
#[derive(Debug)]
pub(super) enum Queue {
    /// Every notice, in order.
    Outbox { outbox: Outbox, rendering: Rendering },
    /// The state of each alert.
    Alertmanager(Book),
    /// Nothing: it hears that we are alive.
    Heartbeat(Heartbeat),
}

/// A receiver and its state.
#[derive(Debug)]
pub(super) struct Receiver {
    pub identity: Identity,
    pub transport: Transport,
    pub in_flight: Option<Id>,
    queue: Queue,
    pace: Pace,
    metrics: Arc<Metrics>,
    /// Failures since the last success.
    failures: u32,
    not_before: Option<Instant>,
    /// What is wrong with the receiver, until something is delivered.
    trouble: Option<String>,
    /// It said that it wants nothing any more.
    is_gone: bool,
    /// The batch that has the end of the last message written down.
    ended_batch: u64,
    /// Until when the next message waits for the disk.
    waits_until: Option<Instant>,
    /// What changed, for the file; and what was given up.
    records: Vec<Record>,
    letters: Vec<DeadLetter>,
}

impl Receiver {
    pub fn new(identity: Identity, transport: Transport, queue: Queue, pace: Pace, metrics: Arc<Metrics>) -> Self {
        Self {
            identity,
            transport,
            in_flight: None,
            queue,
            pace,
            metrics,
            failures: 0,
            not_before: None,
            trouble: None,
            is_gone: false,
            ended_batch: 0,
            waits_until: None,
            records: Vec::new(),
            letters: Vec::new(),
        }
    }

    /// Takes a transition in, when it is of those that are told here.
    pub fn accept_transition(&mut self, transition: &Arc<Transition>, is_selected: bool, moment: Moment) {
        match &mut self.queue {
            Queue::Alertmanager(book) if is_selected || book.knows(transition) => {
                let dropped = book.accept(transition, moment);
                self.count(NotificationOutcome::Dropped, dropped);
            }
            Queue::Outbox { rendering, .. } if rendering.subject() == Subject::Transitions && is_selected => {
                self.push(Notice::transition(transition), moment);
            }
            _ => {}
        }
    }

    /// Takes a page in, when pages are told here. Who was told of it before is told on, whatever the routes say now; what
    /// was taken in before is not taken again.
    pub fn accept_page(&mut self, page: &Arc<Page>, is_selected: bool, moment: Moment) {
        let Queue::Outbox { outbox, rendering } = &mut self.queue else { return };
        if rendering.subject() != Subject::Pages || !(is_selected || outbox.told.is_open(&page.dedup_key)) {
            return;
        }
        if outbox.told.accept(page) {
            self.push(Notice::Page(Arc::clone(page)), moment);
        }
    }

    /// Takes news in, when they are told here.
    pub fn accept_news(&mut self, news: &Arc<PublicNews>, moment: Moment) {
        let is_of_news =
            |queue: &Queue| matches!(queue, Queue::Outbox { rendering, .. } if rendering.subject() == Subject::News);
        if is_of_news(&self.queue) {
            self.push(Notice::News(Arc::clone(news)), moment);
        }
    }

    fn push(&mut self, notice: Notice, moment: Moment) {
        let Queue::Outbox { outbox, .. } = &mut self.queue else { return };
        let accepted_at = moment.wall_clock;
        let entry = Entry { notice: notice.clone(), since: moment.now, accepted_at, batch: moment.batch };
        self.records.push(Record::Accepted { accepted_at, notice });
        if self.is_gone {
            self.give_up_entry(&entry, DeadLetterReason::Gone, moment.wall_clock);
        } else if let Some(dropped) = outbox.push(entry) {
            self.give_up_entry(&dropped, DeadLetterReason::Dropped, moment.wall_clock);
        }
    }

    /// The next message, when one is due and none is under way.
    pub fn start(&mut self, moment: Moment, watermark: Option<Timestamp>) -> Option<Message> {
        if self.in_flight.is_some() || self.not_before.is_some_and(|not_before| not_before > moment.now) {
            return None;
        }
        match &mut self.queue {
            Queue::Outbox { outbox, .. } => {
                for entry in outbox.expire(moment.now, self.pace.retry_for) {
                    self.give_up_entry(&entry, DeadLetterReason::Expired, moment.wall_clock);
                }
            }
            Queue::Alertmanager(book) => {
                let untold = book.expire(moment, watermark);
                self.count(NotificationOutcome::Expired, untold);
            }
            Queue::Heartbeat(_) => {}
        }
        if self.waits_for_disk(moment) {
            return None;
        }
        match &mut self.queue {
            Queue::Outbox { outbox, rendering } => outbox.start().map(|notice| rendering.message(notice)),
            Queue::Alertmanager(book) => book.start(moment),
            Queue::Heartbeat(heartbeat) => heartbeat.start(moment.now, watermark),
        }
    }

    /// Whether the disk does not know yet of the next message, or of the end of the one before, and there is time to wait.
    fn waits_for_disk(&mut self, moment: Moment) -> bool {
        let Queue::Outbox { outbox, .. } = &self.queue else { return false };
        let is_known = outbox.next_batch().is_none_or(|batch| batch.max(self.ended_batch) <= moment.safe);
        if is_known {
            self.waits_until = None;
            return false;
        }
        let waits_until = *self.waits_until.get_or_insert(moment.now + self.pace.wait_for_disk);
        if waits_until > moment.now {
            return true;
        }
        self.waits_until = None;
        false
    }

    /// When [`Receiver::start`] has something to do, unless a message is under way.
    pub fn due_at(&self) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        let due = match &self.queue {
            Queue::Outbox { outbox, .. } if outbox.len() == 0 => None,
            // The one place that knows the present is `start`: something waits, so at once or after the back-off.
            Queue::Outbox { .. } => return self.not_before.max(self.waits_until),
            Queue::Alertmanager(book) => book.due_at(),
            Queue::Heartbeat(heartbeat) => Some(heartbeat.due_at()),
        };
        due.map(|due| self.not_before.map_or(due, |not_before| not_before.max(due)))
    }

    /// Ends the message under way.
    pub fn settle(&mut self, outcome: Outcome, moment: Moment) {
        self.in_flight = None;
        match outcome {
            Outcome::Delivered(_) => {
                if self.trouble.take().is_some() {
                    tracing::info!(receiver = %self.shown(), "receiver takes notifications again");
                }
                self.forget_failures();
                let told = self.finish(None, moment);
                self.count(NotificationOutcome::Delivered, told);
            }
            Outcome::Refused(why) => {
                tracing::warn!(receiver = %self.shown(), why, "notification refused, not repeated");
                self.trouble = Some(format!("refused: {why}"));
                self.forget_failures();
                let told = self.finish(Some(DeadLetterReason::Refused), moment);
                self.count(NotificationOutcome::Refused, told);
            }
            Outcome::Gone(why) => self.close(&why, moment),
            Outcome::Retry { why, after } => self.retry_later(why, after, moment),
        }
    }

    /// Standard Webhooks: 410 means that nothing is wanted any more. Everything becomes a dead letter until the next start,
    /// which tries again. Others have no such rule; to them it is a refusal.
    fn close(&mut self, why: &str, moment: Moment) {
        let Queue::Outbox { rendering: Rendering::Body { .. } | Rendering::News, .. } = &self.queue else {
            return self.settle(Outcome::Refused(why.to_owned()), moment);
        };
        tracing::error!(receiver = %self.shown(), why, "receiver wants no notifications any more: it is off until the next start");
        self.trouble = Some(format!("off until the next start: {why}"));
        self.is_gone = true;
        self.forget_failures();
        let Queue::Outbox { outbox, .. } = &mut self.queue else { return };
        for entry in outbox.drain() {
            self.give_up_entry(&entry, DeadLetterReason::Gone, moment.wall_clock);
        }
    }

    /// What is wrong with the receiver, if anything is.
    pub fn trouble(&self) -> Option<String> {
        let of_queue = match &self.queue {
            Queue::Heartbeat(heartbeat) => heartbeat.trouble(),
            Queue::Alertmanager(book) => book.trouble(),
            Queue::Outbox { .. } => None,
        };
        let why = self.trouble.as_deref().or(of_queue)?;
        Some(format!("{}: {why}", self.shown()))
    }

    /// How many notifications wait.
    pub fn waiting(&self) -> usize {
        match &self.queue {
            Queue::Outbox { outbox, .. } => outbox.len(),
            Queue::Alertmanager(book) => book.waiting(),
            Queue::Heartbeat(_) => 0,
        }
    }

    /// The service ends. What waits is kept for the next start where there is a file; else it is given up.
    pub fn stop(&mut self, is_kept: bool) {
        let waiting = self.waiting();
        if waiting > 0 {
            let fate = if is_kept { "kept for the next start" } else { "given up: nothing is kept" };
            tracing::warn!(receiver = %self.shown(), waiting, fate, "stopping with notifications undelivered");
            if !is_kept {
                self.count(NotificationOutcome::Expired, waiting as u64);
            }
        }
    }

    /// Whether the last try failed.
    pub fn failing(&self) -> bool {
        self.failures > 0
    }

    /// What changed since this was asked last, for the file; and what was given up.
    pub fn take_changes(&mut self) -> (Vec<Record>, Vec<DeadLetter>) {
        let mut records = std::mem::take(&mut self.records);
        if let Queue::Alertmanager(book) = &mut self.queue {
            records.extend(book.take_changes());
        }
        (records, std::mem::take(&mut self.letters))
    }

    /// All that a file has to remember.
    pub fn records(&self) -> Vec<Record> {
        match &self.queue {
            Queue::Outbox { outbox, .. } => {
                let told = outbox.told.iter().map(|(key, known)| Record::Told { key: key.clone(), known: *known });
                let entry =
                    |entry: &Entry| Record::Accepted { accepted_at: entry.accepted_at, notice: entry.notice.clone() };
                told.chain(outbox.iter().map(entry)).collect()
            }
            Queue::Alertmanager(book) => book.records().collect(),
            Queue::Heartbeat(_) => Vec::new(),
        }
    }

    /// Takes in what a file remembers. What fits no receiver of this kind is left out.
    pub fn restore(&mut self, record: Record, moment: Moment) {
        match (&mut self.queue, record) {
            (Queue::Outbox { outbox, .. }, Record::Accepted { accepted_at, notice }) => {
                if let Notice::Page(page) = &notice {
                    outbox.told.accept(page);
                }
                let age = Duration::from_millis(moment.wall_clock.since(accepted_at).max(0).unsigned_abs());
                let since = moment.now.checked_sub(age).unwrap_or(moment.now);
                outbox.push(Entry { notice, since, accepted_at, batch: 0 });
            }
            (Queue::Outbox { outbox, .. }, Record::Done(id)) => outbox.remove(&id),
            (Queue::Outbox { outbox, .. }, Record::Told { key, known }) => outbox.told.insert(key, known),
            (Queue::Alertmanager(book), Record::Alert(held)) => book.restore(held, moment),
            (Queue::Alertmanager(book), Record::Forgotten(id)) => book.forget(&id),
            (Queue::Alertmanager(book), Record::ReadTo(at)) => book.restore_read_to(at),
            _ => {}
        }
    }

    /// What may be shown: its kind with its name, or with scheme and host.
    pub fn shown(&self) -> String {
        let name = self.identity.route.as_deref().unwrap_or(self.transport.name());
        format!("{} {name}", self.identity.kind.as_str())
    }

    /// The message is done, delivered or not; gives back how many notifications that is.
    fn finish(&mut self, refused: Option<DeadLetterReason>, moment: Moment) -> u64 {
        match &mut self.queue {
            Queue::Outbox { outbox, .. } => {
                let Some(entry) = outbox.finish() else { return 0 };
                self.ended_batch = moment.batch;
                match refused {
                    Some(reason) => self.write_off(&entry, reason, moment.wall_clock),
                    None => self.records.push(Record::Done(entry.notice.id())),
                }
                1
            }
            Queue::Alertmanager(book) => book.settle(true, moment.now),
            Queue::Heartbeat(heartbeat) => {
                heartbeat.settle(refused.is_none());
                1
            }
        }
    }

    fn retry_later(&mut self, why: String, after: Option<Duration>, moment: Moment) {
        if self.failures == 0 {
            tracing::warn!(receiver = %self.shown(), why, "notification failed, trying again");
        }
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(why);
        self.count(NotificationOutcome::Retried, 1);
        self.not_before = Some(moment.now + self.pace.pause(&self.identity.name, self.failures, after));
        match &mut self.queue {
            Queue::Outbox { outbox, .. } => outbox.put_back(),
            Queue::Alertmanager(book) => {
                book.settle(false, moment.now);
            }
            Queue::Heartbeat(heartbeat) => heartbeat.again(moment.now),
        }
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    /// A notice is not delivered, and that is counted and written down.
    fn give_up_entry(&mut self, entry: &Entry, reason: DeadLetterReason, at: Timestamp) {
        let outcome = match reason {
            DeadLetterReason::Refused | DeadLetterReason::Gone => NotificationOutcome::Refused,
            DeadLetterReason::Expired => NotificationOutcome::Expired,
            DeadLetterReason::Dropped => NotificationOutcome::Dropped,
        };
        self.count(outcome, 1);
        self.write_off(entry, reason, at);
    }

    fn write_off(&mut self, entry: &Entry, reason: DeadLetterReason, at: Timestamp) {
        let why = self.trouble.clone().unwrap_or_default();
        self.letters.push(DeadLetter::new(at, &self.shown(), reason, &why, entry));
        self.records.push(Record::Done(entry.notice.id()));
    }

    fn count(&self, outcome: NotificationOutcome, count: u64) {
        if count > 0 {
            self.metrics.add_notifications(self.identity.kind, outcome, count);
        }
    }
}
