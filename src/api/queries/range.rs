//! `/api/v1/query_range`: a curve, as Prometheus' endpoint of that name gives it, so that simple clients can draw it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::auth::Bearer;
use super::super::problem::{ParameterError, Problem};
use super::super::query;
use super::series::{Curve, SERIES, Source};
use super::{asker, outcome};
use crate::clock;
use crate::model::{BudgetClass, Timestamp};
use crate::query::{OwnText, QueryDesk, ResultFormat, rows_of};

/// Points of one curve, as Prometheus has it.
const POINTS_MAX: u32 = 11_000;
/// Curves of one answer: more are not told apart by anybody.
const CURVES_MAX: u32 = 100;
/// Without `start` the last hour is drawn.
const SPAN_SECONDS: i64 = 3_600;
/// Without `step` so many points are drawn at most.
const POINTS_DEFAULT: u32 = 250;

/// What is asked.
#[derive(Debug)]
struct Asked {
    curve: &'static Curve,
    start: u32,
    end: u32,
    step: u32,
    by: String,
    metric: String,
    limit: u32,
    filters: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct CurveRow {
    label: String,
    ats: Vec<u32>,
    values: Vec<Option<f64>>,
}

/// `/api/v1/query_range`.
pub(in super::super) async fn query_range(
    State(desk): State<QueryDesk>,
    Extension(bearer): Extension<Bearer>,
    uri: Uri,
) -> Result<Response, Problem> {
    let asked = Asked::parse(query::unique_pairs(&uri)?, clock::now()).map_err(Problem::parameters)?;
    let values = asked.values();
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (asker, limits) = (asker(&bearer), BudgetClass::Interactive.limits());
    let text = OwnText { name: "query_range", sql: asked.curve.source.sql(), values: &values, limits };
    let answer = desk.ours(text, &asker, ResultFormat::Ndjson).await;
    let rows = rows_of(answer.map_err(outcome::problem)?).await.map_err(outcome::problem)?;
    let result: Vec<Value> = rows.into_iter().filter_map(|row| asked.matrix(row)).collect();
    Ok(Json(json!({"status": "success", "data": {"resultType": "matrix", "result": result}})).into_response())
}

impl Asked {
    fn parse(mut given: BTreeMap<String, String>, now: Timestamp) -> Result<Self, Vec<ParameterError>> {
        let mut errors = Vec::new();
        let name = given.remove("series").unwrap_or_default();
        let Some(curve) = SERIES.iter().find(|curve| curve.name() == name) else {
            let message = "must be one of those that /api/v1/series lists".to_owned();
            return Err(vec![ParameterError { parameter: "series".to_owned(), message }]);
        };
        let mut wrong = |parameter: &str, message: String| {
            errors.push(ParameterError { parameter: parameter.to_owned(), message });
        };
        let mut moment = |parameter: &str, default: i64| match given.remove(parameter).map(|text| seconds(&text)) {
            None => u32::try_from(default).unwrap_or(0),
            Some(Some(seconds)) => seconds,
            Some(None) => {
                wrong(parameter, "must be RFC 3339, or seconds since 1970".to_owned());
                0
            }
        };
        let end = moment("end", now.as_millis().div_euclid(1_000));
        let start = moment("start", i64::from(end) - SPAN_SECONDS);
        let step_min = curve.source.step_seconds_min();
        let step = match given.remove("step").map(|text| span(&text)) {
            None => (end.saturating_sub(start) / POINTS_DEFAULT).next_multiple_of(step_min).max(step_min),
            Some(Some(step)) if step >= step_min && step.is_multiple_of(step_min) => step,
            Some(_) => {
                wrong("step", format!("must be a multiple of {step_min} s: seconds, or a span like 5m"));
                step_min
            }
        };
        // Rollups are by minute: a point is of whole ones.
        let start = start - start % step_min;
        if end <= start {
            wrong("end", "must be after start; without it, it is now".to_owned());
        } else if (end - start) / step >= POINTS_MAX {
            wrong("step", format!("gives more than {POINTS_MAX} points: a longer step, or a shorter span"));
        }
        let dimensions = curve.dimensions();
        let is_signal = curve.source == Source::Signals;
        let by = given.remove("by").unwrap_or_default();
        if !by.is_empty() && !dimensions.contains(&by.as_str()) {
            wrong("by", format!("must be one of {}", dimensions.join(", ")));
        }
        let metric = if is_signal { given.remove("metric").unwrap_or_default() } else { String::new() };
        if is_signal && metric.is_empty() {
            wrong("metric", "is missing: which of the source's?".to_owned());
        }
        let limit = match given.remove("limit").map(|text| text.parse::<u32>()) {
            None => CURVES_MAX,
            Some(Ok(limit)) if (1..=CURVES_MAX).contains(&limit) => limit,
            Some(_) => {
                wrong("limit", format!("must lie between 1 and {CURVES_MAX}"));
                CURVES_MAX
            }
        };
        let filters = dimensions.iter().map(|name| (*name, given.remove(*name).unwrap_or_default())).collect();
        for parameter in given.keys() {
            wrong(parameter, format!("unknown parameter; this series has {}", dimensions.join(", ")));
        }
        if errors.is_empty() { Ok(Self { curve, start, end, step, by, metric, limit, filters }) } else { Err(errors) }
    }

    /// The parameters of the file.
    fn values(&self) -> Vec<(&'static str, String)> {
        let mut values = self.filters.clone();
        for (name, number) in [("start", self.start), ("end", self.end), ("step", self.step), ("limit", self.limit)] {
            values.push((name, number.to_string()));
        }
        match self.curve.source {
            Source::Latencies(quantile) => values.push(("quantile", quantile.to_string())),
            Source::Signals => {
                values.push(("metric", self.metric.clone()));
                return values;
            }
            Source::Requests | Source::QueryRuns => values.push(("series", self.curve.name())),
        }
        values.push(("by", self.by.clone()));
        values
    }

    /// A row as a member of Prometheus' matrix.
    fn matrix(&self, row: crate::query::Row) -> Option<Value> {
        let CurveRow { label, ats, values } = serde_json::from_value(Value::Object(row)).ok()?;
        let mut metric = BTreeMap::from([("__name__".to_owned(), self.curve.name())]);
        let by = if self.curve.source == Source::Signals { "source" } else { self.by.as_str() };
        if !by.is_empty() {
            metric.insert(by.to_owned(), label);
        }
        if !self.metric.is_empty() {
            metric.insert("metric".to_owned(), self.metric.clone());
        }
        let points: Vec<Value> =
            ats.iter().zip(values).filter_map(|(at, value)| Some(json!([at, value?.to_string()]))).collect();
        Some(json!({"metric": metric, "values": points}))
    }
}

/// RFC 3339, or seconds since 1970 with a fraction, which is cut off.
fn seconds(text: &str) -> Option<u32> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => (seconds * 1_000.0) as i64,
        Ok(_) => return None,
        Err(_) => Timestamp::parse_rfc3339(text).ok()?.as_millis(),
    };
    u32::try_from(ms.div_euclid(1_000)).ok()
}

/// Seconds, or a span like `5m`.
fn span(text: &str) -> Option<u32> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if seconds.fract() == 0.0 && seconds >= 0.0 && seconds < f64::from(u32::MAX) => seconds as u64,
        Ok(_) => return None,
        Err(_) => humantime::parse_duration(text).ok().filter(|span| span.subsec_nanos() == 0)?.as_secs(),
    };
    u32::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Asked, Vec<String>> {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let now = Timestamp::parse_rfc3339("2026-03-01T10:00:07Z").unwrap();
        Asked::parse(given, now).map_err(|errors| errors.into_iter().map(|error| error.parameter).collect())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let asked = parse(&[("series", "requests_per_second")]).unwrap();
        assert_eq!((asked.end - asked.start, asked.step, asked.limit), (3_607, 60, 100));
        let (start, end) = ("2026-03-01T00:00:30Z", "1772409600.5");
        let asked =
            parse(&[("series", "error_ratio"), ("start", start), ("end", end), ("step", "5m"), ("by", "route")])
                .unwrap();
        assert_eq!((asked.start, asked.end, asked.step), (1_772_323_200, 1_772_409_600, 300));
        assert_eq!(asked.by, "route");
        let asked = parse(&[("series", "signal"), ("metric", "pool_size"), ("source", "a'b"), ("step", "7")]).unwrap();
        assert!(asked.values().contains(&("source", "a'b".to_owned())));
    }

    #[test]
    fn every_parameter_at_fault_is_named() {
        let refused = |pairs: &[(&str, &str)]| parse(pairs).unwrap_err();
        assert_eq!(refused(&[]), ["series"]);
        assert_eq!(refused(&[("series", "late_ratio")]), ["series"]);
        let all = [
            ("series", "latency_p95_milliseconds"),
            ("start", "yesterday"),
            ("step", "90"),
            ("by", "client"),
            ("limit", "101"),
            ("client", "x"),
        ];
        assert_eq!(refused(&all), ["start", "step", "step", "by", "limit", "client"]);
        assert_eq!(refused(&[("series", "signal")]), ["metric"]);
        let long = [("series", "requests_per_second"), ("start", "0"), ("step", "60")];
        assert_eq!(refused(&long), ["step"], "too many points");
        let backwards = [("series", "requests_per_second"), ("start", "2000"), ("end", "1000")];
        assert_eq!(refused(&backwards), ["end"]);
    }
}
