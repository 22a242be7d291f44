//! `threshold:` of a rule.

use serde::{Deserialize, Serialize};

use super::series::Kind;
use super::{ByDimension, Level, Op, Series, Texts};
use crate::config::Span;
use crate::model::{Dimension, Dimensions, DurationMs, Text};

/// The span that is looked at, where the rule says nothing else.
const OVER: Span = Span::from_secs(60);

/// `threshold: {…}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdSpec {
    /// What is looked at; the list is in `alerts/rules/README.md`.
    pub series: Series,
    /// The metric, of `signal` and `signal_ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The metric below the line, of `signal_ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divided_by: Option<String>,
    /// What is told apart, each with an alert of its own; signals are always told apart by source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Dimension>,
    /// What it is narrowed down to.
    #[serde(default, rename = "where", skip_serializing_if = "ByDimension::is_empty")]
    pub only: ByDimension<Texts>,
    /// On which side of `value` it must be: `">"`, `">="`, `"<"` or `"<="`, in quotes.
    pub op: Op,
    /// The threshold, in the unit of the series.
    pub value: f64,
    /// What it must come back over before it counts as gone. Absent: the threshold itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    /// Span that is looked at, up to now: 1m where nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Span>,
    /// With fewer requests (queries, events) in the span nothing is judged. Absent: as the list of series has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples_min: Option<u64>,
}

impl ThresholdSpec {
    /// The same with its defaults written out, as far as they mean something for the series.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        let is_reading = self.series.kind() == Kind::Reading;
        let is_gauge = is_reading && !self.metric.as_deref().is_some_and(is_counter);
        Self {
            over: self.over.or((!is_gauge).then_some(OVER)),
            samples_min: self.samples_min.or((!is_reading).then(|| self.series.samples_min())),
            ..self.clone()
        }
    }

    /// Threshold and hysteresis.
    #[must_use]
    pub fn level(&self) -> Level {
        Level { op: self.op, threshold: self.value, clear: self.clear }
    }

    /// The span that is looked at, in milliseconds.
    #[must_use]
    pub fn over_ms(&self) -> DurationMs {
        self.over.unwrap_or(OVER).as_millis()
    }

    /// With fewer samples nothing is judged.
    #[must_use]
    pub fn least_samples(&self) -> u64 {
        self.samples_min.unwrap_or_else(|| self.series.samples_min())
    }

    /// What alerts are told apart by.
    #[must_use]
    pub fn told_by(&self) -> &[Dimension] {
        if self.series.kind() == Kind::Reading { &[Dimension::Source] } else { &self.by }
    }

    /// Labels of every alert: what is fixed.
    #[must_use]
    pub fn fixed_labels(&self) -> Dimensions {
        let fixed = self.only.0.iter().filter_map(|(dimension, texts)| Some((*dimension, Text::from(texts.fixed()?))));
        Dimensions::new(fixed)
    }

    /// What it is called in a sentence.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.metric, &self.divided_by) {
            (Some(metric), Some(divided_by)) => format!("{metric} over {divided_by}"),
            (Some(metric), None) if is_counter(metric) => format!("{metric} a second"),
            (Some(metric), None) => metric.clone(),
            _ => self.series.as_str().to_owned(),
        }
    }

    /// Unit of its values.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match (self.series, self.metric.as_deref()) {
            (Series::Signal, Some(metric)) => unit_of(metric),
            (series, _) => series.unit(),
        }
    }
}

/// Whether a metric counts up for ever: the contract's names of counters end so.
pub(super) fn is_counter(metric: &str) -> bool {
    metric.ends_with("_total")
}

/// The unit that a metric's name ends with.
pub(super) fn unit_of(metric: &str) -> &'static str {
    let (name, counter) = metric.strip_suffix("_total").map_or((metric, false), |name| (name, true));
    match (name, counter) {
        (name, true) if name.ends_with("_bytes") => "bytes per second",
        (_, true) => "per second",
        (name, _) if name.ends_with("_per_second") => "per second",
        (name, _) if name.ends_with("_bytes") => "bytes",
        (name, _) if name.ends_with("_milliseconds") => "ms",
        (name, _) if name.ends_with("_seconds") => "seconds",
        (name, _) if name.ends_with("_ratio") => "ratio",
        _ => "value",
    }
}
