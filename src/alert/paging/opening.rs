//! What fires: alerts join the page of their incident, are told inside the page of their cause, or open one; beyond the
//! cap they are one storm.

use std::collections::VecDeque;

use super::changes::ChangeReason;
use super::page_state::{AlertId, Fired, KnownAlert, PageKind, PageState, Phase, subject_of};
use super::pager::{FIRING_MAX, PAGES_OPEN_MAX, Pager};
use super::settling::LEFTOVERS_MAX;
use super::state::{Firing, Opening};
use crate::model::{
    Confidence, Dimension, Dimensions, DurationMs, IncidentReport, PageEvent, Severity, Text, Timestamp,
};

/// The cap counts over this long.
const CAP_MS: DurationMs = 60_000;
/// Openings of a page are counted over this long, to tell whether it flaps.
const FLAP_MS: DurationMs = 3_600_000;
/// Alerts whose openings are remembered; at the bound further ones are not known to flap.
const FLAPS_MAX: usize = 10_000;
/// Incidents of the core that a page remembers as its own; further ones are known by their alerts.
const INCIDENTS_MAX: usize = 2_000;
/// A storm that nothing has joined for this long takes nothing more: what comes then is another one, and told.
const STORM_MS: DurationMs = 600_000;
/// An hour's openings of one alert that are remembered.
const OPENINGS_MAX: usize = 100;

/// An incident that no open page tells of.
struct Candidate<'a> {
    incident: &'a Text,
    severity: Severity,
    alerts: Vec<&'a Fired>,
}

impl Pager {
    /// Whether an alert that fires belongs to an open page, which then has it.
    pub(super) fn continues(&mut self, fired: &Fired) -> bool {
        let id = fired.id;
        if self.state.leftovers.get(&id).is_some_and(|leftover| !leftover.is_restored) {
            return true;
        }
        if let Some(leftover) = self.state.leftovers.get_mut(&id) {
            leftover.is_restored = false;
            return true;
        }
        if let Some(firing) = self.state.firing.get(&id) {
            let number = firing.page;
            self.confirm(id, number, fired);
            return true;
        }
        let of_incident = self.by_incident.get(&fired.incident).copied();
        let number = of_incident.filter(|number| self.takes(*number, fired)).or_else(|| self.flapping_page_of(id));
        let Some(number) = number else { return false };
        self.join(number, fired, false);
        true
    }

    /// Whether the page of an alert's incident is still the place to tell it.
    fn takes(&self, number: u32, fired: &Fired) -> bool {
        self.state.pages.get(&number).is_some_and(|page| {
            let outgrows = page.is_storm() && fired.alert.severity > page.severity;
            !page.is_resolved() && !outgrows
        })
    }

    fn flapping_page_of(&self, id: AlertId) -> Option<u32> {
        let is_quiet = |page: &PageState| matches!(page.phase, Phase::Quiet(_)) && page.openers.contains(&id);
        self.state.pages.iter().find(|(_, page)| is_quiet(page)).map(|(number, _)| *number)
    }

    /// An alert that is told already fires: after a restart, or of an incident that was split.
    fn confirm(&mut self, id: AlertId, number: u32, fired: &Fired) {
        if let Some(firing) = self.state.firing.get_mut(&id) {
            firing.is_restored = false;
            firing.awaited_until = None;
            firing.incident.clone_from(&fired.incident);
        }
        let is_inhibited = self.state.firing.get(&id).is_some_and(|firing| firing.is_inhibited);
        let claim = self.claim_of(number, fired);
        let mut displaced = None;
        if let Some(page) = self.state.pages.get_mut(&number) {
            displaced = page.note_alert(fired, is_inhibited, claim);
            page.at = page.at.max(fired.at);
            page.is_restored = false;
        }
        self.keep_displaced(number, displaced);
        if !is_inhibited {
            self.link(number, &fired.incident);
        }
        self.touched.insert(number);
    }

    /// An alert becomes part of an open page.
    pub(super) fn join(&mut self, number: u32, fired: &Fired, is_inhibited: bool) {
        let id = fired.id;
        let subject = subject_of(&fired.alert.labels);
        let is_new_subject = self.subjects.insert((number, subject));
        let has_room = self.state.firing.len() < FIRING_MAX;
        let claim = self.claim_of(number, fired);
        let Some(page) = self.state.pages.get_mut(&number) else { return };
        page.at = page.at.max(fired.at);
        page.members += 1;
        let displaced = page.note_alert(fired, is_inhibited, claim);
        if page.is_storm() {
            page.note_contributor(fired, is_new_subject);
        }
        if !is_inhibited {
            page.note_causes(fired);
            page.severity = page.severity.max(fired.alert.severity);
            page.is_restored = false;
            page.since = page.since.min(fired.alert.since);
        }
        if let Phase::Quiet(_) = page.phase {
            page.phase = Phase::Open;
            self.note_opening(number, id, fired.at);
            self.counts.damped += 1;
        }
        if has_room {
            let firing = Firing {
                page: number,
                severity: fired.alert.severity,
                incident: fired.incident.clone(),
                subject,
                is_inhibited,
                is_restored: false,
                known: None,
                awaited_until: None,
            };
            self.state.firing.insert(id, firing);
            self.by_page.entry(number).or_default().insert(id);
        } else {
            self.counts.not_followed += 1;
            if let Some(page) = self.state.pages.get_mut(&number) {
                page.not_followed += 1;
            }
        }
        self.keep_displaced(number, displaced);
        if !is_inhibited {
            self.link(number, &fired.incident);
        }
        self.touched.insert(number);
    }

    /// What a page has no room for is needed again when the page is over before it. Of a storm nothing is left behind.
    fn keep_displaced(&mut self, number: u32, displaced: Option<KnownAlert>) {
        let Some(known) = displaced.filter(|known| known.alert.resolved_at.is_none()) else { return };
        let is_storm = self.state.pages.get(&number).is_none_or(PageState::is_storm);
        let has_room = self.by_page.get(&number).is_some_and(|ids| ids.len() <= LEFTOVERS_MAX);
        if !is_storm
            && has_room
            && let Some(firing) = self.state.firing.get_mut(&known.id)
        {
            firing.known = Some(Box::new(known));
        }
    }

    /// Further alerts of the incident are told on this page.
    fn link(&mut self, number: u32, incident: &Text) {
        if self.by_incident.get(incident) == Some(&number) {
            return;
        }
        let is_known = self.state.pages.get(&number).is_none_or(|page| page.incidents.contains(incident));
        if !is_known
            && let Some(page) = self.state.pages.get_mut(&number)
            && page.incidents.len() < INCIDENTS_MAX
        {
            page.incidents.insert(incident.clone());
            self.by_incident.insert(incident.clone(), number);
        } else if is_known {
            self.by_incident.insert(incident.clone(), number);
        }
    }

    /// Finds a place for alerts of one moment that no page tells of.
    pub(super) fn open(&mut self, alerts: &[&Fired], reports: &[&IncidentReport]) {
        let mut candidates = candidates(alerts);
        candidates.retain(|candidate| !self.inhibit(candidate));
        if candidates.is_empty() {
            return;
        }
        let at = candidates[0].alerts[0].at;
        let lately = self.state.opened_lately(at, self.now, CAP_MS);
        let room = self.settings.opened_per_minute_max.saturating_sub(lately);
        let room = room.min(PAGES_OPEN_MAX.saturating_sub(self.pages_open()));
        let critical = candidates.iter().filter(|candidate| candidate.severity == Severity::Critical).count();
        // All or none of a severity: five of fifty thousand would be an accident of order.
        let alone = if candidates.len() <= room {
            candidates.len()
        } else if critical <= room {
            critical
        } else {
            0
        };
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.severity));
        let storm = candidates.split_off(alone);
        for candidate in candidates {
            self.state.numbers.openings.push_back(Opening { at, now: self.now });
            self.open_page(&candidate, reports);
        }
        if !storm.is_empty() {
            self.join_storm(&storm, at);
        }
    }

    /// Whether a ticket is about what an open critical page names as its cause: then it is told inside it.
    fn inhibit(&mut self, candidate: &Candidate<'_>) -> bool {
        if candidate.severity == Severity::Critical {
            return false;
        }
        let is_cause = |page: &PageState| {
            let explains = |fired: &&Fired| explains(page, &fired.alert.labels);
            !page.is_resolved() && page.severity == Severity::Critical && candidate.alerts.iter().all(explains)
        };
        let Some(number) = self.state.pages.iter().find(|(_, page)| is_cause(page)).map(|(number, _)| *number) else {
            return false;
        };
        for fired in &candidate.alerts {
            self.counts.inhibited += 1;
            self.join(number, fired, true);
        }
        true
    }

    fn open_page(&mut self, candidate: &Candidate<'_>, reports: &[&IncidentReport]) {
        let first = lead_of(candidate);
        let id = first.id;
        let known = self.state.pages.iter().find(|(_, page)| page.key == *candidate.incident);
        if let Some((number, page)) = known
            && !page.is_resolved()
        {
            // Told already: its incident had become part of another page, which is over.
            let number = *number;
            candidate.alerts.iter().for_each(|fired| self.join(number, fired, false));
            return;
        }
        let reopened = known.map(|(number, _)| *number);
        let number = reopened
            .unwrap_or_else(|| self.new_page(PageState::new(candidate.incident.clone(), PageKind::Incident, first)));
        if reopened.is_some() {
            self.begin_again(number, first);
        }
        self.take_back(candidate.incident, number);
        for fired in &candidate.alerts {
            self.join(number, fired, false);
        }
        self.note_opening(number, id, first.at);
        if let Some(report) = reports.iter().find(|report| report.incident == *candidate.incident) {
            self.note_report(number, report);
        }
        let flaps = self.state.pages.get(&number).is_some_and(|page| page.is_flapping);
        let reason = if flaps || reopened.is_some() { ChangeReason::Again } else { ChangeReason::Fired };
        self.say(number, PageEvent::Opened, reason);
    }

    pub(super) fn new_page(&mut self, page: PageState) -> u32 {
        let number = self.state.numbers.page_next;
        self.state.numbers.page_next += 1;
        self.state.pages.insert(number, page);
        number
    }

    /// A page that was over begins again, as what it now is.
    fn begin_again(&mut self, number: u32, first: &Fired) {
        let Some(page) = self.state.pages.get_mut(&number) else { return };
        let (said, openings, openers) = (page.said.clone(), page.openings.clone(), page.openers.clone());
        let (key, kind, incidents) = (page.key.clone(), page.kind, std::mem::take(&mut page.incidents));
        *page = PageState { said, openings, openers, incidents, ..PageState::new(key, kind, first) };
    }

    /// Alerts of this incident that were told inside other pages, or on a storm's, are told on its own now.
    fn take_back(&mut self, incident: &Text, number: u32) {
        let others: Vec<AlertId> = self
            .state
            .firing
            .iter()
            .filter(|(_, firing)| firing.page != number && firing.incident == *incident)
            .map(|(id, _)| *id)
            .collect();
        for id in others {
            let Some(firing) = self.state.firing.get_mut(&id) else { continue };
            let before = std::mem::replace(&mut firing.page, number);
            firing.is_inhibited = false;
            self.by_page.entry(before).or_default().remove(&id);
            self.by_page.entry(number).or_default().insert(id);
            self.touched.insert(before);
            let known = self.state.pages.get_mut(&before).and_then(|page| {
                page.incidents.remove(incident);
                let place = page.alerts.iter().position(|known| known.id == id)?;
                let known = page.alerts.get(place)?.clone();
                // The last one stays: the end of a page could not be told without any.
                if page.alerts.len() > 1 {
                    page.alerts.remove(place);
                }
                Some(known)
            });
            if let (Some(known), Some(page)) = (known, self.state.pages.get_mut(&number)) {
                page.members += 1;
                page.alerts.push(super::page_state::KnownAlert { is_inhibited: false, ..known });
            }
        }
    }

    /// Counts an opening, and tells whether the page flaps.
    fn note_opening(&mut self, number: u32, id: AlertId, at: Timestamp) {
        let is_recent = |moment: &Timestamp| at.since(*moment) < FLAP_MS;
        if self.state.flaps.len() >= FLAPS_MAX {
            let stale = |moments: &VecDeque<Timestamp>| !moments.iter().any(is_recent);
            let stale: Vec<AlertId> =
                self.state.flaps.iter().filter(|(_, moments)| stale(moments)).map(|(id, _)| *id).collect();
            stale.iter().for_each(|id| drop(self.state.flaps.remove(id)));
        }
        let mut moments = self.state.flaps.get(&id).cloned().unwrap_or_default();
        moments.retain(is_recent);
        moments.push_back(at);
        while moments.len() > OPENINGS_MAX {
            moments.pop_front();
        }
        if let Some(page) = self.state.pages.get_mut(&number) {
            page.openings = moments.iter().copied().collect();
            page.is_flapping |= moments.len() > self.settings.flaps_max;
            if page.openers.len() < OPENINGS_MAX {
                page.openers.insert(id);
            }
        }
        if self.state.flaps.len() < FLAPS_MAX || self.state.flaps.contains(&id) {
            self.state.flaps.insert(id, moments);
        }
    }

    fn join_storm(&mut self, candidates: &[Candidate<'_>], at: Timestamp) {
        // At the bound of open pages the storm that there is takes everything.
        let is_full = self.pages_open() >= PAGES_OPEN_MAX;
        let goes_on = |page: &PageState| is_full || page.joined_at.is_some_and(|joined| at.since(joined) < STORM_MS);
        let is_open = |page: &PageState| page.is_storm() && !page.is_resolved() && goes_on(page);
        let open = self.state.pages.iter().rfind(|(_, page)| is_open(page)).map(|(number, _)| *number);
        let number = open.unwrap_or_else(|| {
            let worst = lead_of(&candidates[0]);
            let key = format!("{}-storm-{}", compact(at), self.state.numbers.page_next);
            self.new_page(PageState::new(key.into(), PageKind::Storm, worst))
        });
        for candidate in candidates {
            self.counts.in_storms += 1;
            for fired in &candidate.alerts {
                self.join(number, fired, false);
            }
        }
        if let Some(page) = self.state.pages.get_mut(&number) {
            page.joined_at = Some(at);
        }
        if open.is_none() {
            self.say(number, PageEvent::Opened, ChangeReason::Storm);
        }
    }
}

/// Transitions by incident, in the order in which incidents come.
fn candidates<'a>(alerts: &[&'a Fired]) -> Vec<Candidate<'a>> {
    let mut places = std::collections::BTreeMap::new();
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    for fired in alerts {
        let place = *places.entry(&fired.incident).or_insert(candidates.len());
        if place == candidates.len() {
            let (incident, severity) = (&fired.incident, fired.alert.severity);
            candidates.push(Candidate { incident, severity, alerts: Vec::new() });
        }
        candidates[place].severity = candidates[place].severity.max(fired.alert.severity);
        candidates[place].alerts.push(fired);
    }
    candidates
}

/// The first of the worst.
fn lead_of<'a>(candidate: &Candidate<'a>) -> &'a Fired {
    let worst = candidate.alerts.iter().find(|fired| fired.alert.severity == candidate.severity);
    // A candidate has a fired, and its severity is the worst of them.
    worst.unwrap_or(&candidate.alerts[0])
}

/// Whether labels lie inside what a page says is behind it: a cause, what leads, or one of its customers.
fn explains(page: &PageState, labels: &Dimensions) -> bool {
    let inside = |dimensions: &Dimensions| {
        !dimensions.is_empty() && dimensions.0.iter().all(|(d, value)| labels.get(*d) == Some(value.as_str()))
    };
    let by_cause = page.facts.causes.iter().any(|c| c.confidence >= Confidence::Medium && inside(&c.dimensions));
    let by_lead = page.lead().is_some_and(|lead| inside(&lead.alert.labels));
    let subscription = labels.get(Dimension::Subscription);
    let by_customer = subscription.is_some_and(|name| page.facts.customers.iter().any(|c| c.subscription == name));
    by_cause || by_lead || by_customer
}

/// `20260309T101500Z`.
pub(super) fn compact(at: Timestamp) -> String {
    at.window_start(1_000).to_string().chars().filter(|c| !"-:".contains(*c)).collect()
}
