//! The part of OpenSLO v1 that is supported, as types.

#![expect(dead_code, reason = "files are held against these types: what says nothing to us must still be spelt right")]

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Span;

/// An objective as a file: OpenSLO v1, kind SLO.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SloFile {
    /// `openslo/v1`.
    pub api_version: ApiVersion,
    /// `SLO`.
    pub kind: Kind,
    /// Names.
    pub metadata: Metadata,
    /// The objective.
    pub spec: Spec,
}

/// Versions that are read.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) enum ApiVersion {
    /// OpenSLO v1.
    #[serde(rename = "openslo/v1")]
    V1,
}

/// Kinds that are read.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) enum Kind {
    /// A service level objective.
    #[serde(rename = "SLO")]
    Slo,
}

/// Names of a thing.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Metadata {
    /// Name; of the SLO, the label `objective` of its alerts.
    pub name: String,
    /// Title for people.
    pub display_name: Option<String>,
    /// For other tools.
    pub labels: Option<BTreeMap<String, serde_json::Value>>,
    /// For other tools.
    pub annotations: Option<BTreeMap<String, serde_json::Value>>,
}

/// The objective.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    /// For people.
    pub description: Option<String>,
    /// OpenSLO's name of the service, for other tools; which requests count says `indicator`.
    pub service: String,
    /// Which requests count, and which of them are good.
    pub indicator: Indicator,
    /// One rolling window of 30 days.
    pub time_window: Vec<TimeWindow>,
    /// Each request counts alike.
    pub budgeting_method: BudgetingMethod,
    /// One target.
    pub objectives: Vec<Objective>,
}

/// How the budget is counted.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) enum BudgetingMethod {
    /// Each request counts alike.
    Occurrences,
}

/// The window of the budget.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TimeWindow {
    /// `30d`.
    pub duration: Span,
    /// `true`.
    pub is_rolling: bool,
}

/// The target.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Objective {
    /// Title for people.
    pub display_name: Option<String>,
    /// Share of requests that must be good, e.g. 0.999.
    pub target: f64,
}

/// Which requests count, and which of them are good.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Indicator {
    /// Names.
    pub metadata: Option<Metadata>,
    /// The ratio.
    pub spec: IndicatorSpec,
}

/// What is measured.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct IndicatorSpec {
    /// For people.
    pub description: Option<String>,
    /// Good requests of all requests.
    pub ratio_metric: RatioMetric,
}

/// Good requests of all requests.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RatioMetric {
    /// For other tools.
    pub counter: Option<bool>,
    /// Which requests are good.
    pub good: GoodMetric,
    /// Which requests count.
    pub total: TotalMetric,
}

/// Which requests are good.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct GoodMetric {
    /// Where they are counted.
    pub metric_source: GoodSource,
}

/// Which requests count.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TotalMetric {
    /// Where they are counted.
    pub metric_source: TotalSource,
}

/// Where requests are counted.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) enum SourceType {
    /// In the request logs that Floodmark reads.
    Floodmark,
}

/// Good requests in the request logs.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GoodSource {
    /// `Floodmark`.
    pub r#type: SourceType,
    /// What makes a request good.
    pub spec: Good,
}

/// Requests in the request logs.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TotalSource {
    /// `Floodmark`.
    pub r#type: SourceType,
    /// Which requests count.
    pub spec: Total,
}

/// What makes a request good; all of it must hold.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Good {
    /// `500`: the server did not fail.
    pub status_below: u64,
    /// It was answered within so many milliseconds; exact to 9 %.
    pub duration_ms_max: Option<f64>,
}

/// Which requests count, by the names of event fields; at least one of them.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Total {
    /// Who answered.
    pub service: Option<String>,
    /// Route template.
    pub route: Option<String>,
    /// Who is billed.
    pub subscription: Option<String>,
}
