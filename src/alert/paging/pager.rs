//! The pager: outputs of the core in, pages out. One owner, no clock, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use super::changes::{ChangeReason, PageChange, PagerCounts};
use super::page_state::{ALERTS_KEPT_MAX, AlertId, Claim, Facts, Fired, PageState};
use super::restore::CatchUp;
use super::settings::PagerSettings;
use super::state::{JournalEntry, PagerState};
use crate::alert::Rules;
use crate::model::{
    IncidentReport, Output, Page, PageAlert, PageEvent, Severity, Timestamp, Transition, TransitionEvent,
};

/// Alerts that are followed at once; further ones count on their page, and nobody waits for their end.
pub const FIRING_MAX: usize = 100_000;
/// Pages open at once; beyond it what would open joins the storm page.
pub const PAGES_OPEN_MAX: usize = 1_000;
/// Resolved pages that are remembered.
pub const PAGES_RESOLVED_MAX: usize = 200;

/// What the core has decided since the last step.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// In the order of the core. What a window gave must be in one step.
    pub outputs: &'a [Output],
    /// Event time up to which everything is decided.
    pub watermark: Option<Timestamp>,
    /// Of open incidents, after the outputs.
    pub reports: &'a [&'a IncidentReport],
}

/// Groups alerts into pages and decides what is said of them, once.
#[derive(Debug)]
pub struct Pager {
    pub(super) settings: PagerSettings,
    pub(super) state: PagerState,
    pub(super) counts: PagerCounts,
    /// After a restart, until the log has come to where it was.
    pub(super) catch_up: Option<CatchUp>,
    /// Wall clock of the restart.
    pub(super) restored_at: Option<Timestamp>,
    /// Wall clock of the step under way.
    pub(super) now: Timestamp,
    pub(super) said: Vec<PageChange>,
    /// Pages that the run under way has touched.
    pub(super) touched: BTreeSet<u32>,
    // What follows can be worked out from the state.
    pub(super) by_page: BTreeMap<u32, BTreeSet<AlertId>>,
    pub(super) by_incident: BTreeMap<crate::model::Text, u32>,
    /// Page and subject of every alert of an open storm.
    pub(super) subjects: FxHashSet<(u32, u64)>,
}

impl Pager {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(settings: PagerSettings) -> Self {
        Self::with_state(settings, PagerState::default())
    }

    /// Other rules are in force: restored alerts are waited for as long as theirs say.
    pub fn set_rules(&mut self, rules: &Rules) {
        self.settings.set_rules(rules);
    }

    pub(super) fn with_state(settings: PagerSettings, state: PagerState) -> Self {
        let mut pager = Self {
            settings,
            state,
            counts: PagerCounts::default(),
            catch_up: None,
            restored_at: None,
            now: Timestamp::default(),
            said: Vec::new(),
            touched: BTreeSet::new(),
            by_page: BTreeMap::new(),
            by_incident: BTreeMap::new(),
            subjects: FxHashSet::default(),
        };
        for (id, firing) in pager.state.firing.iter() {
            pager.by_page.entry(firing.page).or_default().insert(*id);
            pager.subjects.insert((firing.page, firing.subject));
        }
        for (number, page) in pager.state.pages.iter() {
            pager.by_incident.extend(page.incidents.iter().map(|incident| (incident.clone(), *number)));
        }
        pager
    }

    /// Takes in what was decided. `now` is the wall clock.
    pub fn step(&mut self, decided: &Decided<'_>, now: Timestamp) -> Vec<PageChange> {
        self.now = now;
        let mut outputs = decided.outputs;
        if self.catch_up.is_some() {
            outputs = self.catch_up(decided);
        }
        let mut rest = outputs;
        while let Some(first) = rest.first() {
            // One moment at a time: what fires together is weighed together.
            let at = moment_of(first);
            let run = rest.iter().position(|output| moment_of(output) != at).unwrap_or(rest.len());
            self.take_moment(&rest[..run], decided.reports);
            rest = &rest[run..];
        }
        self.note_reports(decided.reports);
        if self.catch_up.is_none()
            && let Some(watermark) = decided.watermark
        {
            self.state.numbers.told_until = self.state.numbers.told_until.max(Some(watermark));
            self.pass(watermark);
        }
        std::mem::take(&mut self.said)
    }

    /// Takes in causes, customers and who is affected of open pages.
    fn note_reports(&mut self, reports: &[&IncidentReport]) {
        for report in reports {
            let Some(number) = self.by_incident.get(&report.incident).copied() else { continue };
            self.note_report(number, report);
        }
    }

    pub(super) fn note_report(&mut self, number: u32, report: &IncidentReport) {
        // A storm's incidents are told by their alerts: there are too many of them for more.
        let is_told = |page: &&PageState| !page.is_resolved() && !page.is_storm();
        let Some(page) = self.state.pages.get(&number).filter(is_told) else { return };
        let facts = Facts::of(report);
        // Most reports say what the last one said: that is no change to be written down.
        if page.facts != facts
            && let Some(page) = self.state.pages.get_mut(&number)
        {
            page.facts = facts;
        }
    }

    /// What has to be written down before what was said goes out.
    pub fn take_entry(&mut self) -> JournalEntry {
        self.state.take_entry()
    }

    /// All that is remembered, for a journal that begins anew.
    #[must_use]
    pub fn snapshot(&self) -> JournalEntry {
        self.state.snapshot()
    }

    /// Counts since the start.
    #[must_use]
    pub fn counts(&self) -> PagerCounts {
        self.counts
    }

    fn take_moment(&mut self, outputs: &[Output], reports: &[&IncidentReport]) {
        let mut candidates: Vec<Fired> = Vec::new();
        for output in outputs {
            match output {
                Output::Transition(transition) if is_told(transition) => {
                    self.state.numbers.told_until = self.state.numbers.told_until.max(Some(transition.at));
                    let fired = Fired::of(transition);
                    if transition.event == TransitionEvent::Resolved {
                        self.clear(&fired);
                    } else if !self.continues(&fired) {
                        candidates.push(fired);
                    }
                }
                Output::Transition(_) => {}
                Output::Incident(report) => self.note_reports(&[report]),
            }
        }
        self.open(&candidates.iter().collect::<Vec<_>>(), reports);
        if let Some(at) = outputs.first().and_then(moment_of) {
            self.settle_touched(at);
        }
    }

    /// Says something of a page: to receivers, unless a silence is in force, and to the record.
    pub(super) fn say(&mut self, number: u32, event: PageEvent, reason: ChangeReason) {
        let Some(page) = self.state.pages.get(&number) else { return };
        let is_end_of_what_was_said = event == PageEvent::Resolved && page.said.is_open;
        // Who heard the beginning hears the end, whatever was silenced meanwhile; who did not is spared the end too.
        let silenced_by = match event {
            _ if is_end_of_what_was_said => None,
            PageEvent::Resolved => page.said.silenced_by.clone().or_else(|| self.silence_of(page)),
            _ => self.silence_of(page),
        };
        let openings = page.openings.len();
        let Some(page) = self.state.pages.get_mut(&number) else { return };
        page.said.revision += 1;
        page.said.at = Some(page.at);
        page.said.severity = Some(page.severity);
        page.said.lead = page.lead().map(|lead| lead.id);
        page.said.names_a_cause = page.names_a_cause();
        page.said.affected = page.facts.affected.subscriptions;
        page.said.members = page.members;
        page.said.openings = openings;
        page.said.silenced_by.clone_from(&silenced_by);
        if silenced_by.is_none() {
            page.said.is_open = event != PageEvent::Resolved;
        }
        let Some(rendered) = page.render(event, &self.settings) else { return };
        self.counts.note(event, silenced_by.is_some());
        if silenced_by.is_none() {
            self.hand(rendered.clone());
        }
        self.said.push(PageChange { page: rendered, reason, silenced_by, note: self.note_of(number) });
    }

    fn note_of(&self, number: u32) -> String {
        let page = self.state.pages.get(&number);
        page.and_then(|page| page.note.clone().or_else(|| Some(page.acknowledgement.as_ref()?.note.clone())))
            .unwrap_or_default()
    }

    /// The silence that keeps a page from being said: all its alerts that fire are meant by silences in force.
    pub(super) fn silence_of(&self, page: &PageState) -> Option<crate::model::Text> {
        let in_force = || self.state.silences.values().filter(|silence| self.is_in_force(silence));
        in_force().next()?;
        let firing = || page.alerts.iter().filter(|known| known.alert.resolved_at.is_none());
        let alerts: Vec<_> = if firing().next().is_some() { firing().collect() } else { page.alerts.iter().collect() };
        let mut first = None;
        for known in alerts {
            let silence = in_force().find(|silence| silence.fits(&known.alert))?;
            first.get_or_insert_with(|| silence.id.clone());
        }
        first
    }

    /// What an alert may claim of its page: see [`Claim`].
    pub(super) fn claim_of(&self, number: u32, fired: &Fired) -> Claim {
        let page = self.state.pages.get(&number).filter(|page| page.alerts.len() >= ALERTS_KEPT_MAX);
        let Some(page) = page else { return Claim::Usual };
        let in_force: Vec<_> = self.state.silences.values().filter(|silence| self.is_in_force(silence)).collect();
        if in_force.is_empty() {
            return Claim::Usual;
        }
        let is_meant = |alert: &PageAlert| in_force.iter().any(|silence| silence.fits(alert));
        // From the newest on, where the one that claimed its room stands.
        let firing = page.alerts.iter().rev().filter(|known| known.alert.resolved_at.is_none());
        let mut not_meant = firing.filter(|known| !is_meant(&known.alert)).map(|known| known.id);
        match (is_meant(&fired.alert), not_meant.next()) {
            (false, None) => Claim::First,
            (true, Some(id)) => Claim::Behind(id),
            _ => Claim::Usual,
        }
    }

    fn hand(&mut self, page: Page) {
        self.state.numbers.said_total += 1;
        let number = self.state.numbers.said_total;
        self.state.handings.insert(number, super::state::Handing { number, said_at: self.now, page });
    }

    /// Open pages, of any kind.
    pub(super) fn pages_open(&self) -> usize {
        self.state.pages.values().filter(|page| !page.is_resolved()).count()
    }
}

/// Whether an alert is told at all: what is for the record is not.
pub(super) fn is_told(transition: &Transition) -> bool {
    transition.severity > Severity::Info && transition.event != TransitionEvent::Pending
}

/// When a transition was decided; a report goes with what comes before it.
pub(super) fn moment_of(output: &Output) -> Option<Timestamp> {
    match output {
        Output::Transition(transition) => Some(transition.at),
        Output::Incident(_) => None,
    }
}
