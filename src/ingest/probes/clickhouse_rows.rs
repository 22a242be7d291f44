//! Rows of ClickHouse's answers as events.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::signal;
use crate::model::{
    Attributes, Event, LogComment, QueryRun, QueryState, Text, Timestamp, normalise_sql, sql_fingerprint,
};

/// Characters of a text that are read, as in `queries_*.sql`: one as long may have been cut.
const TEXT_CHARS_READ: usize = 8_000;
/// Characters of a text that an event keeps.
const TEXT_CHARS_KEPT: usize = 2_000;

/// A query, finished or running, as `queries/probes/queries_*.sql` name its columns. Numbers may be written as text:
/// the server's setting decides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueryRow {
    #[serde(deserialize_with = "number")]
    pub time_us: Option<f64>,
    pub query_id: String,
    text: String,
    normalized_query_hash: String,
    user: String,
    state: String,
    #[serde(deserialize_with = "number")]
    duration_ms: Option<f64>,
    #[serde(deserialize_with = "number")]
    memory_bytes: Option<f64>,
    #[serde(deserialize_with = "number")]
    read_rows: Option<f64>,
    #[serde(deserialize_with = "number")]
    read_bytes: Option<f64>,
    #[serde(deserialize_with = "number")]
    exception_code: Option<f64>,
    comment: String,
}

/// Every column but `now_us` is a metric.
pub(super) fn signals(row: &Map<String, Value>, source: &str, now: Timestamp) -> Vec<Event> {
    let metrics = row.iter().filter(|(name, _)| *name != "now_us");
    metrics.filter_map(|(name, value)| Some(signal(now, source, name, as_number(value)?))).collect()
}

/// A number, also when it is written as text.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Value::deserialize(deserializer).map(|value| as_number(&value))
}

impl QueryRow {
    /// The event, at `timestamp`.
    pub fn event(self, node: &str, timestamp: Timestamp) -> Event {
        let comment = LogComment::parse(&self.comment);
        let fingerprint = self.fingerprint();
        let mut attributes = Attributes::default();
        attributes.insert("query_id", &self.query_id);
        let hash = Some(self.normalized_query_hash.as_str()).filter(|hash| !hash.is_empty());
        let further = [("request_id", comment.request_id()), ("flag", comment.flag()), ("normalized_query_hash", hash)];
        for (name, value) in further.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            attributes.insert(name, value);
        }
        Event::Query(Box::new(QueryRun {
            timestamp,
            node: Text::from(node),
            fingerprint,
            query: present(Some(cut(self.text))),
            user: present(Some(self.user)),
            origin: comment.origin(),
            version: comment.version(),
            subscription: comment.subscription(),
            state: state(&self.state),
            duration_ms: self.duration_ms,
            memory_bytes: self.memory_bytes.map(count),
            read_rows: self.read_rows.map(count),
            read_bytes: self.read_bytes.map(count),
            // 0 is ClickHouse's "no error"; codes are small.
            exception_code: self.exception_code.map(|code| code as i32).filter(|code| *code != 0),
            attributes,
        }))
    }
}

impl QueryRow {
    /// Of the text, as the guard names it too. ClickHouse's own hash changes with the case of keywords and the length of
    /// a list, and stands in only where the text was cut.
    fn fingerprint(&self) -> Option<Text> {
        let is_whole = self.text.len() < TEXT_CHARS_READ || self.text.chars().count() < TEXT_CHARS_READ;
        if is_whole && !self.text.is_empty() {
            return Some(sql_fingerprint(&normalise_sql(&self.text)));
        }
        present(Some(self.normalized_query_hash.clone()))
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_KEPT) {
        text.truncate(end);
    }
    text
}

fn present(text: Option<String>) -> Option<Text> {
    text.filter(|text| !text.is_empty() && text != "-").map(Text::from)
}

/// Exact up to 2^53, which is more than any query reads.
fn count(number: f64) -> u64 {
    number.max(0.0) as u64
}

fn state(text: &str) -> Option<QueryState> {
    match text {
        "finished" => Some(QueryState::Finished),
        "failed" => Some(QueryState::Failed),
        "killed" => Some(QueryState::Killed),
        "running" => Some(QueryState::Running),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(row: &str) -> QueryRun {
        let row: QueryRow = serde_json::from_str(row).unwrap();
        match row.event("node-1", Timestamp::from_millis(5)) {
            Event::Query(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_comment_in_json_tells_the_origin_and_any_other_tells_nothing() {
        let run = event(
            r#"{"query_id":"q","text":"SELECT 1","state":"failed","exception_code":241,"memory_bytes":"4096",
                "comment":"{\"app\":\"dashboard\",\"endpoint\":\"/usage\",\"subscription\":\"sub-7\",\"version\":\"2.1\",\"request_id\":\"r-1\"}"}"#,
        );
        assert_eq!(run.origin.as_deref(), Some("dashboard /usage"));
        assert_eq!((run.subscription.as_deref(), run.version.as_deref()), (Some("sub-7"), Some("2.1")));
        assert_eq!(
            (run.state, run.exception_code, run.memory_bytes),
            (Some(QueryState::Failed), Some(241), Some(4_096))
        );
        assert_eq!((run.attributes.get("query_id"), run.attributes.get("request_id")), (Some("q"), Some("r-1")));
        for comment in ["", "nightly job", "[1]", r#"{\"app\":5}"#] {
            let run = event(&format!(r#"{{"query_id":"q","comment":"{comment}","exception_code":0}}"#));
            assert_eq!((run.origin, run.subscription, run.exception_code), (None, None, None), "{comment}");
        }
    }

    #[test]
    fn a_service_a_feature_and_a_flag_tell_the_origin_too() {
        let comment =
            r#"{\"service\":\"reports\",\"feature\":\"sessions\",\"flag\":\"new-report\",\"version\":\"2.0.0\"}"#;
        let run = event(&format!(r#"{{"query_id":"q","text":"SELECT 1","comment":"{comment}"}}"#));
        assert_eq!((run.origin.as_deref(), run.version.as_deref()), (Some("reports sessions"), Some("2.0.0")));
        assert_eq!(run.attributes.get("flag"), Some("new-report"));
    }

    #[test]
    fn a_fingerprint_is_that_of_the_text_unless_the_text_was_cut() {
        let of = |text: &str| {
            event(&format!(r#"{{"query_id":"q","text":"{text}","normalized_query_hash":"00000000000000ab"}}"#))
        };
        let (one, other) = (of("SELECT a FROM t WHERE b IN (1)"), of("select a from t where b in (1, 2)"));
        assert_eq!(one.fingerprint, other.fingerprint);
        assert_eq!(one.attributes.get("normalized_query_hash"), Some("00000000000000ab"));
        let long = of(&"é".repeat(TEXT_CHARS_READ));
        assert_eq!(long.fingerprint.as_deref(), Some("00000000000000ab"));
        assert_eq!(long.query.unwrap().chars().count(), TEXT_CHARS_KEPT);
    }

    #[test]
    fn each_column_is_a_metric_also_as_text_but_null_is_none() {
        let row: Value =
            serde_json::from_str(r#"{"now_us":"1","memory_used_bytes":"12","a":null,"uptime_seconds":3}"#).unwrap();
        let signals = signals(row.as_object().unwrap(), "clickhouse/a", Timestamp::from_millis(1));
        let pair = |event: &Event| match event {
            Event::Signal(signal) => (signal.metric.to_string(), signal.value),
            other => panic!("{other:?}"),
        };
        let pairs: Vec<_> = signals.iter().map(pair).collect();
        assert_eq!(pairs, [("memory_used_bytes".to_owned(), 12.0), ("uptime_seconds".to_owned(), 3.0)]);
    }
}
