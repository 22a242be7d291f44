//! What a rule's query is asked with, and its answer as signals.

use serde_json::{Map, Value as Json};

use crate::detect::{ParameterText, QueryRuleSpec, RULE_ROWS_MAX};
use crate::model::{
    AlertName, Attributes, Dimensions, Event, FAILURES_IN_A_ROW_METRIC, FAILURES_METRIC, NamedQuery, ParameterKind,
    ROWS_METRIC, Signal, Text, Timestamp, rule_row_source, rule_source,
};
use crate::store::StoreError;
use crate::store::named_queries::Value;

/// Longest source of a signal: what the decoder takes.
const SOURCE_BYTES_MAX: usize = 1_024;

/// An evaluation that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// ClickHouse is away, refuses or takes too long.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rule was checked by another version.
    #[error("there is no such named query")]
    UnknownQuery,
    /// A parameter is none: likewise.
    #[error("parameter {0} has no value")]
    Parameter(String),
    /// The answer has no such column.
    #[error("the answer has no column `{0}`")]
    NoColumn(String),
    /// The column holds something else.
    #[error("column `{0}` holds no number: {1}")]
    NoNumber(String, String),
    /// Labels of a row are too long for a source.
    #[error("the labels of a row are longer than {SOURCE_BYTES_MAX} bytes")]
    LabelsTooLong,
    /// More rows than a rule may have.
    #[error("the answer has more than {RULE_ROWS_MAX} rows")]
    TooManyRows,
    /// Detection does not keep up.
    #[error("detection does not keep up with answers")]
    NoRoom,
}

/// The parameters' values at `now`.
pub(super) fn values(
    spec: &QueryRuleSpec,
    query: &'static NamedQuery,
    now: Timestamp,
) -> Result<Vec<(&'static str, Value)>, AnswerError> {
    let value = |kind: ParameterKind, text: &ParameterText| match (kind, text) {
        (ParameterKind::Text, ParameterText::Text(text)) => Some(Value::Text(text.clone())),
        (ParameterKind::Count, ParameterText::Count(count)) => Some(Value::Count(*count)),
        (ParameterKind::Number, ParameterText::Count(count)) => Some(Value::Number(f64::from(*count))),
        (ParameterKind::Moment, text) => text.moment(now).map(|moment| Value::Moment(moment.to_clickhouse())),
        _ => None,
    };
    let parameters = query.parameters.iter().map(|parameter| {
        let given = spec.params.get(&parameter.name).and_then(|text| value(parameter.kind, text));
        given
            .map(|value| (parameter.name.as_str(), value))
            .ok_or_else(|| AnswerError::Parameter(parameter.name.clone()))
    });
    parameters.collect()
}

/// The signals of an answer that came at `now`, after `failures` in all.
pub(super) fn events(
    alert: AlertName,
    spec: &QueryRuleSpec,
    rows: &[Map<String, Json>],
    (now, failures): (Timestamp, u64),
) -> Result<Vec<Event>, AnswerError> {
    if rows.len() > RULE_ROWS_MAX {
        return Err(AnswerError::TooManyRows);
    }
    let mut events = of_failures(alert, now, Some(failures), 0);
    for row in rows {
        let source = rule_row_source(alert.as_str(), &labels(spec, row)?);
        if source.len() > SOURCE_BYTES_MAX {
            return Err(AnswerError::LabelsTooLong);
        }
        events.extend(number(&spec.value, row)?.map(|value| signal(now, source, &spec.value, value)));
    }
    #[allow(clippy::cast_precision_loss)] // at most a thousand
    events.push(signal(now, rule_source(alert.as_str()), ROWS_METRIC, rows.len() as f64));
    Ok(events)
}

/// The signals that say how often a rule's query failed: in all, where that is known, and in a row.
pub(super) fn of_failures(alert: AlertName, now: Timestamp, failures: Option<u64>, in_a_row: u64) -> Vec<Event> {
    #[allow(clippy::cast_precision_loss)] // nobody counts that far
    let told = |metric: &str, count: u64| signal(now, rule_source(alert.as_str()), metric, count as f64);
    let total = failures.map(|failures| told(FAILURES_METRIC, failures));
    total.into_iter().chain([told(FAILURES_IN_A_ROW_METRIC, in_a_row)]).collect()
}

fn labels(spec: &QueryRuleSpec, row: &Map<String, Json>) -> Result<Dimensions, AnswerError> {
    let mut labels = Dimensions::default();
    for (dimension, column) in &spec.by.0 {
        let text = match row.get(column) {
            None => return Err(AnswerError::NoColumn(column.clone())),
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        // What is absent is no label, as everywhere.
        if !text.is_empty() {
            labels.0.insert(*dimension, Text::from(text));
        }
    }
    Ok(labels)
}

/// The number of a row; nothing where it is null: absent data is not zero.
fn number(column: &str, row: &Map<String, Json>) -> Result<Option<f64>, AnswerError> {
    let value = row.get(column).ok_or_else(|| AnswerError::NoColumn(column.to_owned()))?;
    let number = match value {
        Json::Null => return Ok(None),
        Json::Bool(value) => Some(f64::from(u8::from(*value))),
        // 64 bits and decimals may come in quotes.
        Json::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let finite = number.filter(|number| number.is_finite());
    finite
        .map(Some)
        .ok_or_else(|| AnswerError::NoNumber(column.to_owned(), value.to_string().chars().take(40).collect()))
}

fn signal(timestamp: Timestamp, source: Text, metric: &str, value: f64) -> Event {
    Event::Signal(Signal { timestamp, source, metric: Text::from(metric), value, attributes: Attributes::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> QueryRuleSpec {
        serde_json::from_value(serde_json::from_str(text).unwrap()).unwrap()
    }

    fn rows(text: &str) -> Vec<Map<String, Json>> {
        serde_json::from_str(text).unwrap()
    }

    const SPEC: &str = r#"{"name": "traffic_by_minute", "value": "failures", "by": {"subscription": "subscription"},
        "op": ">", "threshold": 1,
        "params": {"from": "now-5m", "until": "now", "service": "", "limit": 100}}"#;

    #[test]
    fn parameters_have_their_values_of_the_moment() {
        let now = Timestamp::parse_rfc3339("2026-03-01T10:15:05.25Z").unwrap();
        let query = NamedQuery::find("traffic_by_minute").unwrap();
        let values = values(&spec(SPEC), query, now).unwrap();
        assert_eq!(values[0], ("from", Value::Moment("2026-03-01 10:10:05.250".to_owned())));
        assert_eq!(values[1], ("until", Value::Moment("2026-03-01 10:15:05.250".to_owned())));
        assert_eq!(values[3], ("limit", Value::Count(100)));
        let without = spec(&SPEC.replace("\"limit\": 100", "\"limit\": \"many\""));
        assert!(super::values(&without, query, now).is_err());
    }

    #[test]
    fn rows_become_signals_with_a_count_and_null_is_no_number() {
        let alert: AlertName = "AnswersOfMine".parse().unwrap();
        let answer = rows(
            r#"[{"subscription": "a", "failures": "12"}, {"subscription": null, "failures": 3},
                {"subscription": "b", "failures": null}]"#,
        );
        let events = events(alert, &spec(SPEC), &answer, (Timestamp::from_millis(7), 2)).unwrap();
        let told: Vec<(String, String, f64)> = events
            .iter()
            .map(|event| match event {
                Event::Signal(signal) => (signal.source.to_string(), signal.metric.to_string(), signal.value),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            ("rule/AnswersOfMine", "rule_evaluation_failures_total", 2.0),
            ("rule/AnswersOfMine", "rule_evaluation_failures_in_a_row", 0.0),
            ("rule/AnswersOfMine/subscription=a", "failures", 12.0),
            ("rule/AnswersOfMine/", "failures", 3.0),
            ("rule/AnswersOfMine", "rule_evaluation_rows", 3.0),
        ];
        assert_eq!(told, expected.map(|(source, metric, value)| (source.to_owned(), metric.to_owned(), value)));
    }

    #[test]
    fn an_answer_that_is_none_fails_and_says_why() {
        let alert: AlertName = "AnswersOfMine".parse().unwrap();
        let why = |answer: &[Map<String, Json>]| {
            events(alert, &spec(SPEC), answer, (Timestamp::default(), 0)).unwrap_err().to_string()
        };
        assert_eq!(why(&rows(r#"[{"subscription": "a"}]"#)), "the answer has no column `failures`");
        assert_eq!(why(&rows(r#"[{"failures": 1}]"#)), "the answer has no column `subscription`");
        let text = rows(r#"[{"subscription": "a", "failures": "many"}]"#);
        assert_eq!(why(&text), "column `failures` holds no number: \"many\"");
        let row = rows(r#"[{"subscription": "a", "failures": 1}]"#).remove(0);
        assert!(why(&vec![row; RULE_ROWS_MAX + 1]).contains("more than 1000 rows"));
        let long = format!(r#"[{{"subscription": "{}", "failures": 1}}]"#, "x".repeat(1_100));
        assert!(why(&rows(&long)).contains("longer than"));
    }
}
