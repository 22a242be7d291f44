//! `query:` of a rule: a named query, asked again and again, and a threshold on one of its columns.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::key::BY_MAX;
use super::spec::unit_of;
use super::{ByDimension, Level, Op, SpecProblem};
use crate::config::Span;
use crate::model::{NamedQuery, ParameterKind, Timestamp, did_you_mean};

/// How often a query is asked, where the rule says nothing else.
const EVERY: Span = Span::from_secs(60);
/// A query without an answer for this long has failed, where the rule says nothing else.
const TIMEOUT: Span = Span::from_secs(10);
/// Longest name of a column.
const COLUMN_BYTES_MAX: usize = 100;

/// `query: {…}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRuleSpec {
    /// A named query, as `queries/named` has it, without `.sql`.
    pub name: String,
    /// Its parameters, every one of them. Moments are RFC 3339, `now`, or `now-5m`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, ParameterText>,
    /// How often it is asked.
    #[serde(default = "every")]
    pub every: Span,
    /// The column that is compared.
    pub value: String,
    /// Columns that tell rows apart, by the dimension that each is. Of rows with the same, the greatest value counts.
    #[serde(default, skip_serializing_if = "ByDimension::is_empty")]
    pub by: ByDimension<String>,
    /// On which side of `threshold` the value must be: `">"`, `">="`, `"<"` or `"<="`, in quotes.
    pub op: Op,
    /// The threshold, in the column's unit.
    pub threshold: f64,
    /// What it must come back over before it counts as gone. Absent: the threshold itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    /// A query without an answer for this long has failed.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

/// A parameter as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "parameters of `query` are texts, moments, or whole numbers from 0 to 4294967295")]
pub enum ParameterText {
    /// A whole number.
    Count(u32),
    /// A text, or a moment.
    Text(String),
}

impl JsonSchema for ParameterText {
    fn schema_name() -> Cow<'static, str> {
        "ParameterText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, a whole number, or a moment: RFC 3339, `now`, or `now-5m`.",
            "type": ["string", "integer"],
        })
    }
}

impl ParameterText {
    /// The moment that is meant at `now`, if it is one.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> Option<Timestamp> {
        let Self::Text(text) = self else { return None };
        match text.strip_prefix("now") {
            Some("") => Some(now),
            Some(rest) => rest.strip_prefix('-')?.parse::<Span>().ok().map(|ago| now.plus(-ago.as_millis())),
            None => Timestamp::parse_rfc3339(text).ok(),
        }
    }

    fn is(&self, kind: ParameterKind) -> bool {
        match kind {
            ParameterKind::Text => matches!(self, Self::Text(_)),
            ParameterKind::Count | ParameterKind::Number => matches!(self, Self::Count(_)),
            ParameterKind::Moment => self.moment(Timestamp::default()).is_some(),
        }
    }
}

fn every() -> Span {
    EVERY
}

fn timeout() -> Span {
    TIMEOUT
}

impl QueryRuleSpec {
    /// Threshold and hysteresis.
    #[must_use]
    pub fn level(&self) -> Level {
        Level { op: self.op, threshold: self.threshold, clear: self.clear }
    }

    /// Whether another rule asks the same, whatever it makes of the answer.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let question = |spec: &Self| (spec.name.clone(), spec.params.clone(), spec.value.clone(), spec.by.clone());
        question(self) == question(other) && (self.every, self.timeout) == (other.every, other.timeout)
    }

    /// Unit of the column, as far as its name tells.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        // A column that ends like a counter is a sum, not a rate.
        unit_of(self.value.trim_end_matches("_total"))
    }

    /// Everything that makes no sense.
    #[must_use]
    pub fn problems(&self) -> Vec<SpecProblem> {
        let mut problems = match NamedQuery::find(&self.name) {
            Some(query) => [self.parameter_problems(query), self.unknown_columns(query)].concat(),
            None => vec![self.unknown_query()],
        };
        if !self.threshold.is_finite() {
            problems.push(SpecProblem::new("threshold", "must be a number"));
        }
        problems.extend(self.level().problem().map(|(key, message)| SpecProblem::new(key, message)));
        problems.extend(self.column_problems());
        let between = |span: Span, (least, most): (i64, i64)| (least..=most).contains(&span.as_millis());
        if !between(self.every, (10_000, 86_400_000)) {
            problems.push(SpecProblem::new("every", "must lie between 10s and 1d"));
        }
        if !between(self.timeout, (1_000, 60_000)) || self.timeout > self.every {
            problems.push(SpecProblem::new("timeout", "must lie between 1s and 1m, and be no longer than `every`"));
        }
        problems
    }

    fn unknown_query(&self) -> SpecProblem {
        let names = || NamedQuery::all().iter().map(|query| query.name);
        let hint = match did_you_mean(&self.name, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        SpecProblem::new("name", format!("there is no named query `{}`", self.name)).hint(hint)
    }

    fn parameter_problems(&self, query: &NamedQuery) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        for parameter in &query.parameters {
            let key = format!("params.{}", parameter.name);
            match self.params.get(&parameter.name) {
                None => problems.push(SpecProblem::new("name", format!("`{}` needs `{key}`", query.name))),
                Some(value) if !value.is(parameter.kind) => problems.push(SpecProblem::new(
                    key,
                    match parameter.kind {
                        ParameterKind::Text => "must be a text",
                        ParameterKind::Count | ParameterKind::Number => "must be a whole number from 0",
                        ParameterKind::Moment => "must be a moment: RFC 3339, `now`, or `now-5m`",
                    },
                )),
                Some(_) => {}
            }
        }
        let known = || query.parameters.iter().map(|parameter| parameter.name.as_str());
        for name in self.params.keys().filter(|name| known().all(|known| known != *name)) {
            let problem = SpecProblem::new(format!("params.{name}"), format!("`{}` has no such parameter", query.name));
            let meant = did_you_mean(name, known()).map(|meant| format!("did you mean `{meant}`?"));
            let all = || known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            problems.push(problem.hint(meant.unwrap_or_else(|| format!("known here: {}", all()))));
        }
        problems
    }

    /// Columns that the query's header does not have: while there is no row, no answer would tell.
    fn unknown_columns(&self, query: &NamedQuery) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let columns = self.by.0.iter().map(|(by, column)| (format!("by.{}", by.as_str()), column));
        for (key, column) in std::iter::once(("value".to_owned(), &self.value)).chain(columns) {
            let is_value = key == "value";
            let known = || query.columns.iter().filter(|column| !is_value || column.unit.is_number());
            let names = || known().map(|column| column.name.as_str());
            if column.is_empty() || names().any(|name| name == column) {
                continue;
            }
            let is_other = query.columns.iter().any(|other| other.name == *column);
            let what = if is_other { "holds no number" } else { "is no column of it" };
            let problem = SpecProblem::new(key, format!("`{column}` of `{}` {what}", query.name));
            let problem = match did_you_mean(column, names()) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                None if names().next().is_none() => problem.hint("it answers no number: take another query"),
                None => problem
                    .hint(format!("known here: {}", names().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))),
            };
            problems.push(problem);
        }
        problems
    }

    fn column_problems(&self) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let columns = self.by.0.iter().map(|(by, column)| (format!("by.{}", by.as_str()), column));
        for (key, column) in std::iter::once(("value".to_owned(), &self.value)).chain(columns) {
            if column.is_empty() || column.len() > COLUMN_BYTES_MAX {
                problems.push(SpecProblem::new(key, "must be the name of a column"));
            }
        }
        if self.by.0.len() > BY_MAX {
            problems.push(SpecProblem::new("by", format!("may have at most {BY_MAX} dimensions")));
        }
        problems
    }
}
