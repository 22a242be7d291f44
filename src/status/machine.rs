//! How a component is, as its requests show it, window by window. Pure; a change is believed only when it lasts, and is then
//! dated back to where it began.
//!
//! A window is judged together with those before it: over [`SPAN_MS`] at least, and over so many more that `requests_min`
//! are in it, up to [`LOOKBACK_MS`]. Harm needs [`BAD_MIN`] bad requests: one alone is no state. Where requests are too few
//! to judge for `silent_after`, nobody knows, unless it was operational and they are answered. Worse is what has been so since a window of its own, and on the whole since
//! then, for `worse_after`; better is what was not that bad for `better_after`. The time in between is held back until it is
//! decided whose it is.

use serde::{Deserialize, Serialize};

use super::level::{LEVELS, Level, Span, Tally, reaches_by, state_of, threshold};
use super::{ComponentState, Figures, StateSpan};
use crate::config::ComponentConfig;
use crate::model::{DurationMs, Timestamp};

/// Least time that is judged at once: a window alone is noise.
pub const SPAN_MS: DurationMs = 15_000;
/// Most: requests that are older say nothing of now, however few there are.
pub const LOOKBACK_MS: DurationMs = 1_800_000;
/// Requests that fail, or are slow, before that is a state; fewer where `requests_min` is.
pub const BAD_MIN: u64 = 3;
/// States that begin this close to each other are told as one change.
const MERGED_MS: DurationMs = SPAN_MS;

/// A measured state that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredChange {
    /// Before.
    pub before: ComponentState,
    /// After.
    pub after: ComponentState,
    /// When it began, or what led to it did, where that was too short to be told.
    pub since: Timestamp,
    /// What was measured from then on.
    pub figures: Figures,
}

/// What a window made certain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// Changes, in order.
    pub changes: Vec<MeasuredChange>,
    /// Time whose state is now known, without gaps, in order.
    pub decided: Vec<StateSpan>,
}

/// The measured state of one component, and what it takes to judge the next window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    state: ComponentState,
    /// Up to here everything is decided.
    decided_until: Option<Timestamp>,
    /// End of the newest window.
    seen_until: Option<Timestamp>,
    /// End of the newest window that was judged.
    judged_until: Option<Timestamp>,
    span: Span,
    levels: [Level; LEVELS],
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: ComponentState::Unknown,
            decided_until: None,
            seen_until: None,
            judged_until: None,
            span: Span::default(),
            levels: Default::default(),
        }
    }
}

/// Bad requests that make a state.
fn bad_min(config: &ComponentConfig) -> u64 {
    BAD_MIN.min(config.requests_min)
}

impl Machine {
    /// The state that is decided.
    #[must_use]
    pub fn state(&self) -> ComponentState {
        self.state
    }

    /// Up to here everything is decided; what is later belongs to [`Self::state`] so far.
    #[must_use]
    pub fn decided_until(&self) -> Option<Timestamp> {
        self.decided_until
    }

    /// Takes in the next window. Windows come in order and do not overlap.
    pub fn push(&mut self, config: &ComponentConfig, unknown_after_ms: DurationMs, tally: &Tally) -> Judged {
        let mut judged = Judged::default();
        self.decided_until.get_or_insert(tally.start);
        if let Some(seen_until) = self.seen_until.filter(|seen| tally.start.since(*seen) > unknown_after_ms) {
            self.forget(seen_until, tally.start, tally.figures, &mut judged);
        }
        let is_empty = tally.figures.requests == 0;
        self.seen_until = Some(tally.end);
        self.span.prune(tally.end, config.requests_min);
        let can_judge = !is_empty && self.span.total().requests + tally.figures.requests >= config.requests_min.max(1);
        let goes_on = can_judge || (!is_empty && self.is_well_with(config, &tally.figures));
        let idle_until = if goes_on { tally.start } else { tally.end };
        let silent_ms = config.silent_after.as_millis();
        if let Some(since) = self.judged_until.filter(|since| idle_until.since(*since) >= silent_ms) {
            self.forget(since, idle_until, tally.figures, &mut judged);
        }
        if !is_empty {
            self.span.push(*tally, config.requests_min);
            self.judge(config, tally, &mut judged);
        }
        self.settle(self.held_from(config, tally.end), self.state, &mut judged);
        judged
    }

    /// Nobody looked from the newest window to `until`.
    pub fn miss(&mut self, until: Timestamp) -> Judged {
        let mut judged = Judged::default();
        if let Some(seen_until) = self.seen_until.filter(|seen| *seen < until) {
            self.forget(seen_until, until, Figures::default(), &mut judged);
            self.seen_until = Some(until);
        }
        judged
    }

    /// Nothing is known from `from` to `until`; what was undecided before is as it was.
    fn forget(&mut self, from: Timestamp, until: Timestamp, figures: Figures, judged: &mut Judged) {
        self.settle(from, self.state, judged);
        if self.state != ComponentState::Unknown {
            self.change(ComponentState::Unknown, from, figures, judged);
        }
        self.settle(until, ComponentState::Unknown, judged);
        self.span = Span::default();
        self.levels = Default::default();
        self.judged_until = None;
    }

    fn judge(&mut self, config: &ComponentConfig, tally: &Tally, judged: &mut Judged) {
        let is_judged = self.span.total().requests >= config.requests_min.max(1);
        let rank = self.rank();
        for (number, level) in self.levels.iter_mut().enumerate() {
            let threshold = threshold(config, number);
            let is_bad = is_judged.then(|| reaches_by(bad_min(config), threshold, &self.span.total()));
            level.take(is_bad, tally, &self.span, threshold);
            if number >= rank {
                let patience_ms = config.worse_after.as_millis();
                level.watch(is_bad, tally, &self.span, threshold, patience_ms);
            } else {
                level.rise = None;
            }
        }
        if is_judged || self.is_well_with(config, &Figures::default()) {
            self.judged_until = Some(tally.end);
        }
        if !is_judged {
            return;
        }
        if self.state == ComponentState::Unknown && self.levels[0].is_good {
            let since = self.span.start().unwrap_or(tally.start);
            self.change(ComponentState::Operational, since, self.span.total(), judged);
        }
        self.worsen(config, tally.end, judged);
        while self.improve(config, judged) {}
    }

    /// Whether requests too few to judge by leave it operational: they are answered, those looked back on and `further` ones.
    fn is_well_with(&self, config: &ComponentConfig, further: &Figures) -> bool {
        let total = self.span.total();
        let (failures, slow) = (total.failures + further.failures, total.slow + further.slow);
        self.state == ComponentState::Operational && failures.max(slow) < bad_min(config)
    }

    /// How many levels of harm the state has reached.
    fn rank(&self) -> usize {
        (0..LEVELS).filter(|number| self.state >= state_of(*number)).count()
    }

    fn worsen(&mut self, config: &ComponentConfig, end: Timestamp, judged: &mut Judged) {
        let rank = self.rank();
        let lasts = |level: &Level| {
            let rise = level.rise.as_ref()?;
            let is_long = end.since(rise.since) >= config.worse_after.as_millis();
            let is_proven = !level.is_good && is_long && rise.figures.requests >= config.requests_min;
            let is_proven = is_proven && rise.figures.failures.max(rise.figures.slow) >= bad_min(config);
            is_proven.then_some((rise.since, rise.figures))
        };
        let worst = (rank..LEVELS).rev().find_map(|number| Some((number, lasts(&self.levels[number])?)));
        let Some((number, (since, figures))) = worst else { return };
        // Worse still is about to be certain: that is then said at once.
        let comes_with = |level: &Level| {
            let rise = level.rise.as_ref().filter(|_| !level.is_good);
            rise.is_some_and(|rise| rise.since.since(since) <= MERGED_MS)
        };
        if self.levels[number + 1..].iter().any(comes_with) {
            return;
        }
        // On its way there it was less bad. That is remembered so, and told as the beginning of this.
        let (mut state, mut began) = (self.state, None);
        let floor = self.decided_until.unwrap_or(since);
        for lower in rank..number {
            let rise = self.levels[lower].rise.as_ref().map(|rise| (rise.since, rise.figures));
            if let Some((from, figures)) = rise.filter(|(from, _)| *from < since) {
                self.settle(from, state, judged);
                state = state_of(lower);
                began.get_or_insert((from, figures));
            }
        }
        self.settle(since, state, judged);
        let (since, figures) = began.unwrap_or((since, figures));
        self.tell(state_of(number), since.max(floor), figures, judged);
        self.levels[..=number].iter_mut().for_each(|level| level.rise = None);
    }

    /// Goes a step better where that has lasted; whether it did.
    fn improve(&mut self, config: &ComponentConfig, judged: &mut Judged) -> bool {
        let better_ms = config.better_after.as_millis();
        let Some(worst) = self.rank().checked_sub(1) else { return false };
        let is_over = |level: &Level| level.is_good && level.good_ms >= better_ms;
        if !is_over(&self.levels[worst]) {
            return false;
        }
        let ended = |number: usize| self.levels[number].bad_until;
        // What would not be said on the way there is not said on the way back.
        let said_ms = config.worse_after.as_millis().max(MERGED_MS + 1);
        let mut left = worst;
        while let Some(lower) = left.checked_sub(1) {
            let lasted_ms = ended(lower).zip(ended(left)).map_or(0, |(lower, left)| lower.since(left));
            if !self.levels[lower].is_good || lasted_ms >= said_ms {
                break;
            }
            if !is_over(&self.levels[lower]) {
                return false;
            }
            left = lower;
        }
        for number in (left..=worst).rev() {
            if let Some(until) = self.levels[number].bad_until {
                self.settle(until, state_of(number), judged);
            }
        }
        let after = left.checked_sub(1).map_or(ComponentState::Operational, state_of);
        let since = self.levels[left].bad_until.or(self.decided_until).unwrap_or_default();
        self.change(after, since, self.levels[left].after_bad, judged);
        true
    }

    fn change(&mut self, after: ComponentState, since: Timestamp, figures: Figures, judged: &mut Judged) {
        let since = since.max(self.decided_until.unwrap_or(since));
        self.settle(since, self.state, judged);
        self.tell(after, since, figures, judged);
    }

    fn tell(&mut self, after: ComponentState, since: Timestamp, figures: Figures, judged: &mut Judged) {
        judged.changes.push(MeasuredChange { before: self.state, after, since, figures });
        self.state = after;
    }

    /// Time up to `until` that is undecided was of `state`.
    fn settle(&mut self, until: Timestamp, state: ComponentState, judged: &mut Judged) {
        let Some(from) = self.decided_until.filter(|from| *from < until) else { return };
        self.decided_until = Some(until);
        match judged.decided.last_mut() {
            Some(last) if last.state == state => last.until = until,
            _ => judged.decided.push(StateSpan { state, from, until }),
        }
    }

    /// What later windows may yet date back to.
    fn held_from(&self, config: &ComponentConfig, end: Timestamp) -> Timestamp {
        let rank = self.rank();
        let mut held = end;
        for number in rank..LEVELS {
            let bad = self.span.first_bad(threshold(config, number)).map(|tally| tally.start);
            let rise = self.levels[number].rise.as_ref().map(|rise| rise.since);
            held = [bad, rise].into_iter().flatten().fold(held, Ord::min);
        }
        if let Some(worst) = rank.checked_sub(1) {
            held = self.levels[worst].bad_until.map_or(held, |until| until.min(held));
        }
        match self.state {
            ComponentState::Unknown => self.span.start().map_or(held, |start| start.min(held)),
            _ => self.judged_until.map_or(held, |until| until.min(held)),
        }
    }
}
