//! What an Alertmanager replica is to know: each firing alert, again and again, and each resolved one for a while.
//!
//! Alertmanager keeps state, so this does too: not a queue of transitions but the latest state of each alert. However
//! long a replica is away, what it gets afterwards is what is true then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alertmanager::wire_alert;
use super::delivery::Message;
use crate::model::{AlertName, Dimensions, Severity, Timestamp, Transition, TransitionEvent};

/// Most alerts kept for one replica. At the bound a resolved one makes room; without one, a new alert is left out.
pub(super) const ALERTS_MAX: usize = 10_000;
/// Most alerts in one request: some 500 KB.
const ALERTS_PER_REQUEST_MAX: usize = 500;

/// Severity is part of what Alertmanager takes for identity, as it is a label.
type Key = (AlertName, Dimensions, Severity);

#[derive(Debug)]
struct Entry {
    transition: Arc<Transition>,
    /// When it resolved (event time), and until when that is told.
    resolved: Option<(Timestamp, Instant)>,
    due: Instant,
    /// The replica knows this state.
    told: bool,
    /// Tells a state that changed while it was being sent.
    revision: u64,
}

/// The alerts of one replica.
#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<Key, Entry>,
    sending: Vec<(Key, u64)>,
    resend_interval: Duration,
    resolved_for: Duration,
    revisions: u64,
}

impl Book {
    pub fn new(resend_interval: Duration, resolved_for: Duration) -> Self {
        Self { entries: BTreeMap::new(), sending: Vec::new(), resend_interval, resolved_for, revisions: 0 }
    }

    /// Takes a transition in; gives back how many alerts were left out at the bound. Pending is nothing to tell.
    pub fn accept(&mut self, transition: &Arc<Transition>, now: Instant) -> u64 {
        let firing = match transition.event {
            TransitionEvent::Pending => return 0,
            TransitionEvent::Firing => true,
            TransitionEvent::Resolved => false,
        };
        self.revisions += 1;
        let resolved = (transition.at, now + self.resolved_for);
        let mut known = false;
        for severity in Severity::ALL {
            let Some(entry) = self.entries.get_mut(&(transition.alert, transition.labels.clone(), severity)) else {
                continue;
            };
            known = true;
            // The same alert under another severity is another one there: it must end when this one fires.
            let fires_on = firing && severity == transition.severity;
            if entry.resolved.is_some() && !fires_on {
                continue;
            }
            *entry = Entry {
                transition: Arc::clone(transition),
                resolved: (!fires_on).then_some(resolved),
                due: now,
                told: false,
                revision: self.revisions,
            };
        }
        let key = (transition.alert, transition.labels.clone(), transition.severity);
        // One that resolves unseen was fired before a restart: the replica still has it.
        let insert = if firing { !self.entries.contains_key(&key) } else { !known };
        if !insert {
            return 0;
        }
        let entry = Entry {
            transition: Arc::clone(transition),
            resolved: (!firing).then_some(resolved),
            due: now,
            told: false,
            revision: self.revisions,
        };
        self.insert(key, entry)
    }

    fn insert(&mut self, key: Key, entry: Entry) -> u64 {
        let mut dropped = 0;
        if self.entries.len() >= ALERTS_MAX {
            let resolved = self.entries.iter().filter(|(_, entry)| entry.resolved.is_some());
            let longest = resolved.min_by_key(|(_, entry)| entry.resolved.map(|(_, until)| until));
            let Some((oldest, told)) = longest.map(|(key, entry)| (key.clone(), entry.told)) else {
                return 1;
            };
            self.entries.remove(&oldest);
            dropped = u64::from(!told);
        }
        self.entries.insert(key, entry);
        dropped
    }

    /// Forgets what was resolved long enough ago; gives back how many of them the replica was never told.
    pub fn expire(&mut self, now: Instant) -> u64 {
        let mut untold = 0;
        self.entries.retain(|_, entry| {
            let keep = entry.resolved.is_none_or(|(_, until)| until > now);
            untold += u64::from(!keep && !entry.told);
            keep
        });
        untold
    }

    /// When there is something to send next.
    pub fn due_at(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// A request with what is due, if anything is. [`Book::settle`] follows.
    pub fn start(&mut self, now: Instant, wall_clock: Timestamp) -> Option<Message> {
        let due = self.entries.iter().filter(|(_, entry)| entry.due <= now).take(ALERTS_PER_REQUEST_MAX);
        let (mut alerts, mut sending) = (Vec::new(), Vec::new());
        for (key, entry) in due {
            let resolved_at = entry.resolved.map(|(at, _)| at);
            alerts.push(wire_alert(&entry.transition, key.2, resolved_at, self.resend_interval, wall_clock));
            sending.push((key.clone(), entry.revision));
        }
        if alerts.is_empty() {
            return None;
        }
        // Texts and times always serialise.
        let body = serde_json::to_vec(&alerts).unwrap_or_default();
        self.sending = sending;
        Some(Message { id: None, body: body.into() })
    }

    /// Ends a request. When it is `done` (taken, or refused for good) its alerts wait for the next resend, unless they
    /// changed meanwhile; else they stay due. Gives back how many alerts it told that the replica did not know.
    pub fn settle(&mut self, done: bool, now: Instant) -> u64 {
        let mut news = 0;
        for (key, revision) in std::mem::take(&mut self.sending) {
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| done && entry.revision == revision) else {
                continue;
            };
            entry.due = now + self.resend_interval;
            news += u64::from(!entry.told);
            entry.told = true;
        }
        news
    }

    /// How many alerts the replica is still to be told.
    pub fn waiting(&self) -> usize {
        self.entries.values().filter(|entry| !entry.told).count()
    }
}

#[cfg(test)]
mod tests;
