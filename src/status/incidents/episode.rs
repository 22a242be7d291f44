//! A time in which components are harmed at once, as it is measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::{ComponentSettings, Settings};
use crate::model::{DurationMs, Timestamp};
use crate::status::{ComponentChange, ComponentState, Figures};

/// All well for this long of measured time: it is over.
pub const OVER_AFTER_MS: DurationMs = 600_000;

/// The states that harm, the least bad first.
const HARMS: [ComponentState; 3] =
    [ComponentState::DegradedPerformance, ComponentState::PartialOutage, ComponentState::MajorOutage];

/// A component in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// How it is.
    pub(super) state: ComponentState,
    /// How it was at its worst.
    pub(super) worst: ComponentState,
    /// Since when it was harmed.
    pub(super) since: Timestamp,
    /// When that ended, where it has.
    pub(super) until: Option<Timestamp>,
    /// Since when nothing was measured after it, where that was before it was over.
    #[serde(default)]
    pub(super) lost_from: Option<Timestamp>,
    /// What was measured from `since` to where it ended, or so far.
    pub(super) figures: Figures,
    /// What was measured since it ended: it counts if it comes back.
    #[serde(default)]
    after: Figures,
    /// Since when it is at least as bad as each of [`HARMS`].
    reached: [Option<Timestamp>; 3],
    /// Whether the machine may speak, by the component's policy.
    is_for_machine: bool,
}

/// Where an episode stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Something is harmed.
    Harm,
    /// Nothing is known to be harmed, and not all is known to be well.
    Unclear,
    /// All is well, not for long.
    Watched,
    /// All has been well for long.
    Over,
}

/// The components that were harmed at once. At most those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Episode {
    pub(super) parts: BTreeMap<String, Part>,
    /// No change belongs to it any more.
    pub(super) is_closed: bool,
}

/// Takes counts away, as far as they are there: a change may be dated to before what was counted.
fn take_away(figures: &mut Figures, other: &Figures) {
    figures.requests = figures.requests.saturating_sub(other.requests);
    figures.failures = figures.failures.saturating_sub(other.failures);
    figures.slow = figures.slow.saturating_sub(other.slow);
}

impl Part {
    fn new(change: &ComponentChange) -> Self {
        Self {
            state: change.after,
            worst: change.after,
            since: change.since,
            until: None,
            lost_from: None,
            figures: Figures::default(),
            after: change.figures,
            reached: [None; 3],
            is_for_machine: false,
        }
    }

    fn apply(&mut self, change: &ComponentChange) {
        // Counts up to now hold what was measured since the change began.
        match (self.state.is_harm(), change.after.is_harm()) {
            (true, false) => {
                take_away(&mut self.figures, &change.figures);
                self.after = change.figures;
            }
            (_, true) => self.figures.add(&std::mem::take(&mut self.after)),
            (false, false) => {}
        }
        self.state = change.after;
        for (harm, reached) in HARMS.into_iter().zip(&mut self.reached) {
            let is_reached = change.after.is_harm() && change.after >= harm;
            *reached = if is_reached { reached.or(Some(change.since)) } else { None };
        }
        match change.after {
            after if after.is_harm() => {
                (self.until, self.lost_from) = (None, None);
                self.since = self.since.min(change.since);
                self.worst = after.max(self.worst);
            }
            // Work that was announced ends what was measured, and what comes after it is not this.
            ComponentState::Operational | ComponentState::UnderMaintenance => {
                self.until = self.until.or(Some(change.since.max(self.since)));
            }
            // Nobody knows.
            _ if self.until.is_none() => self.lost_from = self.lost_from.or(Some(change.since)),
            _ => {}
        }
    }

    /// Looks whether the component's policy lets the machine speak.
    fn allow_machine(&mut self, component: &ComponentSettings, measured_until: Timestamp) {
        let Some(place) = HARMS.into_iter().position(|harm| Some(harm) == component.publishes_from) else { return };
        let lasts = self.reached[place].is_some_and(|at| measured_until.since(at) >= component.publishes_after_ms);
        self.is_for_machine |= lasts;
    }
}

impl Episode {
    /// Takes a change of a component.
    pub(super) fn apply(&mut self, change: &ComponentChange) {
        match self.parts.get_mut(&change.component) {
            Some(part) => part.apply(change),
            None if change.after.is_harm() => {
                let mut part = Part::new(change);
                part.apply(change);
                self.parts.insert(change.component.clone(), part);
            }
            None => {}
        }
    }

    /// Takes requests of a component.
    pub(super) fn count(&mut self, component: &str, figures: &Figures) {
        if let Some(part) = self.parts.get_mut(component) {
            if part.state.is_harm() { part.figures.add(figures) } else { part.after.add(figures) }
        }
    }

    /// Parts away, where the machine may speak of others, components of which only people do; absent where none is.
    pub(super) fn split_off_for_people(&mut self, settings: &Settings) -> Option<Self> {
        let is_for_people =
            |id: &String| settings.component(id).is_none_or(|component| component.publishes_from.is_none());
        let rest: BTreeMap<_, _> = self.parts.iter().filter(|(id, _)| is_for_people(id)).collect();
        if rest.is_empty() || rest.len() == self.parts.len() {
            return None;
        }
        let rest =
            Self { parts: rest.into_iter().map(|(id, part)| (id.clone(), part.clone())).collect(), is_closed: false };
        self.parts.retain(|id, _| !is_for_people(id));
        Some(rest)
    }

    /// Whether it was over before all of it was measured to be: nothing was measured for a while.
    pub(super) fn is_partly_unknown(&self) -> bool {
        self.parts.values().any(|part| part.lost_from.is_some())
    }

    /// Looks which components let the machine speak.
    pub(super) fn allow_machine(&mut self, settings: &Settings, measured_until: Timestamp) {
        for (id, part) in &mut self.parts {
            if let Some(component) = settings.component(id) {
                part.allow_machine(component, measured_until);
            }
        }
    }

    /// Whether the machine may speak.
    pub(super) fn is_for_machine(&self) -> bool {
        self.parts.values().any(|part| part.is_for_machine)
    }

    /// When the first of it was felt.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        self.parts.values().map(|part| part.since).min()
    }

    /// How bad it was at its worst.
    pub(super) fn worst(&self) -> ComponentState {
        self.parts.values().map(|part| part.worst).max().unwrap_or(ComponentState::Operational)
    }

    /// Since when all is well.
    pub(super) fn recovered_at(&self) -> Option<Timestamp> {
        let is_well = self.parts.values().all(|part| part.state == ComponentState::Operational);
        self.parts.values().filter_map(|part| part.until).max().filter(|_| is_well)
    }

    /// Where it stands, as far as is measured.
    pub(super) fn phase(&self, measured_until: Timestamp) -> Phase {
        match self.recovered_at() {
            Some(at) if self.is_closed || measured_until.since(at) >= OVER_AFTER_MS => Phase::Over,
            Some(_) => Phase::Watched,
            None if self.parts.values().any(|part| part.state.is_harm()) => Phase::Harm,
            None => Phase::Unclear,
        }
    }

    /// Its components in the order of the configuration.
    pub(super) fn in_order<'a>(
        &'a self,
        settings: &'a Settings,
    ) -> impl Iterator<Item = (&'a ComponentSettings, &'a Part)> {
        let components = settings.components.iter();
        components.filter_map(|component| Some((component, self.parts.get(&component.id)?)))
    }
}
