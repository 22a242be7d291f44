//! A draft, or what was published of it: what is measured, what the public reads, and who may write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::UPDATES_MAX;
use super::episode::{Episode, Phase};
use super::ids::Ids;
use super::settings::Settings;
use super::templates::{self, Proposal};
use crate::model::{Text, Timestamp};
use crate::status::{ComponentState, Impact, IncidentStatus, IncidentUpdate, PublicIncident, PublicText};

/// Earlier texts of an incident that are kept for the record.
pub const FORMER_MAX: usize = 200;

/// A draft, or an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) id: String,
    /// When the draft was made.
    pub(super) created_at: Timestamp,
    /// What is measured; absent where a person opened it and nothing is.
    pub(super) episode: Option<Episode>,
    /// Internal incidents at the same time. Never public.
    pub(super) linked: Vec<Text>,
    /// What the public reads; absent for a draft.
    pub(super) public: Option<PublicIncident>,
    /// The worst that was told of each component.
    told: BTreeMap<String, ComponentState>,
    /// How each component was at the last update.
    shown: BTreeMap<String, ComponentState>,
    /// When a person last wrote.
    pub(super) person_wrote_at: Option<Timestamp>,
    /// What was said before it was corrected, the oldest first.
    pub(super) former: Vec<Former>,
    /// Names in its public words that were learnt after they had been written.
    pub(super) exposed: Vec<String>,
}

/// What was said before it was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Which update.
    pub update: String,
    /// What it said.
    pub body: String,
    /// Until when.
    pub until: Timestamp,
    /// Who corrected it.
    pub by: String,
}

/// What is to be said. Only public texts can be.
#[derive(Debug)]
pub(super) struct Say {
    pub(super) status: IncidentStatus,
    pub(super) body: PublicText,
    pub(super) name: Option<PublicText>,
    /// Replaces the components where it is there.
    pub(super) components: Option<Vec<String>>,
}

impl Case {
    pub(super) fn new(id: String, now: Timestamp, episode: Option<Episode>) -> Self {
        Self {
            id,
            created_at: now,
            episode,
            linked: Vec::new(),
            public: None,
            told: BTreeMap::new(),
            shown: BTreeMap::new(),
            person_wrote_at: None,
            former: Vec::new(),
            exposed: Vec::new(),
        }
    }

    /// Whether it was published and is not over.
    pub(super) fn is_open(&self) -> bool {
        self.public.as_ref().is_some_and(|public| !public.status.is_over())
    }

    /// Whether it was published and is over.
    pub(super) fn is_over(&self) -> bool {
        self.public.as_ref().is_some_and(|public| public.status.is_over())
    }

    /// Whether further changes belong to it.
    pub(super) fn is_measured(&self) -> bool {
        !self.is_over() && self.episode.as_ref().is_some_and(|episode| !episode.is_closed)
    }

    /// Whether a component has a part in what is measured.
    pub(super) fn has_part(&self, component: &str) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.parts.contains_key(component))
    }

    /// Whether a component that is harmed may come in: into what the machine publishes only one of which it may speak, or
    /// that a person has named.
    pub(super) fn may_join(&self, component: &str, settings: &Settings) -> bool {
        let is_for_machine = self.episode.as_ref().is_some_and(Episode::is_for_machine);
        let may_publish = settings.component(component).is_some_and(|component| component.publishes_from.is_some());
        self.public.as_ref().is_none_or(|public| {
            !is_for_machine || may_publish || public.components.iter().any(|named| named == component)
        })
    }

    /// Looks which components let the machine speak.
    pub(super) fn allow_machine(&mut self, settings: &Settings, measured_until: Timestamp) {
        if let Some(episode) = self.episode.as_mut().filter(|episode| !episode.is_closed) {
            episode.allow_machine(settings, measured_until);
        }
    }

    /// Until when the machine is silent because a person wrote.
    pub(super) fn held_until(&self, settings: &Settings) -> Option<Timestamp> {
        self.person_wrote_at.map(|at| at.plus(settings.person_holds_ms))
    }

    /// Words that wait for somebody to publish them.
    pub(super) fn proposal(&self, settings: &Settings, now: Timestamp, measured_until: Timestamp) -> Option<Proposal> {
        let episode = self.episode.as_ref().filter(|episode| !episode.parts.is_empty())?;
        let phase = episode.phase(measured_until);
        let proposed = || templates::proposal(episode, settings, now, phase);
        let Some(public) = &self.public else { return Some(proposed()) };
        if public.status.is_over() {
            return None;
        }
        match phase {
            Phase::Over => Some(proposed()),
            Phase::Watched => (public.status < IncidentStatus::Monitoring).then(proposed),
            Phase::Harm if public.status == IncidentStatus::Monitoring => Some(proposed()),
            // What people have found out stays found out.
            Phase::Harm => self.has_news(episode).then(|| Proposal { status: public.status, ..proposed() }),
            Phase::Unclear => None,
        }
    }

    fn has_news(&self, episode: &Episode) -> bool {
        let is_news = |id: &String, state: ComponentState| self.told.get(id).is_none_or(|told| state > *told);
        episode.parts.iter().any(|(id, part)| part.state.is_harm() && is_news(id, part.state))
    }

    /// Makes it public.
    pub(super) fn publish(&mut self, say: Say, settings: &Settings, ids: &mut Ids, now: Timestamp) -> String {
        let started_at = self.episode.as_ref().and_then(Episode::started_at).unwrap_or(now).min(now);
        let public = PublicIncident {
            id: self.id.clone(),
            name: String::new(),
            status: say.status,
            impact: Impact::None,
            started_at,
            created_at: now,
            updated_at: now,
            monitoring_at: None,
            resolved_at: None,
            components: Vec::new(),
            updates: Vec::new(),
            machine_from: None,
        };
        self.public = Some(public);
        self.say(say, settings, ids, now)
    }

    /// Says more of it; gives the identity of the update. Does nothing to a draft.
    pub(super) fn say(&mut self, say: Say, settings: &Settings, ids: &mut Ids, now: Timestamp) -> String {
        let affected = self.affected(settings);
        let Some(public) = &mut self.public else { return String::new() };
        // A clock that goes back does not put the new before the old.
        let at = public.updates.first().map_or(now, |last| now.max(last.created_at));
        let id = ids.next("update", at);
        let update = IncidentUpdate {
            id: id.clone(),
            status: say.status,
            body: say.body.into_string(),
            created_at: at,
            updated_at: at,
            affected,
        };
        public.updates.insert(0, update);
        public.updated_at = public.updated_at.max(at);
        if let Some(name) = say.name {
            public.name = name.into_string();
        }
        if let Some(episode) = &self.episode {
            public.impact = public.impact.max(episode.worst().impact());
            let started_at = episode.started_at().unwrap_or(public.started_at);
            public.started_at = public.started_at.min(started_at);
            if say.components.is_none() {
                // What was there before and is not named was left out by a person.
                let is_new = |id: &&String| !public.components.contains(id) && !self.shown.contains_key(*id);
                let measured = episode.parts.keys().filter(is_new);
                let measured: Vec<_> = measured.cloned().collect();
                public.components.extend(measured);
            }
        }
        if let Some(components) = say.components {
            public.components = components;
        }
        public.components.sort_by_key(|id| settings.place(id));
        public.components.dedup();
        self.stand(say.status, at);
        self.told();
        id
    }

    /// Times that come with a status.
    fn stand(&mut self, status: IncidentStatus, at: Timestamp) {
        let recovered_at = self.episode.as_ref().and_then(Episode::recovered_at);
        let Some(public) = &mut self.public else { return };
        if status == IncidentStatus::Monitoring {
            let since = recovered_at.unwrap_or(at).min(at);
            public.monitoring_at = public.monitoring_at.or(Some(since.max(public.started_at)));
        } else if status < IncidentStatus::Monitoring {
            public.monitoring_at = None;
        }
        public.resolved_at = match status {
            status if !status.is_over() => None,
            _ if public.resolved_at.is_some() => public.resolved_at,
            _ => {
                let not_before = public.monitoring_at.unwrap_or(public.started_at).max(public.started_at);
                Some(recovered_at.unwrap_or(at).min(at).max(not_before))
            }
        };
        public.status = status;
        if status.is_over() {
            public.machine_from = None;
            if let Some(episode) = &mut self.episode {
                episode.is_closed = true;
            }
        }
    }

    fn affected(&self, settings: &Settings) -> Vec<(String, ComponentState, ComponentState)> {
        let Some(episode) = &self.episode else { return Vec::new() };
        let changes = episode.in_order(settings).map(|(component, part)| {
            let before = self.shown.get(&component.id).copied().unwrap_or(ComponentState::Operational);
            (component.id.clone(), before, part.state)
        });
        changes.filter(|(_, before, after)| before != after).collect()
    }

    /// Whoever reads it now knows how things stand.
    fn told(&mut self) {
        let Some(episode) = &self.episode else { return };
        if self.public.as_ref().is_some_and(|public| public.status == IncidentStatus::Monitoring) {
            self.told.clear();
        }
        for (id, part) in &episode.parts {
            self.shown.insert(id.clone(), part.state);
            if part.state.is_harm() {
                let told = self.told.entry(id.clone()).or_insert(part.state);
                *told = part.state.max(*told);
            }
        }
    }

    /// Whether there is room for an update; the last place is for the one that says that it is over.
    pub(super) fn has_room(&self, status: IncidentStatus) -> bool {
        let written = self.public.as_ref().map_or(0, |public| public.updates.len());
        let kept_free = match status {
            IncidentStatus::Postmortem => 0,
            status if status.is_over() => 1,
            _ => 2,
        };
        written + kept_free < UPDATES_MAX
    }

    /// Shows from when on the machine writes again.
    pub(super) fn show_hold(&mut self, settings: &Settings, now: Timestamp) {
        let held_until = self.held_until(settings).filter(|until| *until > now);
        let is_for_machine = self.episode.as_ref().is_some_and(Episode::is_for_machine);
        if let Some(public) = &mut self.public {
            public.machine_from = held_until.filter(|_| is_for_machine && !public.status.is_over());
        }
    }

    /// Remembers what was said before a correction.
    pub(super) fn remember(&mut self, former: Former) {
        if self.former.len() >= FORMER_MAX {
            self.former.remove(0);
        }
        self.former.push(former);
    }
}
