//! The watchdog: acts on what runs before the server's memory limit does. Pure but for `audit`; `watch` is its shell.
//!
//! `decide` says who must go; [`Watchdog`] remembers whom it told, so that nobody is killed twice, and whether they went.
//! A killed query takes up to seconds to end: until then its memory counts as free, else its neighbours would be next.

mod audit;
mod decide;

pub use audit::{Audit, AuditLine};
pub use decide::{Decision, KILLS_PER_LOOK_MAX, Kill, KillReason, Known, Rules, Warning, decide};

use std::collections::{BTreeMap, BTreeSet};

use crate::guard::black_box::{History, Look, QueryInFlight, RunSeen, SAME_RUN_MS};
use crate::guard::policy::GuardPolicy;
use crate::model::{DurationMs, Text, Timestamp};

/// How often a KILL that failed is sent again for one query.
const TRIES_MAX: u32 = 3;
/// A run that is not marked as told to stop, and began this long after the one that was told, is another one.
const UNMARKED_RUN_MS: DurationMs = 100;
/// A warning is over once memory is this share of S below where it began.
const WARNING_HYSTERESIS_SHARE: f64 = 0.05;

/// What is to be done, or to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Kill it.
    Kill(Box<Kill>),
    /// Shadow mode: it would have been killed.
    WouldKill(Box<Kill>),
    /// It has ended, so many milliseconds after it was killed.
    Ended(Box<Kill>, DurationMs),
    /// It still runs, so many milliseconds after it was killed: it does not hear.
    Deaf(Box<Kill>, DurationMs),
    /// Memory is short.
    Warn(Warning),
}

#[derive(Debug, Clone, PartialEq)]
struct Told {
    at: Timestamp,
    kill: Box<Kill>,
    tries: u32,
    /// The KILL did not reach the server.
    failed: bool,
    deaf: bool,
}

impl Told {
    /// Whether this query of a look is the run that was told, not another one that its client began under the same id.
    fn is_of(&self, query: &QueryInFlight, at: Timestamp, enforce: bool) -> bool {
        // A run that was told is marked at once; one that is not marked is most likely another.
        let is_unmarked = enforce && !self.failed && !query.cancelled;
        let tolerance_ms = if is_unmarked { UNMARKED_RUN_MS } else { SAME_RUN_MS };
        !RunSeen::of(&self.kill.query, self.at).is_other_run(RunSeen::of(query, at), tolerance_ms)
    }
}

/// Decides look by look. Bounded by what one look lists.
#[derive(Debug)]
pub struct Watchdog {
    rules: Rules,
    enforce: bool,
    end_timeout_ms: DurationMs,
    history: History,
    told: BTreeMap<Text, Told>,
    warned: Vec<Warning>,
}

impl Watchdog {
    /// A watchdog of a policy that knows what was before.
    #[must_use]
    pub fn new(policy: &GuardPolicy, history: History) -> Self {
        Self {
            rules: Rules::new(policy),
            enforce: policy.watchdog.enforce,
            end_timeout_ms: policy.watchdog.end_timeout.as_millis(),
            history,
            told: BTreeMap::new(),
            warned: Vec::new(),
        }
    }

    /// Takes in a look. `restarted`: the server started anew since the last one.
    pub fn look(&mut self, look: &Look, restarted: bool, tripped: &BTreeSet<Text>) -> Vec<Act> {
        if restarted {
            self.told.clear();
        }
        self.history.add(look, restarted);
        let mut acts = self.follow(look);
        for decision in decide(look, &self.rules, &self.known(look, tripped)) {
            match decision {
                Decision::Kill(kill) => acts.push(self.tell(kill, look.at)),
                Decision::Warn(warning) if self.warned.contains(&warning) => {}
                Decision::Warn(warning) => {
                    self.warned.push(warning);
                    acts.push(Act::Warn(warning));
                }
            }
        }
        if look.memory_limit_bytes > 0 && look.memory_share() < self.rules.warn_share - WARNING_HYSTERESIS_SHARE {
            self.warned.clear();
        }
        acts
    }

    /// The server was not told to kill this query. It is tried again while it runs, a few times.
    pub fn kill_failed(&mut self, query_id: &str) {
        if let Some(told) = self.told.get_mut(query_id) {
            told.failed = true;
        }
    }

    fn tell(&mut self, kill: Box<Kill>, at: Timestamp) -> Act {
        let id = kill.query.query_id.clone();
        let tries = self.told.get(&id).map_or(0, |told| told.tries) + 1;
        if self.enforce {
            self.history.told_to_stop(&id);
        }
        self.told.insert(id, Told { at, kill: kill.clone(), tries, failed: false, deaf: false });
        if self.enforce { Act::Kill(kill) } else { Act::WouldKill(kill) }
    }

    /// Who of those that were told has ended, and who does not hear.
    fn follow(&mut self, look: &Look) -> Vec<Act> {
        let running: BTreeMap<&Text, &QueryInFlight> =
            look.queries.iter().map(|query| (&query.query_id, query)).collect();
        let mut acts = Vec::new();
        let (enforce, end_timeout_ms) = (self.enforce, self.end_timeout_ms);
        self.told.retain(|id, told| {
            let after_ms = look.at.since(told.at);
            // The same id again is no longer the one that was told.
            let runs = running.get(id).is_some_and(|query| told.is_of(query, look.at, enforce));
            if enforce && !runs && !told.failed {
                acts.push(Act::Ended(told.kill.clone(), after_ms));
            }
            if enforce && runs && !told.deaf && !told.failed && after_ms >= end_timeout_ms {
                told.deaf = true;
                acts.push(Act::Deaf(told.kill.clone(), after_ms));
            }
            runs
        });
        acts
    }

    fn known(&self, look: &Look, tripped: &BTreeSet<Text>) -> Known {
        let mut known = Known { tripped: tripped.clone(), ..Known::default() };
        let new = look.queries.iter().filter(|query| self.history.newness(query, look.at).is_some());
        known.new = new.map(|query| query.query_id.clone()).collect();
        for (id, told) in &self.told {
            match told {
                Told { deaf: true, .. } => known.deaf.insert(id.clone()),
                Told { failed: true, tries, .. } if *tries < TRIES_MAX => false,
                Told { failed: true, .. } => known.deaf.insert(id.clone()),
                _ => known.leaving.insert(id.clone()),
            };
        }
        known
    }
}

#[cfg(test)]
mod tests;
