//! Why a query may not run now, whatever is free: it is not in the policy, blocked, its breaker is open, its class is off,
//! or it would read more than it may.

use super::admission::Admission;
use super::breaker::Standing;
use super::caps::Caps;
use super::fair_queue::Waiting;
use super::running::{breaker_keys, scan_of};
use super::safe_mode::SafeModeLevel;
use super::{Ask, Refusal, words};
use crate::guard::policy::ClassPolicy;
use crate::model::Timestamp;

impl Admission {
    /// The refusal of a query that may not run now, the order of reasons being that of how much they are somebody's will.
    pub(super) fn refused_at_once(&self, ask: &Ask, at: Timestamp) -> Option<Refusal> {
        let Some((name, class)) = self.class_of(ask) else { return Some(words::not_in_policy(&ask.tenant)) };
        if let Some(block) = self.blocks.get(&ask.fingerprint, at) {
            return Some(words::blocked(&ask.fingerprint, block, at));
        }
        if class.writes && ask.writes {
            return None;
        }
        let level = self.safe_mode.level(at);
        let is_off = match level {
            SafeModeLevel::Off => false,
            SafeModeLevel::Reduced { .. } => class.expendable,
            SafeModeLevel::WritesOnly => true,
        };
        if is_off {
            return Some(words::safe_mode(name, level, at));
        }
        let keys = breaker_keys(name, &ask.fingerprint);
        if let Standing::Open { until, cause, probing } = self.breakers.standing(&keys, scan_of(ask), ask.number, at) {
            return Some(words::breaker_open(&ask.fingerprint, cause, until, probing, at));
        }
        let rows_max = self.caps_of(class, self.caps_share(at)).read_rows?;
        let rows = ask.estimated_rows.filter(|rows| !ask.limit_trap && *rows > rows_max)?;
        Some(words::too_many_rows(name, rows, rows_max))
    }

    /// The refusal of a query whose wait ran out.
    pub(super) fn waited_in_vain(&self, class: &str, waiting: &Waiting) -> Refusal {
        let waited_ms = waiting.deadline.since(waiting.since);
        let policy = self.class(class);
        if let Some(policy) = policy.filter(|_| waiting.for_memory) {
            let caps = self.caps_of(policy, self.caps_share(self.now));
            return words::memory_expected(&self.expected(class, &waiting.ask, &caps), &self.room(), waited_ms);
        }
        let running = self.queues.get(class).map_or(0, super::fair_queue::FairQueue::running_count);
        let slots = policy.map_or(0, |policy| self.class_slots(policy, self.now));
        words::wait_too_long(class, waited_ms, running, slots)
    }

    /// Share of the caps that is left.
    pub(super) fn caps_share(&self, at: Timestamp) -> f64 {
        match self.safe_mode.level(at) {
            SafeModeLevel::Off => 1.0,
            SafeModeLevel::Reduced { .. } | SafeModeLevel::WritesOnly => self.policy.safe_mode.caps_share,
        }
    }

    pub(super) fn caps_of(&self, class: &ClassPolicy, share: f64) -> Caps {
        Caps::of(class, self.memory.limit_bytes, self.cores, share)
    }
}
