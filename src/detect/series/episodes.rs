//! One alert an episode: what was just said is not said again, and what happens again and again surprises less.

use std::collections::VecDeque;

/// Past episodes that are remembered.
const EPISODES_MAX: usize = 64;
/// Evidence that makes an episode worth remembering.
const EVIDENCE_MIN: f64 = 2.0;
/// Values without evidence that end an episode.
const CALM_VALUES: u64 = 12;
/// An episode is like one before if it is no stronger than this times the other.
const LIKENESS: f64 = 0.8;
/// After so many values a past episode counts half.
const FORGETTING_VALUES: f64 = 2_000.0;
/// Evidence that is taken off for each e-fold of what is alike.
const HABIT: f64 = 1.5;
/// After an alert nothing is said for so many values: the statistics still look at the same ones.
const SILENT_VALUES: u64 = 12;
/// Then it is repeated when it is this many times as strong as its strongest, halving every so many values.
const WORSE: f64 = 1.2;
const LOCK_VALUES: f64 = 60.0;
/// What is left of the evidence while an alert is fresh, and of an alert at most.
const REPEATED: f64 = 0.5;

#[derive(Debug, Clone, Copy)]
struct Episode {
    last: u64,
    strength: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Episodes {
    now: u64,
    past: VecDeque<Episode>,
    alert: Option<Episode>,
}

impl Episodes {
    /// What of the evidence is news; `enough` is an alert.
    pub(super) fn step(&mut self, evidence: f64, enough: f64) -> f64 {
        self.now += 1;
        let mut news = (evidence - HABIT * libm::log(1.0 + self.alike(evidence))).max(0.0);
        self.remember(evidence);
        if let Some(alert) = &mut self.alert {
            let age = self.now - alert.last;
            let needed = if age <= SILENT_VALUES {
                alert.strength = alert.strength.max(evidence);
                f64::INFINITY
            } else {
                alert.strength * WORSE * libm::exp2(-((age - SILENT_VALUES) as f64 / LOCK_VALUES))
            };
            if news < needed {
                news = (REPEATED * news).min(REPEATED * enough);
            }
        }
        if news >= enough {
            self.alert = Some(Episode { last: self.now, strength: evidence });
        }
        news
    }

    fn age(&self, episode: &Episode) -> f64 {
        (self.now - episode.last) as f64
    }

    /// How many past episodes were as strong, older ones counting less.
    fn alike(&self, evidence: f64) -> f64 {
        let over = |episode: &&Episode| self.now - episode.last > CALM_VALUES;
        let alike = self.past.iter().filter(over).filter(|episode| episode.strength >= LIKENESS * evidence);
        alike.map(|episode| libm::exp2(-(self.age(episode) / FORGETTING_VALUES))).sum()
    }

    fn remember(&mut self, evidence: f64) {
        if evidence <= EVIDENCE_MIN {
            return;
        }
        if let Some(open) = self.past.back_mut().filter(|open| self.now - open.last <= CALM_VALUES) {
            *open = Episode { last: self.now, strength: open.strength.max(evidence) };
            return;
        }
        self.past.push_back(Episode { last: self.now, strength: evidence });
        if self.past.len() > EPISODES_MAX {
            self.past.pop_front();
        }
    }
}
