//! Incidents as those see them who word them: with what is proposed and what they are linked to. Not public.

use serde::Serialize;

use super::case::{Case, Former};
use super::templates::Proposal;
use super::{Incidents, Settings};
use crate::model::{Text, Timestamp};
use crate::status::{ComponentState, Impact, PublicIncident};

/// A draft.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DraftView {
    /// Identity; it stays when it is published.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is felt.
    pub started_at: Timestamp,
    /// When all was well again.
    pub recovered_at: Option<Timestamp>,
    /// How bad it was at its worst.
    pub impact: Impact,
    /// What is measured.
    pub components: Vec<PartView>,
    /// Words to publish.
    pub proposal: Proposal,
    /// Internal incidents at the same time.
    pub linked: Vec<Text>,
}

/// A component in an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartView {
    /// Identity.
    pub id: String,
    /// How it is.
    pub state: ComponentState,
    /// How it was at its worst.
    pub worst: ComponentState,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A published incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentView {
    /// What the public reads.
    #[serde(flatten)]
    pub public: PublicIncident,
    /// An update to publish, where there is something new.
    pub proposal: Option<Proposal>,
    /// Internal incidents at the same time.
    pub linked: Vec<Text>,
    /// What updates said before they were corrected.
    pub former: Vec<Former>,
    /// Names in its words that were learnt after they had been written: correct them.
    pub exposed: Vec<String>,
}

impl Incidents {
    /// Drafts, the newest first.
    #[must_use]
    pub fn drafts(&self, settings: &Settings, now: Timestamp) -> Vec<DraftView> {
        let drafts = self.cases.iter().rev().filter(|case| case.public.is_none());
        drafts.filter_map(|case| draft(case, settings, now, self.measured_until())).collect()
    }

    /// Published incidents, the newest first.
    #[must_use]
    pub fn incidents(&self, settings: &Settings, now: Timestamp) -> Vec<IncidentView> {
        let view = |case: &Case| {
            Some(IncidentView {
                public: case.public.clone()?,
                proposal: case.proposal(settings, now, self.measured_until()),
                linked: case.linked.clone(),
                former: case.former.clone(),
                exposed: case.exposed.clone(),
            })
        };
        let mut incidents: Vec<_> = self.cases.iter().rev().filter_map(view).collect();
        incidents.sort_by_key(|incident| std::cmp::Reverse(incident.public.created_at));
        incidents
    }
}

fn draft(case: &Case, settings: &Settings, now: Timestamp, measured_until: Timestamp) -> Option<DraftView> {
    let episode = case.episode.as_ref()?;
    let part = |(component, part): (&super::settings::ComponentSettings, &super::episode::Part)| PartView {
        id: component.id.clone(),
        state: part.state,
        worst: part.worst,
        since: part.since,
        until: part.until,
    };
    Some(DraftView {
        id: case.id.clone(),
        created_at: case.created_at,
        started_at: episode.started_at()?,
        recovered_at: episode.recovered_at(),
        impact: episode.worst().impact(),
        components: episode.in_order(settings).map(part).collect(),
        proposal: case.proposal(settings, now, measured_until)?,
        linked: case.linked.clone(),
    })
}
