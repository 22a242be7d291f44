//! What is wrong with a threshold: everything that its types do not say.

use super::key::BY_MAX;
use super::series::Kind;
use super::spec::is_counter;
use super::{Series, ThresholdSpec};
use crate::model::Dimension;

/// Texts of one dimension that a rule may name.
const TEXTS_MAX: usize = 100;

/// A parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// Its key below the block's, e.g. `by[1]`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SpecProblem {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl ThresholdSpec {
    /// Everything that makes no sense.
    #[must_use]
    pub fn problems(&self) -> Vec<SpecProblem> {
        let mut problems = self.level_problems();
        problems.extend(self.dimension_problems());
        problems.extend(self.metric_problems());
        problems.extend(self.span_problems());
        problems
    }

    fn level_problems(&self) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let shares = self.series.kind() == Kind::Share;
        if !self.value.is_finite() {
            problems.push(SpecProblem::new("value", "must be a number"));
        } else if shares && !(0.0..=1.0).contains(&self.value) {
            let problem = SpecProblem::new("value", "is a share: it must lie between 0 and 1");
            problems.push(problem.hint("5 % is 0.05"));
        } else if let Some(message) = self.decided_beforehand() {
            problems.push(SpecProblem::new("value", message).hint("turn `op` around, or take another value"));
        }
        problems.extend(self.level().problem().map(|(key, message)| SpecProblem::new(key, message)));
        problems
    }

    /// What no series can be, or always is: a rule that never fires looks exactly like a healthy system.
    fn decided_beforehand(&self) -> Option<&'static str> {
        let (least, most) = match self.series.kind() {
            Kind::Reading => return None,
            Kind::Share => (0.0, 1.0),
            // Counts, sizes and durations.
            Kind::Rate | Kind::Statistic => (0.0, f64::INFINITY),
        };
        match (self.op.holds(least, self.value), self.op.holds(most, self.value)) {
            (false, false) => Some("no value of the series is on that side of it: the rule would never fire"),
            (true, true) => Some("every value of the series is on that side of it: the rule would always fire"),
            _ => None,
        }
    }

    fn dimension_problems(&self) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let known = self.series.dimensions();
        let names: Vec<String> = known.iter().map(|known| format!("`{}`", known.as_str())).collect();
        let hint =
            if names.is_empty() { "it has none".to_owned() } else { format!("known here: {}", names.join(", ")) };
        let untold = |key: String, dimension: &Dimension| {
            let message = format!("`{}` is not told of {}", dimension.as_str(), self.series.as_str());
            SpecProblem::new(key, message).hint(hint.clone())
        };
        for (place, dimension) in self.by.iter().enumerate() {
            let key = format!("by[{place}]");
            if !known.contains(dimension) {
                problems.push(untold(key, dimension));
            } else if self.by[..place].contains(dimension) {
                problems.push(SpecProblem::new(key, format!("`{}` is there twice", dimension.as_str())));
            }
        }
        if self.by.len() > BY_MAX {
            problems.push(SpecProblem::new("by", format!("may have at most {BY_MAX} dimensions")));
        }
        for (dimension, texts) in &self.only.0 {
            let key = format!("where.{}", dimension.as_str());
            let count = texts.as_slice().len();
            if !known.contains(dimension) {
                problems.push(untold(key, dimension));
            } else if count == 0 || count > TEXTS_MAX {
                problems
                    .push(SpecProblem::new(key, format!("must name between 1 and {TEXTS_MAX} of them, not {count}")));
            }
        }
        if self.series == Series::CallsPerRequest && !self.by.contains(&Dimension::Caller) {
            problems.push(SpecProblem::new("by", "must have `caller`: it is who serves the requests"));
        }
        problems
    }

    fn metric_problems(&self) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let (metric, divided_by) = (self.metric.as_deref(), self.divided_by.as_deref());
        let (wants_metric, wants_both) = (self.series.kind() == Kind::Reading, self.series == Series::SignalRatio);
        for (key, given, wanted) in [("metric", metric, wants_metric), ("divided_by", divided_by, wants_both)] {
            match given {
                None if wanted => {
                    let problem = SpecProblem::new("series", format!("`{}` needs `{key}`", self.series.as_str()));
                    problems.push(problem.hint(format!("write `{key}: pool_in_use` or the like")));
                }
                Some(_) if !wanted => {
                    problems.push(SpecProblem::new(key, format!("has no meaning for `{}`", self.series.as_str())));
                }
                Some("") => problems.push(SpecProblem::new(key, "must be the name of a metric")),
                _ => {}
            }
        }
        if let (Some(metric), Some(divided_by), true) = (metric, divided_by, wants_both)
            && is_counter(metric) != is_counter(divided_by)
        {
            let problem = SpecProblem::new("divided_by", "must be a counter as `metric` is, or a gauge as it is");
            problems.push(problem.hint("names of counters end in `_total`"));
        }
        problems
    }

    fn span_problems(&self) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let gauge = self.series.kind() == Kind::Reading && !self.metric.as_deref().is_some_and(is_counter);
        if self.over.is_some() && gauge {
            let problem = SpecProblem::new("over", "has no meaning for gauges: their newest reading counts");
            problems.push(problem.hint("`for` says how long it must last"));
        } else if !(10_000..=3_600_000).contains(&self.over_ms()) {
            problems.push(SpecProblem::new("over", "must lie between 10s and 1h"));
        }
        if self.samples_min == Some(0) {
            problems.push(SpecProblem::new("samples_min", "must be at least 1: absent data is not zero"));
        } else if self.samples_min.is_some() && self.series.kind() == Kind::Reading {
            problems.push(SpecProblem::new("samples_min", format!("has no meaning for `{}`", self.series.as_str())));
        }
        problems
    }
}
