//! What a webhook is still to be told: a bounded queue in order of decision.
//!
//! At the bound the oldest `pending` transition makes room, for it asks nobody to act. Without one, the oldest
//! transition does: the newer ones say what is true now, and ClickHouse and the log keep every one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Transition, TransitionEvent};

/// Most transitions waiting for one webhook.
pub(super) const OUTBOX_MAX: usize = 1_000;

/// A transition and when it came in.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub transition: Arc<Transition>,
    pub since: Instant,
}

/// The queue. The entry that is being sent is not in it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
}

impl Outbox {
    /// Appends; gives back how many entries made room (0 or 1).
    pub fn push(&mut self, entry: Entry) -> u64 {
        self.entries.push_back(entry);
        self.make_room()
    }

    /// Puts an entry that could not be sent back to the front; gives back how many made room.
    pub fn push_back_first(&mut self, entry: Entry) -> u64 {
        self.entries.push_front(entry);
        self.make_room()
    }

    /// The next entry to send.
    pub fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Removes entries that came in `retry_for` ago or earlier; gives back how many.
    pub fn expire(&mut self, now: Instant, retry_for: Duration) -> u64 {
        let before = self.entries.len();
        self.entries.retain(|entry| now.duration_since(entry.since) < retry_for);
        (before - self.entries.len()) as u64
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self) -> u64 {
        if self.entries.len() <= OUTBOX_MAX {
            return 0;
        }
        let pending = self.entries.iter().position(|entry| entry.transition.event == TransitionEvent::Pending);
        self.entries.remove(pending.unwrap_or(0));
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::samples;

    fn entry(version: &str, event: TransitionEvent, since: Instant) -> Entry {
        Entry { transition: Arc::new(Transition { event, ..samples::transition_of(version) }), since }
    }

    fn versions(outbox: &Outbox) -> Vec<String> {
        outbox.entries.iter().map(|e| e.transition.labels.to_string()).collect()
    }

    #[test]
    fn at_the_bound_the_oldest_pending_makes_room_then_the_oldest() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..OUTBOX_MAX {
            let event = if i == 4 { TransitionEvent::Pending } else { TransitionEvent::Firing };
            assert_eq!(outbox.push(entry(&i.to_string(), event, now)), 0);
        }
        assert_eq!(outbox.push(entry("new", TransitionEvent::Firing, now)), 1);
        assert!(!versions(&outbox).contains(&samples::labels_of("4").to_string()));
        assert_eq!(outbox.push(entry("newer", TransitionEvent::Resolved, now)), 1);
        assert!(!versions(&outbox).contains(&samples::labels_of("0").to_string()));
        assert_eq!(outbox.push(entry("only pending", TransitionEvent::Pending, now)), 1);
        assert!(!versions(&outbox).contains(&samples::labels_of("only pending").to_string()));
        assert_eq!(outbox.len(), OUTBOX_MAX);
    }

    #[test]
    fn what_is_too_old_expires_and_the_order_is_kept() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(entry("b", TransitionEvent::Firing, start + Duration::from_secs(2)));
        outbox.push_back_first(entry("a", TransitionEvent::Firing, start));
        assert_eq!(outbox.expire(start + Duration::from_secs(10), Duration::from_secs(10)), 1);
        assert_eq!(outbox.pop().unwrap().transition.labels, samples::labels_of("b"));
        assert!(outbox.pop().is_none());
    }
}
