//! The page: what a person is told about an incident, once for all receivers. Plain data; who makes it is `alert::paging`,
//! who renders it is `alert::notify`.

use serde::{Deserialize, Serialize};

use super::{
    Affected, AlertName, Cause, Customer, Dimensions, RuledOut, SampleQuery, SampleRequest, Severity, Text, Timestamp,
};

/// Longest title, in characters: what a phone shows of it.
pub const TITLE_CHARS_MAX: usize = 79;
/// Longest summary and description of a rule on a page, in characters; what is longer is cut.
pub const RULE_SUMMARY_CHARS_MAX: usize = 300;
/// See [`RULE_SUMMARY_CHARS_MAX`].
pub const RULE_DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Contributors, causes and alerts that a page names; what is left out is counted beside them.
pub const PAGE_ROWS_MAX: usize = 10;

/// What has happened to a page since it was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageEvent {
    /// There is something new to look at.
    Opened,
    /// The same incident, with another cause, a worse severity, or many more affected.
    Updated,
    /// Somebody has taken it.
    Acknowledged,
    /// It is over.
    Resolved,
}

/// One alert of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageAlert {
    /// Alert name.
    pub alert: AlertName,
    /// Its severity.
    pub severity: Severity,
    /// What it is about.
    pub labels: Dimensions,
    /// When its condition began.
    pub since: Timestamp,
    /// When it resolved; absent while it fires.
    pub resolved_at: Option<Timestamp>,
    /// The number, in `unit`; of the worst moment once it is resolved.
    pub value: f64,
    /// What is normal, in `unit`.
    pub baseline: f64,
    /// Unit of `value` and `baseline`.
    pub unit: Text,
    /// One sentence for a person.
    pub summary: String,
    /// What to do: a path of this project (below `paging.runbook_url` when there is one), or a URL.
    pub runbook: Text,
}

/// What the rule of an alert says, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleWords {
    /// Its `annotations.summary`; at most [`RULE_SUMMARY_CHARS_MAX`] characters.
    pub summary: String,
    /// Its `annotations.description`; empty where it has none. At most [`RULE_DESCRIPTION_CHARS_MAX`] characters.
    pub description: String,
}

impl RuleWords {
    /// Takes texts of a rule file: cut, and without what would only disturb (control characters but line ends).
    #[must_use]
    pub fn new(summary: &str, description: &str) -> Self {
        let clean = |text: &str, chars_max: usize| {
            let shown = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
            let mut kept: String = text.trim().chars().map(shown).take(chars_max + 1).collect();
            if kept.chars().count() > chars_max {
                kept = kept.chars().take(chars_max - 1).chain(['…']).collect();
            }
            kept
        };
        Self {
            summary: clean(summary, RULE_SUMMARY_CHARS_MAX),
            description: clean(description, RULE_DESCRIPTION_CHARS_MAX),
        }
    }
}

/// Who makes up how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contributor {
    /// Who, with the names of event fields.
    pub dimensions: Dimensions,
    /// Its share of the harm, 0 to 1.
    pub share: f64,
}

/// Where to look further, each a URL. Absent without `paging.external_url` (for the dashboard and the runbook, without
/// theirs).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PageLinks {
    /// The incident in the console; of a storm, its alerts.
    pub incident: Option<String>,
    /// The dashboard, at the incident's range of time.
    pub dashboard: Option<String>,
    /// All that was said of it, out of ClickHouse.
    pub query: Option<String>,
    /// What to do.
    pub runbook: Option<String>,
}

/// A page. One for each incident and each storm; `dedup_key` is the same for all that is said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The incident's id, or the storm's. At most 255 bytes.
    pub dedup_key: Text,
    /// Counts what was said of this page, from 1. With `dedup_key` the identity of a notification.
    pub revision: u32,
    /// What has happened.
    pub event: PageEvent,
    /// The worst severity so far.
    pub severity: Severity,
    /// `[CRITICAL] subject: symptom`; at most [`TITLE_CHARS_MAX`] characters.
    pub title: String,
    /// Event time of what is said.
    pub at: Timestamp,
    /// Since when.
    pub since: Timestamp,
    /// When it ended; absent while it goes on.
    pub resolved_at: Option<Timestamp>,
    /// What it does to users, in plain words.
    pub impact: String,
    /// What leads: the first alert of the worst severity, with the number and its baseline.
    pub lead: PageAlert,
    /// What the rule says that has raised it.
    #[serde(default)]
    pub rule: RuleWords,
    /// The other alerts, worst first, at most [`PAGE_ROWS_MAX`].
    pub alerts: Vec<PageAlert>,
    /// Further alerts that are not named.
    pub alerts_more: u64,
    /// Who makes up how much of it, the largest first, at most [`PAGE_ROWS_MAX`].
    pub contributors: Vec<Contributor>,
    /// Further contributors that are not named.
    pub contributors_more: u64,
    /// Likely causes, ranked, with evidence; inferences, not facts. At most [`PAGE_ROWS_MAX`].
    pub causes: Vec<Cause>,
    /// What was looked at and refused.
    pub ruled_out: Vec<RuledOut>,
    /// Who feels it.
    pub affected: Affected,
    /// Whom to contact, the heaviest first.
    pub customers: Vec<Customer>,
    /// Requests of its worst moment to look up; none where requests have no ids.
    #[serde(default)]
    pub sample_requests: Vec<SampleRequest>,
    /// Runs of queries of its worst moment to look up; none where it is not about queries or they have no ids.
    #[serde(default)]
    pub sample_queries: Vec<SampleQuery>,
    /// What to do, most urgent first.
    pub actions: Vec<String>,
    /// How sure, and of what: `client_version = 4.0.0 is behind it; high: direct evidence, others refused`.
    pub confidence: String,
    /// Who has taken it.
    pub acknowledged_by: Option<Text>,
    /// Where to look further.
    pub links: PageLinks,
}
