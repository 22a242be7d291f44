//! What people ask for: one enum, as JSON has it.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::status::{ComponentState, Impact, IncidentStatus};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Makes a draft public. What is absent is as it was proposed.
    Publish {
        /// Which draft.
        draft: String,
        /// Title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<IncidentStatus>,
        /// What users see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// Components it touches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        components: Option<Vec<String>>,
    },
    /// A draft is not for the public.
    Discard {
        /// Which draft.
        draft: String,
    },
    /// A new incident.
    Open {
        /// Title.
        name: String,
        /// What users see.
        body: String,
        /// Where it stands; investigating, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<IncidentStatus>,
        /// How bad it is; minor, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<Impact>,
        /// Components it touches.
        #[serde(default)]
        components: Vec<String>,
        /// When it began to be felt; now, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_at: Option<Timestamp>,
    },
    /// Says more of an incident.
    Update {
        /// Which.
        incident: String,
        /// What there is to say.
        body: String,
        /// Where it stands; as before, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<IncidentStatus>,
        /// A better title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Components it touches; as before, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        components: Option<Vec<String>>,
        /// It is not over after all.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reopen: bool,
    },
    /// Corrects what was said.
    EditUpdate {
        /// Of which incident.
        incident: String,
        /// Which update.
        update: String,
        /// What it is to say.
        body: String,
    },
    /// It is over.
    Resolve {
        /// Which incident.
        incident: String,
        /// What there is to say; how long it lasted, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// What was learnt.
    Postmortem {
        /// From which incident.
        incident: String,
        /// It.
        body: String,
    },
    /// Says how a component is, whatever is measured, until then.
    State {
        /// Which component.
        component: String,
        /// How it is.
        state: ComponentState,
        /// Until when.
        until: Timestamp,
        /// Why; public.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// What is measured counts again.
    Clear {
        /// Of which component.
        component: String,
    },
    /// Announces work.
    Announce {
        /// Title.
        name: String,
        /// What users will see.
        body: String,
        /// When it begins; now, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
        /// When it ends.
        until: Timestamp,
        /// Components it is about.
        components: Vec<String>,
    },
    /// Changes announced work. What is absent stays.
    ChangeMaintenance {
        /// Which.
        maintenance: String,
        /// Title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What users will see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// When it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Components it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        components: Option<Vec<String>>,
    },
    /// Calls announced work off, or ends it.
    CancelMaintenance {
        /// Which.
        maintenance: String,
    },
}

/// A command, who gives it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What.
    pub command: Command,
    /// Whose token it was, else who they say they are. Never public.
    pub who: String,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The same key with the same command is the same request: it is done once.
    pub key: Option<String>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Identity of the incident, draft, maintenance or component.
    pub id: String,
    /// Identity of the update that was written or corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// Whether it was done before, by a request with the same key.
    #[serde(default)]
    pub repeated: bool,
}

impl Done {
    pub(in crate::status) fn of(id: &str) -> Self {
        Self { id: id.to_owned(), update: None, repeated: false }
    }
}

/// Why a command is refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing with this identity.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as it is asked for.
    #[error("{0}")]
    Refused(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    NotPossible(String),
}

impl CommandError {
    pub(in crate::status) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl Command {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Discard { .. } => "discard",
            Self::Open { .. } => "open",
            Self::Update { .. } => "update",
            Self::EditUpdate { .. } => "edit_update",
            Self::Resolve { .. } => "resolve",
            Self::Postmortem { .. } => "postmortem",
            Self::State { .. } => "state",
            Self::Clear { .. } => "clear",
            Self::Announce { .. } => "announce",
            Self::ChangeMaintenance { .. } => "change_maintenance",
            Self::CancelMaintenance { .. } => "cancel_maintenance",
        }
    }

    /// What of it a person wrote, for the record.
    pub(in crate::status) fn written(&self) -> &str {
        match self {
            Self::Publish { body, name, .. } | Self::ChangeMaintenance { body, name, .. } => {
                body.as_deref().or(name.as_deref()).unwrap_or_default()
            }
            Self::Open { body, .. }
            | Self::Update { body, .. }
            | Self::EditUpdate { body, .. }
            | Self::Postmortem { body, .. }
            | Self::Announce { body, .. } => body,
            Self::Resolve { body, .. } => body.as_deref().unwrap_or_default(),
            Self::State { note, .. } => note.as_deref().unwrap_or_default(),
            Self::Discard { .. } | Self::Clear { .. } | Self::CancelMaintenance { .. } => "",
        }
    }
}
