//! After a restart the core begins with nothing, and reads a part of the log again. Until it has come to where the pager
//! was, nothing is told: what fires is noted. Then what fires and is told already goes on, what fires and is not opens a
//! page, and what was told and does not fire is waited for.

use std::collections::BTreeMap;

use super::page_state::{AlertId, Fired};
use super::pager::{Decided, FIRING_MAX, Pager, is_told, moment_of};
use super::settings::PagerSettings;
use super::silence::Silence;
use super::state::PagerState;
use crate::model::{DurationMs, IncidentReport, Output, Page, Timestamp, TransitionEvent};

/// A log that does not come nearer to where it was for this long, by the wall clock, is another one: what fires in it is
/// told.
const CATCH_UP_MS_MAX: DurationMs = 600_000;
/// What the log has to gain on the wall clock to come nearer. One that goes on as time does is at its end.
const NEARER_MS: DurationMs = 60_000;

/// The way back to where the pager was.
#[derive(Debug)]
pub(super) struct CatchUp {
    until: Timestamp,
    /// How far event time was behind the wall clock when the log last came nearer, and when that was, by the wall clock.
    /// Absent before the first watermark: a broker that is away is waited for.
    nearest: Option<(DurationMs, Timestamp)>,
    seen: BTreeMap<AlertId, Fired>,
}

impl CatchUp {
    /// Notes how far the log has come; gives whether it is not on its way to where it was.
    fn is_another_log(&mut self, watermark: Timestamp, now: Timestamp) -> bool {
        let behind_ms = now.since(watermark);
        match self.nearest {
            Some((nearest_ms, since)) if behind_ms > nearest_ms - NEARER_MS => now.since(since) >= CATCH_UP_MS_MAX,
            _ => {
                self.nearest = Some((behind_ms, now));
                false
            }
        }
    }
}

impl Pager {
    /// Goes on from what was written down. `now` is the wall clock.
    #[must_use]
    pub fn restored(settings: PagerSettings, mut state: PagerState, now: Timestamp) -> Self {
        let silences: Vec<_> = state.silences.keys().cloned().collect();
        silences.iter().for_each(|id| state.silences.get_mut(id).into_iter().for_each(|silence| silence.compile()));
        let firing: Vec<AlertId> = state.firing.keys().copied().collect();
        for id in firing {
            if let Some(firing) = state.firing.get_mut(&id) {
                firing.is_restored = true;
                firing.awaited_until = None;
            }
        }
        let leftovers: Vec<AlertId> = state.leftovers.keys().copied().collect();
        for id in leftovers {
            if let Some(leftover) = state.leftovers.get_mut(&id) {
                leftover.is_restored = true;
            }
        }
        let open: Vec<u32> =
            state.pages.iter().filter(|(_, page)| !page.is_resolved()).map(|(number, _)| *number).collect();
        for number in open {
            if let Some(page) = state.pages.get_mut(&number) {
                page.is_restored = true;
                // Whom nobody followed nobody can wait for.
                page.not_followed = 0;
            }
        }
        let until = state.numbers.told_until;
        let mut pager = Self::with_state(settings, state);
        pager.restored_at = Some(now);
        pager.catch_up = until.map(|until| CatchUp { until: until.min(now), nearest: None, seen: BTreeMap::new() });
        pager
    }

    /// What was said before the restart, and may not have reached the receivers' own memory.
    pub fn unhanded(&self) -> impl Iterator<Item = &Page> {
        self.state.handings.values().map(|handing| &handing.page)
    }

    /// Whether a silence keeps anything from receivers: by the wall clock, and after a restart until the log has come to
    /// its end, for what was over by then would not have been told.
    pub(super) fn is_in_force(&self, silence: &Silence) -> bool {
        silence.is_active(self.now) || silence.ends_at <= self.now && self.is_held(silence)
    }

    /// Whether the log has not come to the end of a silence yet, with the time that it is given for it.
    pub(super) fn is_held(&self, silence: &Silence) -> bool {
        self.restored_at.is_some_and(|restored_at| self.now.since(restored_at) < CATCH_UP_MS_MAX)
            && self.state.numbers.told_until.is_some_and(|told_until| told_until < silence.ends_at)
    }

    /// Notes what fires up to where the pager was; gives what comes after.
    pub(super) fn catch_up<'a>(&mut self, decided: &Decided<'a>) -> &'a [Output] {
        let Decided { outputs, watermark, reports } = *decided;
        let Some(catch_up) = &mut self.catch_up else { return outputs };
        let is_later = |output: &Output| moment_of(output).is_some_and(|at| at > catch_up.until);
        let end = outputs.iter().position(is_later);
        let (before, after) = outputs.split_at(end.unwrap_or(outputs.len()));
        for output in before {
            let Output::Transition(transition) = output else { continue };
            if !is_told(transition) {
                continue;
            }
            let fired = Fired::of(transition);
            if transition.event == TransitionEvent::Resolved {
                catch_up.seen.remove(&fired.id);
            } else if catch_up.seen.len() < FIRING_MAX {
                catch_up.seen.insert(fired.id, fired);
            }
        }
        let has_come = end.is_some() || watermark.is_some_and(|watermark| watermark > catch_up.until);
        let is_another_log = watermark.is_some_and(|watermark| catch_up.is_another_log(watermark, self.now));
        if has_come || is_another_log {
            if is_another_log {
                self.state.numbers.told_until = watermark;
            }
            let at = after.iter().find_map(moment_of).or(watermark).unwrap_or(catch_up.until);
            self.end_catch_up(at, reports);
        }
        after
    }

    fn end_catch_up(&mut self, at: Timestamp, reports: &[&IncidentReport]) {
        let Some(catch_up) = self.catch_up.take() else { return };
        let mut candidates = Vec::new();
        for (_, fired) in catch_up.seen {
            if !self.continues(&fired) {
                candidates.push(fired);
            }
        }
        // As of one moment: what fired meanwhile is told together, or as one storm.
        candidates.iter_mut().for_each(|fired| fired.at = at);
        self.open(&candidates.iter().collect::<Vec<_>>(), reports);
        self.await_restored(at);
        self.settle_touched(at);
    }

    /// From here on restored alerts are waited for.
    fn await_restored(&mut self, at: Timestamp) {
        let awaited: Vec<(AlertId, Timestamp)> = self
            .state
            .firing
            .iter()
            .filter(|(_, firing)| firing.is_restored)
            .map(|(id, firing)| {
                let page = self.state.pages.get(&firing.page);
                let known = page.and_then(|page| page.alerts.iter().find(|known| known.id == *id));
                let alert = known.map(|known| known.alert.alert);
                (*id, at.plus(self.settings.grace_ms(alert, firing.severity)))
            })
            .collect();
        for (id, until) in awaited {
            if let Some(firing) = self.state.firing.get_mut(&id) {
                firing.awaited_until = Some(until);
            }
        }
        let late: Vec<AlertId> = self.state.leftovers.keys().copied().collect();
        for id in late {
            let Some(leftover) = self.state.leftovers.get_mut(&id).filter(|leftover| leftover.is_restored) else {
                continue;
            };
            let alert = &leftover.known.alert;
            let grace_ms = self.settings.grace_ms(Some(alert.alert), alert.severity);
            leftover.due_at = leftover.due_at.max(at.plus(grace_ms));
        }
        // A page of which nothing is followed has nothing to wait for.
        let open = self.state.pages.iter().filter(|(_, page)| !page.is_resolved()).map(|(number, _)| *number);
        self.touched.extend(open);
    }
}
