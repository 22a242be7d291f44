//! What an Alertmanager replica is to know: each firing alert, again and again, and each resolved one for a while.
//!
//! Alertmanager keeps state, so this does too: not a queue of transitions but the latest state of each alert. However
//! long a replica is away, what it gets afterwards is what is true then.

mod entries;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::alertmanager::{HeldAlert, wire_alert};
use super::delivery::Message;
use super::journal::{AlertId, Record};
use super::moment::Moment;
use crate::alert::Rules;
use crate::model::{DurationMs, Severity, Timestamp, Transition, TransitionEvent};
use entries::Entries;

/// Most alerts kept for one replica. At the bound a resolved one makes room; without one, a new alert is left out.
pub(super) const ALERTS_MAX: usize = 10_000;
/// Most alerts in one request: some 500 KB.
const ALERTS_PER_REQUEST_MAX: usize = 500;

/// While what fired before a restart is waited for, the watermark is looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How far the log was read is written down again when it has moved by this much.
const READ_TO_STEP_MS: DurationMs = 60_000;

/// Severity is part of what Alertmanager takes for identity, as it is a label.
type Key = AlertId;

#[derive(Debug)]
struct Entry {
    held: HeldAlert,
    /// Until when a resolved one is told.
    told_until: Option<Instant>,
    due: Instant,
    /// The replica knows this state.
    told: bool,
    /// Tells a state that changed while it was being sent.
    revision: u64,
    /// Fired before a restart, and was not heard of since.
    is_restored: bool,
}

/// How long what is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct BookTimes {
    /// Firing alerts are sent again this often.
    pub resend_interval: Duration,
    /// Resolved alerts are told for this long.
    pub resolved_for: Duration,
    /// After a restart a firing alert is over that is not heard of while the log moves on by this much (event time), from
    /// where it was before, or by as much as its rule takes to fire and stays.
    pub restored_for: Duration,
}

/// The alerts of one replica.
#[derive(Debug)]
pub(super) struct Book {
    entries: Entries,
    sending: Vec<(Arc<Key>, u64)>,
    times: BookTimes,
    /// The rules in force.
    rules: watch::Receiver<Arc<Rules>>,
    revisions: u64,
    /// How far the log was read, as the file knows it.
    read_to: Option<Timestamp>,
    /// From here on in the log what fired before a restart is waited for.
    awaited_from: Option<Timestamp>,
    /// When the watermark is looked at again for that.
    looks_at: Option<Instant>,
    /// An alert was left out at the bound, and there was no room since.
    is_full: bool,
    /// What changed, for the file.
    changes: Vec<Record>,
}

impl Book {
    pub fn new(times: BookTimes, rules: watch::Receiver<Arc<Rules>>) -> Self {
        Self {
            entries: Entries::default(),
            sending: Vec::new(),
            times,
            rules,
            revisions: 0,
            read_to: None,
            awaited_from: None,
            looks_at: None,
            is_full: false,
            changes: Vec::new(),
        }
    }

    /// Takes a transition in; gives back how many alerts were left out at the bound. Pending is nothing to tell.
    pub fn accept(&mut self, transition: &Arc<Transition>, moment: Moment) -> u64 {
        let firing = match transition.event {
            TransitionEvent::Pending => return 0,
            TransitionEvent::Firing => true,
            TransitionEvent::Resolved => false,
        };
        self.revisions += 1;
        let key_of = |severity| (transition.alert, transition.labels.clone(), severity);
        let mut known = false;
        for severity in Severity::ALL {
            let Some(entry) = self.entries.get(&key_of(severity)) else { continue };
            known = true;
            // The same alert under another severity is another one there: it must end when this one fires.
            let fires_on = firing && severity == transition.severity;
            if entry.told_until.is_some() && !fires_on {
                continue;
            }
            let entry = self.entry(transition, severity, fires_on, moment);
            self.put(key_of(severity), entry);
        }
        let key = key_of(transition.severity);
        // One that resolves unseen was fired before a restart: the replica still has it.
        let insert = if firing { !self.entries.contains(&key) } else { !known };
        if !insert {
            return 0;
        }
        let Some(dropped) = self.make_room() else { return 1 };
        let entry = self.entry(transition, transition.severity, firing, moment);
        self.put(key, entry);
        dropped
    }

    fn entry(&self, transition: &Transition, severity: Severity, firing: bool, moment: Moment) -> Entry {
        let words = self.rules.borrow().words_of(transition.alert, severity, &transition.labels, transition.value);
        let mut held = HeldAlert::new(transition, severity).told_with(&words);
        let resolved_for = self.times.resolved_for;
        if !firing {
            held.resolved_at = Some(transition.at);
            held.told_until = Some(moment.wall_clock.plus(milliseconds(resolved_for)));
        }
        Entry {
            held,
            told_until: (!firing).then(|| moment.now + resolved_for),
            due: moment.now,
            told: false,
            revision: self.revisions,
            is_restored: false,
        }
    }

    fn put(&mut self, key: Key, entry: Entry) {
        self.changes.push(Record::Alert(entry.held.clone()));
        self.entries.put(key, entry);
    }

    /// Room for one more alert; gives back how many untold ones went for it, and `None` when all fire.
    fn make_room(&mut self) -> Option<u64> {
        self.is_full = false;
        if self.entries.len() < ALERTS_MAX {
            return Some(0);
        }
        let Some((_, oldest)) = self.entries.first_ending() else {
            self.is_full = true;
            return None;
        };
        self.changes.push(Record::Forgotten(oldest.as_ref().clone()));
        Some(self.entries.remove(&oldest).map_or(0, |entry| u64::from(!entry.told)))
    }

    /// Puts back an alert that a file remembers. It is told again at once: Alertmanager may have been restarted as well.
    pub fn restore(&mut self, held: HeldAlert, moment: Moment) {
        let left =
            held.told_until.map(|until| Duration::from_millis(until.since(moment.wall_clock).max(0).unsigned_abs()));
        let entry = Entry {
            told_until: left.map(|left| moment.now + left.min(self.times.resolved_for)),
            is_restored: left.is_none(),
            due: moment.now,
            // A resolved one may have been told, but nobody knows.
            told: true,
            revision: 0,
            held,
        };
        if entry.is_restored {
            self.looks_at = Some(moment.now);
        }
        let key = (entry.held.alert, entry.held.labels.clone(), entry.held.severity);
        if self.entries.len() < ALERTS_MAX || self.entries.contains(&key) {
            self.entries.put(key, entry);
        }
    }

    /// Takes over how far the log was read before the restart.
    pub fn restore_read_to(&mut self, at: Timestamp) {
        self.read_to = self.read_to.max(Some(at));
        self.awaited_from = self.read_to;
    }

    /// Forgets an alert that a file says is forgotten.
    pub fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Forgets what was resolved long enough ago; gives back how many of them the replica was never told. Ends what fired
    /// before a restart and was not heard of since.
    pub fn expire(&mut self, moment: Moment, watermark: Option<Timestamp>) -> u64 {
        if let Some(watermark) = watermark {
            self.follow(watermark, moment);
        }
        self.looks_at = self.entries.has_restored().then(|| moment.now + LOOK_INTERVAL);
        let mut untold = 0;
        while let Some((_, key)) = self.entries.first_ending().filter(|(until, _)| *until <= moment.now) {
            untold += self.entries.remove(&key).map_or(0, |entry| u64::from(!entry.told));
            self.changes.push(Record::Forgotten(key.as_ref().clone()));
        }
        untold
    }

    /// Takes in how far the log is. A log that stands still, or has not come to where it was, ends nothing.
    fn follow(&mut self, watermark: Timestamp, moment: Moment) {
        if self.entries.has_restored() {
            // A file that does not say where it was: from where it is first seen.
            let from = *self.awaited_from.get_or_insert(watermark);
            self.lapse(watermark.since(from), moment);
        }
        let has_moved = self.read_to.is_none_or(|read_to| watermark.since(read_to) >= READ_TO_STEP_MS);
        if has_moved && self.entries.len() > 0 {
            self.read_to = Some(watermark);
            self.changes.push(Record::ReadTo(watermark));
        }
    }

    /// What fired before the restart and was not heard of since is over, once the log has gone on for long enough.
    fn lapse(&mut self, passed_ms: DurationMs, moment: Moment) {
        let least_ms = milliseconds(self.times.restored_for);
        if passed_ms < least_ms {
            return;
        }
        let rules = Arc::clone(&self.rules.borrow());
        let resolved_for = self.times.resolved_for;
        let lapsed = |key: &Arc<Key>| passed_ms >= rules.wait_ms(Some(key.0), key.2);
        for key in self.entries.restored().into_iter().filter(lapsed) {
            self.revisions += 1;
            let (revision, changes) = (self.revisions, &mut self.changes);
            self.entries.change(&key, |entry| {
                entry.held.resolved_at = Some(moment.wall_clock);
                entry.held.told_until = Some(moment.wall_clock.plus(milliseconds(resolved_for)));
                (entry.is_restored, entry.told_until) = (false, Some(moment.now + resolved_for));
                (entry.due, entry.told, entry.revision) = (moment.now, false, revision);
                changes.push(Record::Alert(entry.held.clone()));
            });
        }
    }

    /// Whether the replica knows this alert, under any severity: then it hears on.
    pub fn knows(&self, transition: &Transition) -> bool {
        let key = |severity| (transition.alert, transition.labels.clone(), severity);
        Severity::ALL.into_iter().any(|severity| self.entries.contains(&key(severity)))
    }

    /// When there is something to do next.
    pub fn due_at(&self) -> Option<Instant> {
        self.entries.first_due_at().into_iter().chain(self.looks_at).min()
    }

    /// A request with what is due, if anything is. [`Book::settle`] follows.
    pub fn start(&mut self, moment: Moment) -> Option<Message> {
        let due = self.entries.due(moment.now).take(ALERTS_PER_REQUEST_MAX);
        let (mut alerts, mut sending) = (Vec::new(), Vec::new());
        for (key, entry) in due {
            alerts.push(wire_alert(&entry.held, self.times.resend_interval, moment.wall_clock));
            sending.push((Arc::clone(key), entry.revision));
        }
        if alerts.is_empty() {
            return None;
        }
        // Texts and times always serialise.
        let body = serde_json::to_vec(&alerts).unwrap_or_default();
        self.sending = sending;
        Some(Message::json(body))
    }

    /// Ends a request. When it is `done` (taken, or refused for good) its alerts wait for the next resend, unless they
    /// changed meanwhile; else they stay due. Gives back how many alerts it told that the replica did not know.
    pub fn settle(&mut self, done: bool, now: Instant) -> u64 {
        let mut news = 0;
        for (key, revision) in std::mem::take(&mut self.sending) {
            let Some(entry) = self.entries.get(&key).filter(|entry| done && entry.revision == revision) else {
                continue;
            };
            news += u64::from(!entry.told);
            let due = now + self.times.resend_interval;
            self.entries.change(&key, |entry| (entry.due, entry.told) = (due, true));
        }
        news
    }

    /// How many alerts the replica is still to be told.
    pub fn waiting(&self) -> usize {
        self.entries.untold()
    }

    /// What is wrong, if anything is: alerts are left out for want of room.
    pub fn trouble(&self) -> Option<&'static str> {
        let is_full = self.is_full && self.entries.len() >= ALERTS_MAX;
        is_full.then_some("as many alerts fire as it is told, further ones are left out")
    }

    /// What changed since this was asked last, for the file.
    pub fn take_changes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changes)
    }

    /// All that a file has to remember.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let read_to = self.read_to.map(Record::ReadTo);
        read_to.into_iter().chain(self.entries.iter().map(|entry| Record::Alert(entry.held.clone())))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
