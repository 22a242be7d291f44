//! Everything that is public at one moment. Feeds, page and files are made of this, and of nothing else.

use serde::{Deserialize, Serialize};

use super::{ComponentState, Impact, IncidentStatus};
use crate::model::{DurationMs, Timestamp};

/// Days of history that are shown, today included.
pub const DAYS_SHOWN: usize = 90;

/// Everything public at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Whose page.
    pub page: PageInfo,
    /// The moment: the clock of whoever made it.
    pub made_at: Timestamp,
    /// When anything in it last changed, but for counts and ages.
    pub updated_at: Timestamp,
    /// Event time up to which everything is measured; absent before the first event.
    pub data_as_of: Option<Timestamp>,
    /// How old that is.
    pub freshness: Freshness,
    /// In the order of the configuration.
    pub components: Vec<ComponentView>,
    /// Published incidents, the newest first: all that are open, and those of the past that are kept.
    pub incidents: Vec<PublicIncident>,
    /// Announced work, the earliest first: to come, under way, and of the last days.
    pub maintenances: Vec<Maintenance>,
}

/// Whose page it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageInfo {
    /// Identity, made of the URL.
    pub id: String,
    /// Name.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// Where it is, without a slash at its end.
    pub url: String,
    /// IANA name of the zone of days and times.
    pub time_zone: String,
    /// Whether it tells of another day as if that were now: a demo does. Its age means nothing.
    pub is_replay: bool,
}

/// How old the data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As new as it should be.
    Current,
    /// Old: states are the last that were measured.
    Stale,
    /// Too old: states are `unknown`, but for what a person says.
    Unknown,
}

/// A component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentView {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// With which others it stands.
    pub group: Option<String>,
    /// How it is.
    pub state: ComponentState,
    /// Since when; absent where that is not known.
    pub since: Option<Timestamp>,
    /// Who says so.
    pub authority: Authority,
    /// When it was first measured or named.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// Share of requests that is to succeed, 0 to 1.
    pub objective: Option<f64>,
    /// The last [`DAYS_SHOWN`] days, the oldest first, today last.
    pub days: Vec<DayView>,
    /// The last 24 hours in steps of five minutes, the oldest first; steps without requests are left out.
    pub latency: Vec<LatencyPoint>,
}

/// Who says how a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// The requests.
    Measured,
    /// Announced work.
    Maintenance,
    /// A person, until then; what is measured does not count so long.
    Person {
        /// When the word ends.
        until: Timestamp,
        /// What they say of it.
        note: Option<String>,
    },
}

/// A day of a component.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DayView {
    /// `2026-11-21`, in the page's zone.
    pub date: String,
    /// Length of the day as far as it has passed: 23 to 25 hours for a whole one.
    pub elapsed_ms: DurationMs,
    /// Of it, by state. The rest was before anything was measured: it counts as unknown.
    pub operational_ms: DurationMs,
    /// Degraded.
    pub degraded_ms: DurationMs,
    /// Out in part.
    pub partial_ms: DurationMs,
    /// Out.
    pub major_ms: DurationMs,
    /// Announced work.
    pub maintenance_ms: DurationMs,
    /// Unknown, all of it.
    pub unknown_ms: DurationMs,
    /// Requests.
    pub requests: u64,
    /// Of these, failed (5xx or 429).
    pub failures: u64,
    /// Of these, slow.
    pub slow: u64,
}

/// Durations of five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyPoint {
    /// Its first moment.
    pub at: Timestamp,
    /// Requests.
    pub requests: u64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 are not longer, milliseconds.
    pub p95_ms: f64,
}

/// An incident as the public reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIncident {
    /// Identity: lower-case letters and digits, nothing of the inside.
    pub id: String,
    /// Title.
    pub name: String,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad it was at its worst.
    pub impact: Impact,
    /// When it began to be felt.
    pub started_at: Timestamp,
    /// When it was published.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// Since when it is watched.
    pub monitoring_at: Option<Timestamp>,
    /// When it was over: the end of what was felt where that is measured.
    pub resolved_at: Option<Timestamp>,
    /// Identities of the components it touches, in the order of the configuration.
    pub components: Vec<String>,
    /// The newest first; never empty.
    pub updates: Vec<IncidentUpdate>,
    /// Whether the machine writes at times, and then from when on again: a person has written.
    pub machine_from: Option<Timestamp>,
}

/// What was said of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentUpdate {
    /// Identity.
    pub id: String,
    /// Where the incident stood from then on.
    pub status: IncidentStatus,
    /// Plain text; a blank line ends a paragraph.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last corrected.
    pub updated_at: Timestamp,
    /// How components changed with it: identity, before, after.
    pub affected: Vec<(String, ComponentState, ComponentState)>,
}

/// Announced work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Identity.
    pub id: String,
    /// Title.
    pub name: String,
    /// What users will see.
    pub body: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// When it was announced.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether it was called off.
    pub is_cancelled: bool,
    /// Identities of the components it is about.
    pub components: Vec<String>,
}

/// Where announced work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaintenanceStage {
    /// To come.
    Scheduled,
    /// Under way.
    InProgress,
    /// Over, or called off.
    Completed,
}

impl Maintenance {
    /// Where it stands at a moment; its first moment is under way, its last is not.
    #[must_use]
    pub fn stage(&self, at: Timestamp) -> MaintenanceStage {
        match at {
            _ if self.is_cancelled || at >= self.until => MaintenanceStage::Completed,
            _ if at >= self.from => MaintenanceStage::InProgress,
            _ => MaintenanceStage::Scheduled,
        }
    }

    /// Whether it is under way at a moment.
    #[must_use]
    pub fn is_under_way(&self, at: Timestamp) -> bool {
        self.stage(at) == MaintenanceStage::InProgress
    }
}
