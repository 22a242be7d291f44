//! Values for a query's parameters: what was given, checked, and defaults for the rest.

use std::collections::BTreeMap;

use super::{NamedQuery, Parameter, ParameterKind};
use crate::model::{Timestamp, did_you_mean};

/// Longest value. Values go into the address of a request.
pub const PARAMETER_BYTES_MAX: usize = 4_096;

/// A query with a value for every parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound<'q> {
    /// The query.
    pub query: &'q NamedQuery,
    /// Name and value of each parameter, in the order of the header. Values are data, not escaped for anything: whoever
    /// sends them to ClickHouse does that. A moment is as ClickHouse writes it, `2026-01-10 03:00:00.000`, in UTC.
    pub values: Vec<(&'q str, String)>,
}

impl Bound<'_> {
    /// The value of a parameter.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The span that is asked about, of a query that has one: its parameters `from` and `until`.
    #[must_use]
    pub fn range(&self) -> Option<(Timestamp, Timestamp)> {
        // Both are written out: `now` is nowhere in them.
        let at = |name: &str| moment(self.value(name)?, Timestamp::MAX);
        at("from").zip(at("until"))
    }
}

/// Values that do not fit the query's parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query {query}: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BindError {
    /// Name of the query.
    pub query: &'static str,
    /// One for each parameter that is not right.
    pub problems: Vec<BindProblem>,
}

/// What is not right with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {parameter} {what}")]
pub struct BindProblem {
    /// Its name, as it was given.
    pub parameter: String,
    /// What is not right, to be read after the name.
    pub what: String,
}

impl NamedQuery {
    /// Values for all parameters: those given, checked against their kinds, and defaults for the rest. `now` stands for
    /// `now` in moments.
    ///
    /// # Errors
    /// A name is unknown, a value is missing or not what its parameter takes: each of them is told.
    pub fn bind(&self, given: &BTreeMap<String, String>, now: Timestamp) -> Result<Bound<'_>, BindError> {
        let mut problems: Vec<BindProblem> = Vec::new();
        for name in given.keys().filter(|name| self.parameter(name).is_none()) {
            problems.push(BindProblem { parameter: name.clone(), what: self.unknown(name) });
        }
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let name = &parameter.name;
            let value = match given.get(name).or(parameter.default.as_ref()) {
                Some(text) => parameter.value(text, now),
                None => Err(format!("is missing ({})", parameter.kind.takes())),
            };
            match value {
                Ok(value) => values.push((name.as_str(), value)),
                Err(what) => problems.push(BindProblem { parameter: name.clone(), what }),
            }
        }
        let bound = Bound { query: self, values };
        if let Some((from, until)) = bound.range().filter(|(from, until)| from > until) {
            let what = format!("({from}) is after until ({until})");
            problems.push(BindProblem { parameter: "from".to_owned(), what });
        }
        if problems.is_empty() { Ok(bound) } else { Err(BindError { query: self.name, problems }) }
    }

    fn unknown(&self, name: &str) -> String {
        let known = || self.parameters.iter().map(|parameter| parameter.name.as_str());
        let all = || known().collect::<Vec<_>>().join(", ");
        match did_you_mean(name, known()) {
            Some(meant) => format!("does not exist; did you mean {meant}?"),
            None if self.parameters.is_empty() => "does not exist; this query has none".to_owned(),
            None => format!("does not exist; there are {}", all()),
        }
    }
}

impl Parameter {
    /// The value that a text means, as ClickHouse takes it.
    ///
    /// # Errors
    /// What is not right, to be read after the parameter's name.
    fn value(&self, text: &str, now: Timestamp) -> Result<String, String> {
        if text.len() > PARAMETER_BYTES_MAX {
            return Err(format!("is longer than {PARAMETER_BYTES_MAX} bytes"));
        }
        let wrong = || {
            let shown: String = text.chars().take(60).collect();
            format!("is not {}: `{shown}`", self.kind.takes())
        };
        match self.kind {
            ParameterKind::Text => Ok(text.to_owned()),
            ParameterKind::Count => text.parse::<u32>().map(|count| count.to_string()).map_err(|_| wrong()),
            ParameterKind::Number => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(|number| number.to_string()).ok_or_else(wrong)
            }
            ParameterKind::Moment => moment(text, now).map(Timestamp::to_clickhouse).ok_or_else(wrong),
        }
    }

    /// Why the default is none, if it is none.
    pub(super) fn default_problem(&self) -> Option<String> {
        self.default.as_ref().and_then(|text| self.value(text, Timestamp::MAX.plus(-1)).err())
    }
}

/// RFC 3339, `now`, `now-24h`, or as [`Timestamp::to_clickhouse`] writes it.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    match text.strip_prefix("now") {
        Some("") => Some(now),
        Some(rest) => {
            let ago = humantime::parse_duration(rest.strip_prefix('-')?).ok()?;
            let at_ms = now.as_millis().checked_sub(ago.as_millis().try_into().ok()?)?;
            Timestamp::from_epoch_millis_checked(at_ms).ok()
        }
        None => Timestamp::parse_rfc3339(text)
            .or_else(|_| Timestamp::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))))
            .ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn query() -> &'static NamedQuery {
        NamedQuery::find("traffic_by_minute").unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-03-01T10:15:05.007Z").unwrap()
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let bound = query().bind(&given(&[("service", "'; DROP TABLE x --\0\u{202e}")]), now()).unwrap();
        let names: Vec<&str> = bound.values.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["from", "until", "service", "limit"]);
        assert_eq!(bound.value("from"), Some("2026-03-01 09:15:05.007"));
        assert_eq!(bound.value("until"), Some("2026-03-01 10:15:05.007"));
        assert_eq!(bound.value("service"), Some("'; DROP TABLE x --\0\u{202e}"));
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_refused() {
        let error = query().bind(&given(&[("from", "now-1h"), ("until", "now-2h")]), now()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("from (2026-03-01T09:15:05.007Z) is after until (2026-03-01T08:15:05.007Z)"), "{text}");
        let bound = query().bind(&given(&[("from", "now-1h"), ("until", "now-1h")]), now()).unwrap();
        assert_eq!(bound.range().map(|(from, until)| until.since(from)), Some(0));
    }

    #[test]
    fn moments_are_taken_in_every_way_they_are_written() {
        for (text, expected) in [
            ("now-1d", Some("2026-02-28 10:15:05.007")),
            ("now-1h 30m", Some("2026-03-01 08:45:05.007")),
            ("2026-03-01T12:00:00+02:00", Some("2026-03-01 10:00:00.000")),
            ("2026-03-01 10:00:00.25", Some("2026-03-01 10:00:00.250")),
            ("2026-03-01 10:00:00", Some("2026-03-01 10:00:00.000")),
            ("now+1h", None),
            ("now-", None),
            ("now-100000d", None),
            ("now-99999999999999999999d", None),
            ("yesterday", None),
            ("", None),
        ] {
            let bound = query().bind(&given(&[("from", text)]), now());
            assert_eq!(bound.ok().as_ref().and_then(|bound| bound.value("from")), expected, "{text}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let wrong = given(&[("limit", "-1"), ("serivce", "x"), ("until", "later"), ("zzz", "")]);
        let error = query().bind(&wrong, now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "query traffic_by_minute: parameter serivce does not exist; did you mean service?; parameter zzz does not \
             exist; there are from, until, service, limit; parameter until is not a moment: RFC 3339, `now`, or `now-5m`: \
             `later`; parameter limit is not a whole number from 0: `-1`"
        );
        let long = "x".repeat(PARAMETER_BYTES_MAX + 1);
        assert!(query().bind(&given(&[("service", &long)]), now()).unwrap_err().to_string().contains("4096 bytes"));
        assert!(query().bind(&given(&[("service", &long[1..])]), now()).is_ok());
        let without = NamedQuery::find("server_time").unwrap().bind(&given(&[("x", "1")]), now()).unwrap_err();
        assert!(without.to_string().ends_with("this query has none"), "{without}");
    }
}
