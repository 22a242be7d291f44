//! The whole of the status page: what is measured and what is said, and the board they make. One owner applies windows,
//! reports and commands in the order in which they come.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::incidents::{CommandError, Done, Request, Settings};
use super::{
    Authority, Board, ComponentState, ComponentView, Freshness, Maintenance, Measured, MeasuredState, PageInfo,
    Statements, StatusWindow,
};
use crate::config::StatusConfig;
use crate::model::{DurationMs, IncidentReport, Timestamp};

/// Announced work stays on the board for this long after its end.
const MAINTENANCE_SHOWN_MS: DurationMs = 30 * 86_400_000;
/// Bytes of a hash in the identity of a page.
const PAGE_ID_BYTES: usize = 6;

/// The whole.
#[derive(Debug, Clone)]
pub struct StatusState {
    config: StatusConfig,
    settings: Settings,
    /// Identities of the components, in the order of the configuration.
    components: Vec<String>,
    measured: Measured,
    statements: Statements,
    /// When anything that is public last changed, but for counts and ages.
    changed_at: Option<Timestamp>,
    /// Up to when the clock was looked at.
    seen_until: Option<Timestamp>,
}

/// What is remembered across restarts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoredStatus {
    measured: MeasuredState,
    statements: Statements,
    changed_at: Option<Timestamp>,
}

impl StatusState {
    /// Goes on from what is remembered.
    #[must_use]
    pub fn new(config: &StatusConfig, stored: Option<StoredStatus>) -> Self {
        let StoredStatus { measured, mut statements, changed_at } = stored.unwrap_or_default();
        let settings = Settings::new(config);
        statements.incidents.keep_known(&settings);
        Self {
            config: config.clone(),
            settings,
            components: config.components_in_force().into_iter().map(|component| component.id).collect(),
            measured: Measured::restore(config, measured),
            statements,
            changed_at,
            seen_until: None,
        }
    }

    /// What is to be remembered.
    #[must_use]
    pub fn stored(&self) -> StoredStatus {
        let (measured, statements) = (self.measured.state().clone(), self.statements.clone());
        StoredStatus { measured, statements, changed_at: self.changed_at }
    }

    /// What was stated.
    #[must_use]
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// What is taken from the configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Event time up to which everything is measured.
    #[must_use]
    pub fn data_as_of(&self) -> Option<Timestamp> {
        self.measured.data_as_of()
    }

    /// How old what is measured is.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        self.measured.freshness(now)
    }

    /// Takes in a window; gives whether the public sees a change. `now` is the clock's.
    pub fn apply(&mut self, window: &StatusWindow, now: Timestamp) -> bool {
        let (statements, components) = (&self.statements, &self.components);
        let is_new = self.measured.data_as_of().is_none_or(|as_of| window.end > as_of);
        let changes = self.measured.apply(window, &|number, at| laid(statements, components, number, at));
        if is_new {
            for (component, counts) in self.components.iter().zip(&window.components) {
                self.statements.incidents.count(component, &counts.figures);
            }
        }
        for change in &changes {
            self.statements.component_changed(change, &self.settings, now);
        }
        let has_spoken = self.speak(now);
        self.note_change(!changes.is_empty() || has_spoken, now)
    }

    /// An internal incident began, changed or ended.
    pub fn report(&mut self, report: &IncidentReport) {
        self.statements.report(report, &self.settings);
    }

    /// Looks at the clock; gives whether the public sees a change.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        let seen_until = self.seen_until.unwrap_or(now).min(now);
        self.seen_until = Some(now);
        let begins_or_ends = self.statements.schedule.next_change(seen_until).is_some_and(|at| at <= now);
        let has_spoken = self.speak(now);
        self.note_change(begins_or_ends || has_spoken, now)
    }

    /// Whether the machine said something.
    fn speak(&mut self, now: Timestamp) -> bool {
        let before = self.statements.acts_done();
        self.statements.tick(&self.settings, now, self.measured.data_as_of());
        self.statements.acts_done() != before
    }

    /// Does what a person asks.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub fn obey(&mut self, request: &Request) -> Result<Done, CommandError> {
        let done = self.statements.command(request, &self.settings)?;
        self.note_change(!done.repeated, request.at);
        Ok(done)
    }

    fn note_change(&mut self, has_changed: bool, now: Timestamp) -> bool {
        if has_changed {
            self.changed_at = self.changed_at.max(Some(now));
        }
        has_changed
    }

    /// Everything public at `now`.
    #[must_use]
    pub fn board(&self, now: Timestamp) -> Board {
        let data_as_of = self.measured.data_as_of();
        let (statements, components) = (&self.statements, &self.components);
        let freshness = self.freshness(now);
        let mut views = self.measured.views(now, freshness, &|number, at| laid(statements, components, number, at));
        views.iter_mut().for_each(|view| self.lay_words(view, now));
        let is_shown = |work: &Maintenance| now.since(work.until) < MAINTENANCE_SHOWN_MS;
        Board {
            page: page(&self.config),
            made_at: now,
            updated_at: self.changed_at.or(data_as_of).unwrap_or(now),
            data_as_of,
            freshness,
            components: views,
            incidents: self.statements.incidents.published(),
            maintenances: self.statements.schedule.maintenances().into_iter().filter(is_shown).collect(),
        }
    }

    /// Who says how a component is, and since when, where people do.
    fn lay_words(&self, view: &mut ComponentView, now: Timestamp) {
        let Some((_, authority)) = self.statements.state_at(&view.id, now) else { return };
        if let Authority::Person { .. } = authority {
            let words = self.statements.schedule.words(now);
            let word = words.iter().rev().find(|word| word.component == view.id);
            view.since = word.map(|word| word.from).or(view.since);
            view.updated_at = view.since.unwrap_or(view.updated_at);
        }
        view.authority = authority;
    }
}

/// What people say of a component then.
fn laid(statements: &Statements, components: &[String], number: usize, at: Timestamp) -> Option<ComponentState> {
    statements.state_at(components.get(number)?, at).map(|(state, _)| state)
}

fn page(config: &StatusConfig) -> PageInfo {
    let url = config.url.trim_end_matches('/').to_owned();
    let id = Sha256::digest(url.as_bytes()).iter().take(PAGE_ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    PageInfo {
        id,
        name: config.name.clone(),
        description: config.description.clone(),
        url,
        time_zone: config.time_zone.clone(),
        is_replay: false,
    }
}
