//! What an Alertmanager replica is to know: each firing alert, again and again, and each resolved one for a while.
//!
//! Alertmanager keeps state, so this does too: not a queue of transitions but the latest state of each alert. However
//! long a replica is away, what it gets afterwards is what is true then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alertmanager::{HeldAlert, wire_alert};
use super::delivery::Message;
use super::journal::{AlertId, Record};
use super::moment::Moment;
use crate::model::{Severity, Transition, TransitionEvent};

/// Most alerts kept for one replica. At the bound a resolved one makes room; without one, a new alert is left out.
pub(super) const ALERTS_MAX: usize = 10_000;
/// Most alerts in one request: some 500 KB.
const ALERTS_PER_REQUEST_MAX: usize = 500;

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
    /// Fired before a restart: it ends here unless it is heard of again.
    lapses_at: Option<Instant>,
}

/// How long what is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct BookTimes {
    /// Firing alerts are sent again this often.
    pub resend_interval: Duration,
    /// Resolved alerts are told for this long.
    pub resolved_for: Duration,
    /// After a restart a firing alert that is not heard of for this long is over.
    pub restored_for: Duration,
}

/// The alerts of one replica.
#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<Key, Entry>,
    sending: Vec<(Key, u64)>,
    times: BookTimes,
    revisions: u64,
    /// What changed, for the file.
    changes: Vec<Record>,
}

impl Book {
    pub fn new(times: BookTimes) -> Self {
        Self { entries: BTreeMap::new(), sending: Vec::new(), times, revisions: 0, changes: Vec::new() }
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
        let insert = if firing { !self.entries.contains_key(&key) } else { !known };
        if !insert {
            return 0;
        }
        let entry = self.entry(transition, transition.severity, firing, moment);
        self.insert(key, entry)
    }

    fn entry(&self, transition: &Transition, severity: Severity, firing: bool, moment: Moment) -> Entry {
        let mut held = HeldAlert::new(transition, severity);
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
            lapses_at: None,
        }
    }

    fn put(&mut self, key: Key, entry: Entry) {
        self.changes.push(Record::Alert(entry.held.clone()));
        self.entries.insert(key, entry);
    }

    fn insert(&mut self, key: Key, entry: Entry) -> u64 {
        let mut dropped = 0;
        if self.entries.len() >= ALERTS_MAX {
            let resolved = self.entries.iter().filter(|(_, entry)| entry.told_until.is_some());
            let longest = resolved.min_by_key(|(_, entry)| entry.told_until);
            let Some((oldest, told)) = longest.map(|(key, entry)| (key.clone(), entry.told)) else {
                return 1;
            };
            self.entries.remove(&oldest);
            self.changes.push(Record::Forgotten(oldest));
            dropped = u64::from(!told);
        }
        self.put(key, entry);
        dropped
    }

    /// Puts back an alert that a file remembers. It is told again at once: Alertmanager may have been restarted as well.
    pub fn restore(&mut self, held: HeldAlert, moment: Moment) {
        let left =
            held.told_until.map(|until| Duration::from_millis(until.since(moment.wall_clock).max(0).unsigned_abs()));
        let entry = Entry {
            told_until: left.map(|left| moment.now + left.min(self.times.resolved_for)),
            lapses_at: left.is_none().then(|| moment.now + self.times.restored_for),
            due: moment.now,
            // A resolved one may have been told, but nobody knows.
            told: true,
            revision: 0,
            held,
        };
        if self.entries.len() < ALERTS_MAX {
            self.entries.insert((entry.held.alert, entry.held.labels.clone(), entry.held.severity), entry);
        }
    }

    /// Forgets an alert that a file says is forgotten.
    pub fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Forgets what was resolved long enough ago; gives back how many of them the replica was never told. Ends what fired
    /// before a restart and was not heard of since.
    pub fn expire(&mut self, moment: Moment) -> u64 {
        let Moment { now, wall_clock, .. } = moment;
        let mut untold = 0;
        for entry in self.entries.values_mut().filter(|entry| entry.lapses_at.is_some_and(|lapses_at| lapses_at <= now))
        {
            let resolved_for = self.times.resolved_for;
            entry.held.resolved_at = Some(wall_clock);
            entry.held.told_until = Some(wall_clock.plus(milliseconds(resolved_for)));
            (entry.lapses_at, entry.told_until) = (None, Some(now + resolved_for));
            (entry.due, entry.told) = (now, false);
            self.revisions += 1;
            entry.revision = self.revisions;
            self.changes.push(Record::Alert(entry.held.clone()));
        }
        let changes = &mut self.changes;
        self.entries.retain(|key, entry| {
            let keep = entry.told_until.is_none_or(|until| until > now);
            untold += u64::from(!keep && !entry.told);
            if !keep {
                changes.push(Record::Forgotten(key.clone()));
            }
            keep
        });
        untold
    }

    /// Whether the replica knows this alert, under any severity: then it hears on.
    pub fn knows(&self, transition: &Transition) -> bool {
        let key = |severity| (transition.alert, transition.labels.clone(), severity);
        Severity::ALL.into_iter().any(|severity| self.entries.contains_key(&key(severity)))
    }

    /// When there is something to do next.
    pub fn due_at(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.lapses_at.map_or(entry.due, |lapses_at| lapses_at.min(entry.due))).min()
    }

    /// A request with what is due, if anything is. [`Book::settle`] follows.
    pub fn start(&mut self, moment: Moment) -> Option<Message> {
        let due = self.entries.iter().filter(|(_, entry)| entry.due <= moment.now).take(ALERTS_PER_REQUEST_MAX);
        let (mut alerts, mut sending) = (Vec::new(), Vec::new());
        for (key, entry) in due {
            alerts.push(wire_alert(&entry.held, self.times.resend_interval, moment.wall_clock));
            sending.push((key.clone(), entry.revision));
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
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| done && entry.revision == revision) else {
                continue;
            };
            entry.due = now + self.times.resend_interval;
            news += u64::from(!entry.told);
            entry.told = true;
        }
        news
    }

    /// How many alerts the replica is still to be told.
    pub fn waiting(&self) -> usize {
        self.entries.values().filter(|entry| !entry.told).count()
    }

    /// What changed since this was asked last, for the file.
    pub fn take_changes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changes)
    }

    /// All that a file has to remember.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.entries.values().map(|entry| Record::Alert(entry.held.clone()))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
