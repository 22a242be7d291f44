//! The description of the dashboards, as it is written down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The description says something that is not so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dashboards: {0}")]
pub struct SourceError(pub(super) String);

impl SourceError {
    pub(super) fn from_json(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The whole description.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub dashboards: Vec<Dashboard>,
}

/// A dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    /// Name of the file; with `floodmark-` before it the uid.
    pub name: String,
    pub title: String,
    pub description: String,
    /// Range that it opens with: `now-6h`.
    pub from: String,
    #[serde(default)]
    pub variables: Vec<Variable>,
    pub panels: Vec<Panel>,
}

/// What a reader can choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub name: String,
    pub label: String,
    pub description: String,
    /// The named query whose column offers values.
    pub query: Option<String>,
    pub column: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Or the values themselves.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a panel shows its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// Curves over time.
    Curve,
    /// Rows.
    Table,
    /// One number.
    Number,
}

/// A panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub title: String,
    pub description: String,
    pub look: Look,
    /// The named query.
    pub query: Option<String>,
    /// Values of its parameters: a text, or `$name` of a variable. The range and the step come from Grafana.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The columns that are shown; of a table all by default.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column that tells curves apart.
    pub by: Option<String>,
    /// Instead of a named query: what Prometheus is asked of Floodmark's own metrics, and how curves are named.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// Grafana's unit, for metrics.
    pub unit: Option<String>,
    /// A range of its own: `30d`.
    pub range: Option<String>,
    /// Of 24.
    #[serde(default = "width")]
    pub width: u32,
}

/// What Prometheus is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    pub expr: String,
    pub legend: String,
}

fn width() -> u32 {
    12
}

impl Source {
    pub fn read(text: &str) -> Result<Self, SourceError> {
        toml::from_str(text).map_err(|error| SourceError(error.to_string()))
    }
}
