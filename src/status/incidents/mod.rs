//! Public incidents: drafted from what components do, published by people or by policy, and held to what may be public.
//!
//! Components that are harmed at once make one draft. Its words are those of templates (`templates`), which cannot hold a
//! name of the inside; a person's are looked through ([`super::words`]). Times are those of measurement where there is one.

mod case;
mod command;
mod episode;
mod ids;
mod names;
mod obey;
#[cfg(test)]
mod property_tests;
mod settings;
mod templates;
#[cfg(test)]
pub(in crate::status) mod tests;
#[cfg(test)]
mod truth_tests;
mod view;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

pub use case::{FORMER_MAX, Former};
pub use command::{Command, CommandError, Done, Request};
pub use episode::OVER_AFTER_MS;
pub(in crate::status) use ids::Ids;
pub use names::{INCIDENTS_MAX as KNOWN_INCIDENTS_MAX, NAMES_MAX as KNOWN_NAMES_MAX};
pub(in crate::status) use obey::{Texts, known};
pub use settings::Settings;
pub use templates::Proposal;
pub use view::{DraftView, IncidentView, PartView};

use super::words::WordCheck;
use super::{ComponentChange, Figures, IncidentStatus, PublicIncident};
use crate::model::{IncidentReport, Timestamp};
use case::{Case, Say};
use episode::{Episode, Phase};
use names::KnownNames;

/// Drafts that wait; the oldest that is over makes room.
pub const DRAFTS_MAX: usize = 50;
/// Published incidents; the oldest that is over makes room.
pub const PUBLISHED_MAX: usize = 500;
/// Updates of one incident.
pub const UPDATES_MAX: usize = 200;
/// Longest title, in characters.
pub const NAME_CHARS_MAX: usize = 120;
/// Longest text, in characters.
pub const BODY_CHARS_MAX: usize = 5_000;
/// Internal incidents that a public one is linked to.
const LINKED_MAX: usize = 20;
/// Names that were learnt too late and are told of one incident.
const EXPOSED_MAX: usize = 20;

/// Drafts and published incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Incidents {
    /// The oldest first.
    cases: Vec<Case>,
    names: KnownNames,
    ids: Ids,
    /// Event time up to which components are measured.
    measured_until: Option<Timestamp>,
}

/// What the machine did by itself, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineAct {
    /// Which incident.
    pub incident: String,
    /// What it is now.
    pub status: IncidentStatus,
    /// Whether it was not public before.
    pub is_new: bool,
}

impl Incidents {
    /// A component changed. `now` is the wall clock.
    pub fn component_changed(
        &mut self,
        change: &ComponentChange,
        settings: &Settings,
        now: Timestamp,
    ) -> Vec<MachineAct> {
        if settings.component(&change.component).is_none() {
            return Vec::new();
        }
        // What was measured until the change began counts first, however seldom the clock is looked at.
        let mut acts = self.tick(settings, now, Some(change.since));
        if let Some(case) = self.case_of(change, settings, now) {
            let id = case.id.clone();
            if let Some(episode) = &mut case.episode {
                episode.apply(change);
            }
            self.make_room(&id);
        }
        acts.extend(self.tick(settings, now, Some(change.at)));
        acts
    }

    /// The case that a change belongs to: the one that is measured, else a new one where it is for the worse.
    fn case_of(&mut self, change: &ComponentChange, settings: &Settings, now: Timestamp) -> Option<&mut Case> {
        let is_of = |case: &Case| case.is_measured() && case.has_part(&change.component);
        let may_join = |case: &Case| case.is_measured() && case.may_join(&change.component, settings);
        let place = self.cases.iter().position(is_of).or_else(|| self.cases.iter().position(may_join));
        if let Some(place) = place {
            return self.cases.get_mut(place);
        }
        let is_worse = change.after.is_harm() && (!change.before.is_harm() || change.after > change.before);
        if !is_worse {
            return None;
        }
        let is_about_it = |case: &Case| {
            let components = case.public.as_ref().map(|public| public.components.as_slice()).unwrap_or_default();
            components.is_empty() || components.contains(&change.component)
        };
        // What a person was quicker to tell.
        let told = self.cases.iter().rposition(|case| case.is_open() && case.episode.is_none() && is_about_it(case));
        let place = told.unwrap_or_else(|| {
            let id = self.ids.next("incident", now);
            self.cases.push(Case::new(id, now, None));
            self.cases.len() - 1
        });
        let case = self.cases.get_mut(place)?;
        case.episode = Some(Episode::default());
        Some(case)
    }

    /// Requests of a component were counted; what changed with them is told after.
    pub fn count(&mut self, component: &str, figures: &Figures) {
        for episode in self.cases.iter_mut().filter(|case| case.is_measured()).filter_map(|case| case.episode.as_mut())
        {
            episode.count(component, figures);
        }
    }

    /// Components that the configuration does not have any more are not waited for: nothing will be measured of them.
    pub fn keep_known(&mut self, settings: &Settings) {
        for case in &mut self.cases {
            let is_known = |id: &String| settings.component(id).is_some();
            let Some(episode) = case.episode.as_mut().filter(|episode| !episode.parts.keys().all(is_known)) else {
                continue;
            };
            episode.parts.retain(|id, _| is_known(id));
            if episode.parts.is_empty() && !case.is_over() {
                // What is public is a person's to end.
                case.episode = None;
                case.show_hold(settings, Timestamp::MAX);
            }
        }
        self.cases.retain(|case| case.public.is_some() || case.episode.is_some());
    }

    /// An internal incident began, changed or ended.
    pub fn report(&mut self, report: &IncidentReport, settings: &Settings) {
        for case in &mut self.cases {
            let Some(episode) = &case.episode else { continue };
            let Some(from) = episode.started_at() else { continue };
            // Where a person ended it while it was still measured, their word counts.
            let resolved_at = case.public.as_ref().and_then(|public| public.resolved_at);
            let until = episode.recovered_at().or(resolved_at);
            let overlaps = until.is_none_or(|until| report.started_at <= until)
                && report.ended_at.is_none_or(|ended| ended >= from);
            if overlaps && !case.linked.contains(&report.incident) && case.linked.len() < LINKED_MAX {
                case.linked.push(report.incident.clone());
            }
        }
        let cases = &self.cases;
        let is_needed = |id: &_| cases.iter().any(|case| !case.is_over() && case.linked.contains(id));
        let new = self.names.learn(report, is_needed);
        let check = settings.word_check().hiding(new.iter().map(String::as_str));
        for case in self.cases.iter_mut().filter(|case| case.is_open()) {
            expose(case, &check);
        }
    }

    /// Looks at the clock: `now` on the wall, `measured_until` of events. The machine speaks where it may.
    pub fn tick(&mut self, settings: &Settings, now: Timestamp, measured_until: Option<Timestamp>) -> Vec<MachineAct> {
        self.measured_until = self.measured_until.max(measured_until);
        let measured_until = self.measured_until();
        // What is read late, after a restart, tells how it was; of how it is the machine speaks when it knows.
        let is_current = now.since(measured_until) <= settings.stale_after_ms;
        let mut acts = Vec::new();
        for place in 0..self.cases.len() {
            if let Some(case) = self.cases.get_mut(place) {
                case.allow_machine(settings, measured_until);
            }
            if is_current {
                acts.extend(self.speak(place, settings, now, measured_until));
            }
            if let Some(case) = self.cases.get_mut(place) {
                close_what_is_over(case, measured_until);
                case.show_hold(settings, now);
            }
        }
        let published = acts.iter().filter(|act| act.is_new).map(|act| act.incident.clone()).collect::<Vec<_>>();
        published.iter().for_each(|id| self.make_room(id));
        acts
    }

    fn measured_until(&self) -> Timestamp {
        self.measured_until.unwrap_or(Timestamp::MIN)
    }

    fn speak(
        &mut self,
        place: usize,
        settings: &Settings,
        now: Timestamp,
        measured_until: Timestamp,
    ) -> Option<MachineAct> {
        let has_room = self.has_room_for_published();
        let case = self.cases.get_mut(place).filter(|case| !case.is_over())?;
        let is_new = case.public.is_none();
        let mut episode = case.episode.clone()?;
        let for_people = if is_new { episode.split_off_for_people(settings) } else { None };
        let (is_for_machine, phase) = (episode.is_for_machine(), episode.phase(measured_until));
        let is_held = case.held_until(settings).is_some_and(|until| now < until);
        if !is_for_machine || is_held || (is_new && (phase != Phase::Harm || !has_room)) {
            return None;
        }
        if let Some(rest) = for_people {
            // They wait for people as another draft.
            let mut rest = Case::new(self.ids.next("incident", now), now, Some(rest));
            rest.linked.clone_from(&case.linked);
            case.episode = Some(episode);
            self.cases.push(rest);
        }
        let case = self.cases.get_mut(place)?;
        let Proposal { name, status, body } = case.proposal(settings, now, measured_until)?;
        if !case.has_room(status) {
            return None;
        }
        // A title of a person stays.
        let name = (case.person_wrote_at.is_none()).then_some(name);
        let say = Say { status, body, name, components: None };
        if is_new {
            case.publish(say, settings, &mut self.ids, now);
        } else {
            case.say(say, settings, &mut self.ids, now);
        }
        Some(MachineAct { incident: case.id.clone(), status, is_new })
    }

    fn has_room_for_published(&self) -> bool {
        let mut published = self.cases.iter().filter(|case| case.public.is_some());
        published.clone().count() < PUBLISHED_MAX || published.any(Case::is_over)
    }

    /// Lets the oldest that are over go where there are too many; `newest` stays.
    fn make_room(&mut self, newest: &str) {
        let is_draft = |case: &Case| case.public.is_none();
        let is_done = |case: &Case| is_draft(case) && !case.is_measured();
        let drafts = self.cases.iter().filter(|case| is_draft(case)).count();
        if drafts > DRAFTS_MAX
            && let Some(place) = self.cases.iter().position(|case| case.id != newest && is_done(case))
        {
            self.cases.remove(place);
        }
        if self.cases.iter().filter(|case| case.public.is_some()).count() > PUBLISHED_MAX {
            let ends = self.cases.iter().enumerate().filter(|(_, case)| case.id != newest && case.is_over());
            let end = |case: &Case| case.public.as_ref().and_then(|public| public.resolved_at);
            let oldest = ends.min_by_key(|(_, case)| end(case)).map(|(place, _)| place);
            oldest.map(|place| self.cases.remove(place));
        }
    }

    /// What the public reads, the newest first.
    #[must_use]
    pub fn published(&self) -> Vec<PublicIncident> {
        let mut published: Vec<_> = self.cases.iter().rev().filter_map(|case| case.public.clone()).collect();
        published.sort_by_key(|incident| Reverse(incident.created_at));
        published
    }

    /// What texts of people are held against.
    pub(super) fn word_check(&self, settings: &Settings) -> WordCheck {
        settings.word_check().hiding(self.names.all())
    }
}

fn close_what_is_over(case: &mut Case, measured_until: Timestamp) {
    if let Some(episode) = &mut case.episode {
        episode.is_closed |= episode.phase(measured_until) == Phase::Over;
    }
}

/// Tells of names in public words that were learnt after they had been written.
fn expose(case: &mut Case, check: &WordCheck) {
    let Some(public) = &case.public else { return };
    let texts = public.updates.iter().map(|update| &update.body).chain([&public.name]);
    let found = texts.filter_map(|text| check.check(text).err()).map(|error| error.to_string());
    let new: Vec<String> = found.filter(|found| !case.exposed.contains(found)).collect();
    case.exposed.extend(new);
    case.exposed.dedup();
    case.exposed.truncate(EXPOSED_MAX);
}
