//! Every component's measured state and history, with what people and announced work lay over them.
//!
//! An overlay says, for the number of a component and a moment, which state is said instead of the measured one. It is asked
//! at the first moment of each window, in order, and for time without windows minute by minute. What is measured goes on
//! beneath it.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::history::History;
use super::level::Tally;
use super::machine::{Machine, MeasuredChange};
use super::{
    Authority, ComponentChange, ComponentCounts, ComponentState, ComponentView, Freshness, StateSpan, StatusWindow,
};
use crate::config::{ComponentConfig, StatusConfig};
use crate::model::{DurationMs, Timestamp};

/// What is said instead of what is measured: of the component with that number, at that moment.
pub type Overlay<'a> = dyn Fn(usize, Timestamp) -> Option<ComponentState> + 'a;

/// How finely time without windows is asked about, and how often at most.
const OVERLAY_STEP_MS: DurationMs = 60_000;
const OVERLAY_STEPS_MAX: DurationMs = 1_440;
/// Pieces of undecided time that an overlay makes, at most: further ones join the one after.
const PIECES_MAX: usize = 1_000;
/// Components that the configuration does not have any more and that are remembered; those that left first go.
const OTHERS_MAX: usize = 100;

/// All components.
#[derive(Debug, Clone)]
pub struct Measured {
    config: StatusConfig,
    components: Vec<ComponentConfig>,
    zone: TimeZone,
    state: MeasuredState,
}

/// What is to be remembered across restarts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MeasuredState {
    /// End of the newest window taken in.
    as_of: Option<Timestamp>,
    components: Vec<Component>,
    /// Those that the configuration does not have any more, in the order in which they left.
    #[serde(default)]
    others: Vec<Component>,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Component {
    id: String,
    /// Start of its first window.
    created_at: Option<Timestamp>,
    machine: Machine,
    history: History,
    /// What was laid over time that is not decided: (until, what), in order, from where the machine has decided.
    pieces: VecDeque<(Timestamp, Option<ComponentState>)>,
    /// What was laid over the newest window.
    overlay: Option<ComponentState>,
    /// What the public is told.
    told: ComponentState,
    told_since: Option<Timestamp>,
}

impl Component {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            created_at: None,
            machine: Machine::default(),
            history: History::default(),
            pieces: VecDeque::new(),
            overlay: None,
            told: ComponentState::Unknown,
            told_since: None,
        }
    }

    /// Something lies over the time up to `until`.
    fn lay(&mut self, until: Timestamp, overlay: Option<ComponentState>) {
        match self.pieces.back_mut() {
            Some(last) if last.1 == overlay => last.0 = until,
            _ => self.pieces.push_back((until, overlay)),
        }
        if self.pieces.len() > PIECES_MAX {
            self.pieces.pop_front();
        }
    }

    /// It is in the configuration again: while it was not, nobody knows how it was, and nothing was said over it.
    fn come_back(&mut self, zone: &TimeZone, now: Timestamp) {
        self.lay(now, None);
        let judged = self.machine.miss(now);
        judged.decided.into_iter().for_each(|span| self.remember(zone, span));
        let since = judged.changes.last().map(|change| change.since);
        (self.told, self.told_since, self.overlay) = (ComponentState::Unknown, since.or(self.told_since), None);
    }

    /// A decided span, as the public is told it.
    fn remember(&mut self, zone: &TimeZone, span: StateSpan) {
        let mut from = span.from;
        while from < span.until {
            let (until, overlay) = self.pieces.front().copied().unwrap_or((span.until, None));
            let end = until.min(span.until);
            if end > from {
                let state = overlay.unwrap_or(span.state);
                self.history.add_span(zone, StateSpan { state, from, until: end });
                from = end;
            }
            if until <= from {
                self.pieces.pop_front();
            }
        }
    }

    /// What of this the public is told, given what lies over the window.
    fn tell(
        &mut self,
        changes: &[MeasuredChange],
        overlay: Option<ComponentState>,
        tally: &Tally,
    ) -> Vec<ComponentChange> {
        let was_bare = self.overlay.is_none() && overlay.is_none();
        self.overlay = overlay;
        let state = overlay.unwrap_or(self.machine.state());
        let laid = MeasuredChange { before: self.told, after: state, since: tally.start, figures: tally.figures };
        let changes = if was_bare { changes } else { &[laid][..] };
        let mut told = Vec::new();
        for change in changes.iter().filter(|change| change.before != change.after) {
            let since = self.told_since.map_or(change.since, |told| told.max(change.since));
            (self.told, self.told_since) = (change.after, Some(since));
            told.push(ComponentChange {
                component: self.id.clone(),
                before: change.before,
                after: change.after,
                since,
                at: tally.end,
                figures: change.figures,
            });
        }
        told
    }

    /// What is undecided up to `until`, as it is told so far.
    fn undecided(&self, until: Timestamp) -> Vec<StateSpan> {
        let mut from = self.machine.decided_until().unwrap_or(until);
        let mut spans = Vec::new();
        let pieces = self.pieces.iter().copied().chain([(until, None)]);
        for (end, overlay) in pieces.filter(|(end, _)| *end <= until) {
            if end > from {
                spans.push(StateSpan { state: overlay.unwrap_or(self.machine.state()), from, until: end });
                from = end;
            }
        }
        spans
    }
}

impl Measured {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(config: &StatusConfig) -> Self {
        Self::restore(config, MeasuredState::default())
    }

    /// Goes on from what was remembered. Components that the configuration no longer has are kept for when it has them again:
    /// a slip in a file does not cost ninety days.
    #[must_use]
    pub fn restore(config: &StatusConfig, mut state: MeasuredState) -> Self {
        let components = config.components_in_force();
        // The configuration was checked; a zone that is gone from a new version is UTC.
        let zone = TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC);
        let (mut others, mut known) = (std::mem::take(&mut state.others), std::mem::take(&mut state.components));
        let as_of = state.as_of;
        let take = |all: &mut Vec<Component>, id: &str| {
            let place = all.iter().position(|known| known.id == id);
            place.map(|place| all.remove(place))
        };
        let component = |component: &ComponentConfig| {
            let back = || {
                let mut component = take(&mut others, &component.id)?;
                as_of.into_iter().for_each(|as_of| component.come_back(&zone, as_of));
                Some(component)
            };
            take(&mut known, &component.id).or_else(back).unwrap_or_else(|| Component::new(&component.id))
        };
        state.components = components.iter().map(component).collect();
        others.append(&mut known);
        others.drain(..others.len().saturating_sub(OTHERS_MAX));
        state.others = others;
        Self { config: config.clone(), components, zone, state }
    }

    /// What is to be remembered.
    #[must_use]
    pub fn state(&self) -> &MeasuredState {
        &self.state
    }

    /// End of the newest window taken in.
    #[must_use]
    pub fn data_as_of(&self) -> Option<Timestamp> {
        self.state.as_of
    }

    /// How old what is measured is.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let Some(as_of) = self.state.as_of else { return Freshness::Unknown };
        let age_ms = now.since(as_of);
        if age_ms > self.config.unknown_after.as_millis() {
            Freshness::Unknown
        } else if age_ms > self.config.stale_after.as_millis() {
            Freshness::Stale
        } else {
            Freshness::Current
        }
    }

    /// Takes in a window and tells what changed. A window that was taken in before changes nothing.
    pub fn apply(&mut self, window: &StatusWindow, overlay: &Overlay<'_>) -> Vec<ComponentChange> {
        let as_of = self.state.as_of;
        if as_of.is_some_and(|as_of| window.end <= as_of) {
            return Vec::new();
        }
        // Windows of another length may begin before the last one ended.
        let start = as_of.map_or(window.start, |as_of| as_of.max(window.start));
        let unknown_after_ms = self.config.unknown_after.as_millis();
        let (mut told, none) = (Vec::new(), ComponentCounts::default());
        let components = self.state.components.iter_mut().zip(&self.components).enumerate();
        for (number, (component, config)) in components {
            component.created_at.get_or_insert(start);
            for (until, laid) in as_of.map(|from| pieces(overlay, number, from, start)).unwrap_or_default() {
                component.lay(until, laid);
            }
            let laid = overlay(number, start);
            component.lay(window.end, laid);
            let counts = window.components.get(number).unwrap_or(&none);
            let tally = Tally { start, end: window.end, figures: counts.figures };
            let judged = component.machine.push(config, unknown_after_ms, &tally);
            judged.decided.into_iter().for_each(|span| component.remember(&self.zone, span));
            component.history.add_counts(&self.zone, start, counts);
            told.extend(component.tell(&judged.changes, laid, &tally));
        }
        self.state.as_of = Some(window.end);
        told
    }

    /// The last spans of states of a component, the oldest first: what is decided.
    pub fn spans(&self, component: usize) -> impl DoubleEndedIterator<Item = &StateSpan> {
        self.state.components.get(component).into_iter().flat_map(|component| component.history.spans())
    }

    /// The components as they are shown at `now`. Of a person's word that lies over one, only the state is known here:
    /// whoever knows the word sets the authority, and since when.
    #[must_use]
    pub fn views(&self, now: Timestamp, freshness: Freshness, overlay: &Overlay<'_>) -> Vec<ComponentView> {
        let view = |number: usize| self.view(number, now, freshness, overlay(number, now), overlay);
        (0..self.components.len()).map(view).collect()
    }

    fn view(
        &self,
        number: usize,
        now: Timestamp,
        freshness: Freshness,
        laid: Option<ComponentState>,
        overlay: &Overlay<'_>,
    ) -> ComponentView {
        let (component, config) = (&self.state.components[number], &self.components[number]);
        let as_of = self.state.as_of;
        let is_unknown = freshness == Freshness::Unknown;
        let measured = if is_unknown { ComponentState::Unknown } else { component.machine.state() };
        let state = laid.unwrap_or(measured);
        let since = match laid {
            None if is_unknown && component.told != ComponentState::Unknown => as_of,
            _ => component.told_since.filter(|_| component.told == state && component.overlay == laid),
        };
        let mut tail = as_of.map(|as_of| component.undecided(as_of)).unwrap_or_default();
        for (until, laid) in as_of.map(|as_of| pieces(overlay, number, as_of, now)).unwrap_or_default() {
            let from = tail.last().map_or(as_of.unwrap_or(until), |last| last.until);
            tail.push(StateSpan { state: laid.unwrap_or(measured), from, until });
        }
        ComponentView {
            id: config.id.clone(),
            name: config.name.clone(),
            description: config.description.clone(),
            group: config.group.clone(),
            state,
            since,
            authority: match laid {
                Some(ComponentState::UnderMaintenance) => Authority::Maintenance,
                _ => Authority::Measured,
            },
            created_at: component.created_at.unwrap_or(now),
            updated_at: since.or(component.told_since).unwrap_or(now),
            objective: config.availability,
            days: component.history.days(&self.zone, now, &tail),
            latency: component.history.latency(now),
        }
    }
}

/// What lies over the time from `from` to `until`, in pieces (until, what).
fn pieces(
    overlay: &Overlay<'_>,
    number: usize,
    from: Timestamp,
    until: Timestamp,
) -> Vec<(Timestamp, Option<ComponentState>)> {
    if from >= until {
        return Vec::new();
    }
    let step_ms = OVERLAY_STEP_MS.max(until.since(from) / OVERLAY_STEPS_MAX);
    let (mut pieces, mut at, mut laid) = (Vec::new(), from, overlay(number, from));
    while at < until {
        let mut next = at.plus(step_ms).min(until);
        let then = overlay(number, next);
        if next < until && then != laid {
            // It changed in between: where, to the millisecond.
            let mut before = at;
            while next.since(before) > 1 {
                let middle = before.plus(next.since(before) / 2);
                if overlay(number, middle) == laid { before = middle } else { next = middle }
            }
            pieces.push((next, laid));
            laid = overlay(number, next);
        }
        at = next;
    }
    pieces.push((until, laid));
    pieces
}
