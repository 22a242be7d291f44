//! Safe mode: after an unclean restart little is let in for a while; after a second one only writes, until an operator
//! says that it may go on. ClickHouse itself remembers nothing of what killed it, and clients send it again.

use serde::{Deserialize, Serialize};

use crate::guard::policy::SafeModePolicy;
use crate::model::Timestamp;

/// How much is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SafeModeLevel {
    /// Everything that the policy allows.
    #[default]
    Off,
    /// A share of slots and caps; no expendable class.
    Reduced {
        /// Until when.
        until: Timestamp,
    },
    /// Only writes, until an operator ends it.
    WritesOnly,
}

/// Its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct SafeMode {
    level: SafeModeLevel,
    unclean_restart_at: Option<Timestamp>,
}

impl SafeMode {
    pub(super) fn level(&self, at: Timestamp) -> SafeModeLevel {
        match self.level {
            SafeModeLevel::Reduced { until } if at >= until => SafeModeLevel::Off,
            level => level,
        }
    }

    /// The server came back from an unclean end.
    pub(super) fn restarted_unclean(&mut self, policy: &SafeModePolicy, at: Timestamp) {
        let before = self.unclean_restart_at.replace(at);
        let again = before.is_some_and(|before| at.since(before) <= policy.second_restart_window.as_millis());
        self.restarted_somehow(policy, at);
        if again {
            self.level = SafeModeLevel::WritesOnly;
        }
    }

    /// The server came back, and nobody knows from what: careful for a while, but not half of what admits writes only.
    pub(super) fn restarted_somehow(&mut self, policy: &SafeModePolicy, at: Timestamp) {
        let until = at.plus(policy.duration.as_millis());
        self.level = match self.level {
            SafeModeLevel::WritesOnly => SafeModeLevel::WritesOnly,
            // An operator may have asked for longer.
            SafeModeLevel::Reduced { until: asked } => SafeModeLevel::Reduced { until: until.max(asked) },
            SafeModeLevel::Off => SafeModeLevel::Reduced { until },
        };
    }

    /// An operator switches it on until a time, or off; off also forgets the restart. Only off ends `WritesOnly`: who asks
    /// for safe mode does not ask for less of it.
    pub(super) fn set(&mut self, until: Option<Timestamp>) {
        match until {
            Some(_) if self.level == SafeModeLevel::WritesOnly => {}
            Some(until) => self.level = SafeModeLevel::Reduced { until },
            None => *self = Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn restarts_of_unknown_kind_never_shut_reads_out() {
        let policy = SafeModePolicy::default();
        let mut safe_mode = SafeMode::default();
        for minutes in [0, 2, 4] {
            safe_mode.restarted_somehow(&policy, at(minutes));
        }
        assert_eq!(safe_mode.level(at(4)), SafeModeLevel::Reduced { until: at(9) });
        safe_mode.restarted_unclean(&policy, at(5));
        assert_eq!(safe_mode.level(at(5)), SafeModeLevel::Reduced { until: at(10) }, "the first that is known");
    }

    #[test]
    fn one_restart_is_five_minutes_and_two_need_an_operator() {
        let policy = SafeModePolicy::default();
        let mut safe_mode = SafeMode::default();
        safe_mode.restarted_unclean(&policy, at(0));
        assert_eq!(safe_mode.level(at(4)), SafeModeLevel::Reduced { until: at(5) });
        assert_eq!(safe_mode.level(at(5)), SafeModeLevel::Off);
        safe_mode.restarted_unclean(&policy, at(16));
        assert_eq!(safe_mode.level(at(16)), SafeModeLevel::Reduced { until: at(21) }, "the first is long ago");
        safe_mode.restarted_unclean(&policy, at(31));
        assert_eq!(safe_mode.level(at(10_000)), SafeModeLevel::WritesOnly);
        safe_mode.set(Some(at(10_060)));
        assert_eq!(safe_mode.level(at(10_000)), SafeModeLevel::WritesOnly, "on is not less");
        safe_mode.set(None);
        assert_eq!(safe_mode.level(at(10_000)), SafeModeLevel::Off);
        safe_mode.restarted_unclean(&policy, at(10_001));
        assert_eq!(safe_mode.level(at(10_001)), SafeModeLevel::Reduced { until: at(10_006) }, "the operator forgave");
    }
}
