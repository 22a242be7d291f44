//! What resolves, and what time brings: ends of pages, of quiet and of waiting, and updates that were held back.

use super::changes::ChangeReason;
use super::page_state::{AlertId, Claim, Fired, PageState, Phase};
use super::pager::{PAGES_RESOLVED_MAX, Pager};
use super::state::Leftover;
use crate::model::{Affected, DurationMs, PageEvent, Text, Timestamp};

/// A milder alert that goes on for this long after its page gets one of its own: as long as an incident lingers.
const OUTLIVES_MS: DurationMs = 600_000;
/// Alerts that wait for that; further ones are told when they fire again.
pub(super) const LEFTOVERS_MAX: usize = 10_000;

impl Pager {
    /// An alert resolved.
    pub(super) fn clear(&mut self, over: &Fired) {
        let id = over.id;
        self.state.leftovers.remove(&id);
        match self.state.firing.remove(&id) {
            Some(firing) => {
                self.by_page.entry(firing.page).or_default().remove(&id);
                if let Some(page) = self.state.pages.get_mut(&firing.page) {
                    page.at = page.at.max(over.at);
                    page.note_alert(over, firing.is_inhibited, Claim::Usual);
                }
                self.touched.insert(firing.page);
            }
            None => self.clear_not_followed(over),
        }
    }

    fn clear_not_followed(&mut self, over: &Fired) {
        let Some(number) = self.by_incident.get(&over.incident).copied() else { return };
        if self.state.pages.get(&number).is_some_and(|page| page.not_followed > 0)
            && let Some(page) = self.state.pages.get_mut(&number)
        {
            page.not_followed -= 1;
            self.touched.insert(number);
        }
    }

    /// Ends pages that have no alert left, and says what is new of the others.
    pub(super) fn settle_touched(&mut self, at: Timestamp) {
        for number in std::mem::take(&mut self.touched) {
            let Some(page) = self.state.pages.get(&number) else { continue };
            if page.phase != Phase::Open {
                continue;
            }
            if self.is_held_open(number, page) {
                self.say_news(number, at);
            } else if page.is_flapping {
                self.counts.damped += 1;
                if let Some(page) = self.state.pages.get_mut(&number) {
                    page.phase = Phase::Quiet(at);
                }
            } else {
                self.resolve(number, at, ChangeReason::Over);
            }
        }
    }

    /// Whether an alert keeps the page open: of a critical page only critical ones do, of a storm all.
    fn is_held_open(&self, number: u32, page: &PageState) -> bool {
        let firing = self.by_page.get(&number).into_iter().flatten().filter_map(|id| self.state.firing.get(id));
        page.not_followed > 0
            || firing
                .into_iter()
                .any(|firing| page.is_storm() || !firing.is_inhibited && firing.severity >= page.severity)
    }

    fn resolve(&mut self, number: u32, at: Timestamp, reason: ChangeReason) {
        self.leave_behind(number, at);
        let Some(page) = self.state.pages.get_mut(&number) else { return };
        page.phase = Phase::Resolved;
        page.is_restored = false;
        page.resolved_at = Some(at);
        page.at = page.at.max(at);
        page.acknowledgement = None;
        page.note = (reason == ChangeReason::NotSeenSinceRestart).then(|| "not seen since the restart".to_owned());
        self.subjects.retain(|(of_page, _)| *of_page != number);
        self.say(number, PageEvent::Resolved, reason);
        self.forget_old_pages();
    }

    /// What still fires, and is milder than the page was, waits for a page of its own.
    fn leave_behind(&mut self, number: u32, at: Timestamp) {
        for id in self.by_page.remove(&number).unwrap_or_default() {
            let Some(firing) = self.state.firing.remove(&id) else { continue };
            let page = self.state.pages.get(&number);
            let known = page.and_then(|page| page.alerts.iter().find(|known| known.id == id)).cloned();
            match known.or(firing.known.map(|known| *known)) {
                Some(known) if self.state.leftovers.len() < LEFTOVERS_MAX && !firing.is_restored => {
                    let due_at = at.plus(OUTLIVES_MS);
                    let leftover = Leftover { known, incident: firing.incident, due_at, is_restored: false };
                    self.state.leftovers.insert(id, leftover);
                }
                _ => self.counts.not_followed += 1,
            }
        }
    }

    fn forget_old_pages(&mut self) {
        let resolved = |page: &&PageState| page.is_resolved();
        while self.state.pages.values().filter(resolved).count() > PAGES_RESOLVED_MAX {
            let oldest = self.state.pages.iter().filter(|(_, page)| page.is_resolved());
            let Some(number) = oldest.min_by_key(|(_, page)| page.resolved_at).map(|(number, _)| *number) else {
                return;
            };
            if let Some(page) = self.state.pages.remove(&number) {
                for incident in page.incidents {
                    if self.by_incident.get(&incident) == Some(&number) {
                        self.by_incident.remove(&incident);
                    }
                }
            }
        }
    }

    /// The watermark has come this far.
    pub(super) fn pass(&mut self, watermark: Timestamp) {
        self.give_up_waiting(watermark);
        self.end_quiet(watermark);
        self.open_leftovers(watermark);
        let open: Vec<u32> =
            self.state.pages.iter().filter(|(_, page)| page.phase == Phase::Open).map(|(number, _)| *number).collect();
        open.into_iter().for_each(|number| self.say_news(number, watermark));
    }

    /// Restored alerts that did not fire again in time are over.
    fn give_up_waiting(&mut self, watermark: Timestamp) {
        let is_late = |until: Option<Timestamp>| until.is_some_and(|until| watermark >= until);
        let late: Vec<(AlertId, u32)> = self
            .state
            .firing
            .iter()
            .filter(|(_, firing)| firing.is_restored && is_late(firing.awaited_until))
            .map(|(id, firing)| (*id, firing.page))
            .collect();
        let mut pages = std::collections::BTreeSet::new();
        for (id, number) in late {
            self.state.firing.remove(&id);
            self.by_page.entry(number).or_default().remove(&id);
            if let Some(page) = self.state.pages.get_mut(&number)
                && let Some(known) = page.alerts.iter_mut().find(|known| known.id == id)
            {
                known.alert.resolved_at = Some(watermark);
            }
            pages.insert(number);
        }
        for number in pages {
            let is_over = self
                .state
                .pages
                .get(&number)
                .is_some_and(|page| page.phase == Phase::Open && !self.is_held_open(number, page));
            if is_over {
                self.resolve(number, watermark, ChangeReason::NotSeenSinceRestart);
            }
        }
    }

    /// A flapping page is over once it has been quiet for long enough.
    fn end_quiet(&mut self, watermark: Timestamp) {
        let quiet_ms = self.settings.flap_quiet_ms;
        let is_over =
            |page: &PageState| matches!(page.phase, Phase::Quiet(since) if watermark.since(since) >= quiet_ms);
        let over: Vec<u32> =
            self.state.pages.iter().filter(|(_, page)| is_over(page)).map(|(number, _)| *number).collect();
        for number in over {
            self.resolve(number, watermark, ChangeReason::Over);
        }
    }

    /// Milder alerts that went on after their page was over get one of their own.
    fn open_leftovers(&mut self, watermark: Timestamp) {
        let due: Vec<AlertId> =
            self.state.leftovers.iter().filter(|(_, l)| l.due_at <= watermark).map(|(id, _)| *id).collect();
        let mut opening = Vec::new();
        for id in due {
            let leftover = self.state.leftovers.remove(&id);
            // One that has not fired since the restart is over, and nobody was told of it by itself.
            let Some(leftover) = leftover.filter(|leftover| !leftover.is_restored) else { continue };
            let mut fired = leftover.into_fired(watermark);
            let own = self.by_incident.get(&fired.incident).copied();
            match own.filter(|number| self.state.pages.get(number).is_some_and(|page| !page.is_resolved())) {
                Some(number) => self.join(number, &fired, false),
                None => {
                    // The incident's own key is that of the page that is over.
                    let is_taken = self.state.pages.values().any(|page| page.key == fired.incident);
                    if is_taken {
                        fired.incident = Text::from(format!("{}-rest", fired.incident));
                    }
                    opening.push(fired);
                }
            }
        }
        self.open(&opening.iter().collect::<Vec<_>>(), &[]);
        self.settle_touched(watermark);
    }

    /// Says what is new of an open page, where there is something and its time has come.
    pub(super) fn say_news(&mut self, number: u32, at: Timestamp) {
        let Some(page) = self.state.pages.get(&number) else { return };
        let is_due = page.said.at.is_none_or(|said_at| at.since(said_at) >= self.settings.update_interval_ms);
        let is_taken = page.acknowledgement.is_some();
        let (event, reason) = if page.said.severity.is_some_and(|said| page.severity > said) {
            (PageEvent::Updated, ChangeReason::Worse)
        } else if let Some(reason) = self.why_no_longer_silenced(page) {
            (PageEvent::Updated, reason)
        } else if is_due && !is_taken && page.has_news() {
            (PageEvent::Updated, ChangeReason::News)
        } else {
            return;
        };
        // What receivers were never told of begins with this.
        let event = if page.said.is_open { event } else { PageEvent::Opened };
        if !page.said.is_open && self.silence_of(page).is_some() && reason == ChangeReason::News {
            return;
        }
        if let Some(page) = self.state.pages.get_mut(&number) {
            page.at = page.at.max(at);
        }
        self.say(number, event, reason);
    }
}

impl Pager {
    /// Why what a silence kept back is to be told: it is over, or an alert has joined that it does not mean.
    fn why_no_longer_silenced(&self, page: &PageState) -> Option<ChangeReason> {
        let id = page.said.silenced_by.as_ref()?;
        if self.is_in_doubt(page) || self.silence_of(page).is_some() {
            return None;
        }
        let is_in_force = self.state.silences.get(id).is_some_and(|silence| self.is_in_force(silence));
        Some(if is_in_force { ChangeReason::Fired } else { ChangeReason::SilenceEnded })
    }
}

impl PageState {
    /// Whether there is anything that a person who has read what was said would want to know.
    fn has_news(&self) -> bool {
        let said = &self.said;
        let twice = |now: u64, before: u64| now >= 2 * before.max(1);
        let lead = self.lead().map(|lead| lead.id);
        !said.names_a_cause && self.names_a_cause()
            || lead.is_some() && lead != said.lead
            || twice(self.facts.affected.subscriptions, said.affected)
            || self.is_storm() && twice(self.members, said.members)
            || self.is_flapping && self.openings.len() > said.openings
    }
}

impl Leftover {
    /// As if it had fired now; its causes are those of the incident that is over.
    fn into_fired(self, at: Timestamp) -> Fired {
        let alert = self.known.alert;
        Fired {
            id: self.known.id,
            alert,
            incident: self.incident,
            at,
            causes: Vec::new(),
            affected: Affected::default(),
        }
    }
}
