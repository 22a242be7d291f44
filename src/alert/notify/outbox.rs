//! What a receiver is still to be told: a bounded queue in order of decision.
//!
//! At the bound the oldest notice that asks nobody to act makes room. Without one, the oldest does: the newer ones say
//! what is true now, and ClickHouse and the log keep every one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::notice::Notice;
use super::told::Told;
use crate::model::Timestamp;

/// Most notices waiting for one receiver: some 10 MB of pages.
pub(super) const OUTBOX_MAX: usize = 1_000;

/// A notice and when it came in.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub notice: Notice,
    pub since: Instant,
    /// The same by the wall clock: a restart asks how old it is.
    pub accepted_at: Timestamp,
    /// The batch that has it written down.
    pub batch: u64,
}

/// The queue. What is being sent stays in front.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    pub told: Told,
    is_sending: bool,
}

impl Outbox {
    /// Appends; gives back what made room.
    pub fn push(&mut self, entry: Entry) -> Option<Entry> {
        self.entries.push_back(entry);
        if self.entries.len() <= OUTBOX_MAX {
            return None;
        }
        let first = usize::from(self.is_sending);
        let minor = self.entries.iter().skip(first).position(|entry| entry.notice.is_minor());
        self.entries.remove(first + minor.unwrap_or(0))
    }

    /// The batch that has the next notice written down.
    pub fn next_batch(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.batch)
    }

    /// The next notice to send; [`Outbox::finish`] or [`Outbox::put_back`] follows.
    pub fn start(&mut self) -> Option<&Notice> {
        let entry = self.entries.front()?;
        self.is_sending = true;
        Some(&entry.notice)
    }

    /// Takes away what was being sent.
    pub fn finish(&mut self) -> Option<Entry> {
        let was_sending = std::mem::take(&mut self.is_sending);
        was_sending.then(|| self.entries.pop_front()).flatten()
    }

    /// It was not taken: it stays in front.
    pub fn put_back(&mut self) {
        self.is_sending = false;
    }

    /// Removes what came in `retry_for` ago or earlier and is not being sent.
    pub fn expire(&mut self, now: Instant, retry_for: Duration) -> Vec<Entry> {
        let mut expired = Vec::new();
        let is_old = |entry: &&Entry| now.duration_since(entry.since) >= retry_for;
        // They are in the order in which they came.
        while !self.is_sending && self.entries.front().as_ref().is_some_and(is_old) {
            expired.extend(self.entries.pop_front());
        }
        expired
    }

    /// Takes everything away.
    pub fn drain(&mut self) -> Vec<Entry> {
        self.is_sending = false;
        self.entries.drain(..).collect()
    }

    /// Removes a notice by its id: a file says that it is done.
    pub fn remove(&mut self, id: &str) {
        if let Some(place) = self.entries.iter().position(|entry| entry.notice.id() == id) {
            self.entries.remove(place);
        }
    }

    /// All that wait, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;
    use crate::model::{Transition, TransitionEvent};

    fn entry(version: &str, event: TransitionEvent, since: Instant) -> Entry {
        let notice = Notice::transition(&Transition { event, ..samples::transition_of(version) });
        Entry { notice, since, accepted_at: Timestamp::default(), batch: 0 }
    }

    fn has(outbox: &Outbox, version: &str) -> bool {
        let version = format!("\"client_version\":\"{version}\"");
        let bodies = outbox.entries.iter().map(|entry| match &entry.notice {
            Notice::Transition(text) => text.body.clone(),
            Notice::Page(_) | Notice::News(_) => String::new(),
        });
        bodies.into_iter().any(|body| body.contains(&version))
    }

    #[test]
    fn at_the_bound_the_oldest_minor_one_makes_room_then_the_oldest_but_not_what_is_being_sent() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..OUTBOX_MAX {
            let event = if i == 4 { TransitionEvent::Pending } else { TransitionEvent::Firing };
            assert!(outbox.push(entry(&i.to_string(), event, now)).is_none());
        }
        assert!(outbox.push(entry("new", TransitionEvent::Firing, now)).is_some());
        assert!(!has(&outbox, "4"));
        assert!(outbox.push(entry("newer", TransitionEvent::Resolved, now)).is_some());
        assert!(!has(&outbox, "0"));
        outbox.start();
        assert!(outbox.push(entry("newest", TransitionEvent::Resolved, now)).is_some());
        assert!(has(&outbox, "1") && !has(&outbox, "2"), "the first is being sent");
        assert!(outbox.push(entry("only pending", TransitionEvent::Pending, now)).is_some());
        assert!(!has(&outbox, "only pending"));
        assert_eq!(outbox.len(), OUTBOX_MAX);
    }

    #[test]
    fn what_is_too_old_expires_and_the_order_is_kept() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(entry("a", TransitionEvent::Firing, start));
        outbox.push(entry("b", TransitionEvent::Firing, start + Duration::from_secs(2)));
        outbox.start();
        outbox.put_back();
        assert_eq!(outbox.expire(start + Duration::from_secs(10), Duration::from_secs(10)).len(), 1);
        assert!(outbox.start().is_some() && has(&outbox, "b"));
        assert!(outbox.finish().is_some() && outbox.finish().is_none() && outbox.len() == 0);
    }
}
