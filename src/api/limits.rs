//! `GET` and `POST /api/v1/limits/what-if`: a limit that is not there yet, on what is stored. The answer is that of
//! `floodmark limits what-if --output json`.
//!
//! One at a time, and for a minute at most ([`super::layer`]): it reads a lot. `GET` takes the fields of a question as
//! parameters (lists with commas between), `POST` a JSON object of them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::alerts_pages::read;
use super::problem::{ParameterError, Problem, ProblemCode};
use super::query;
use crate::clock;
use crate::limits::{By, History, Question, SpecError, WhatIfError, what_if};
use crate::store::ClickHouse;

/// The path.
pub(super) const PATH: &str = "/api/v1/limits/what-if";
/// Longest question: a plan map of many thousands of subscriptions.
pub(super) const QUESTION_BYTES_MAX: usize = 4 << 20;
const FIELDS: &str =
    "`limit`, `routes`, `by`, `burst`, `algorithm`, `exempt`, `retries`, `sweep`, `since`, `until`, `precision`";

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct LimitsState {
    /// Where the past is.
    pub history: ClickHouse,
}

/// Asked with parameters.
pub(super) async fn by_parameters(State(state): State<LimitsState>, uri: Uri) -> Result<Response, Problem> {
    answer(&state, &question(&uri)?).await
}

/// Asked with a body.
pub(super) async fn by_body(State(state): State<LimitsState>, uri: Uri, body: Bytes) -> Result<Response, Problem> {
    query::none(&uri)?;
    answer(&state, &read::<Question>(&body)?).await
}

async fn answer(state: &LimitsState, question: &Question) -> Result<Response, Problem> {
    let spec = question.spec().map_err(refused)?;
    let (from, until) = question.span(clock::now()).map_err(refused)?;
    let history = History { clickhouse: &state.history, from, until, precision: question.precision };
    match what_if(&history, &spec).await {
        Ok(report) => Ok(Json(report).into_response()),
        Err(WhatIfError::Store(error)) => {
            let detail = format!("the past is in ClickHouse, which cannot be asked now ({}): {error}", error.code());
            Err(Problem::new(ProblemCode::StorageAway, detail))
        }
        Err(error @ WhatIfError::Nothing(..)) => Err(Problem::new(ProblemCode::NotFound, error.to_string())),
        Err(error @ WhatIfError::NotByMinute(_)) => Err(parameter("precision", error.to_string())),
    }
}

fn refused(error: SpecError) -> Problem {
    let errors = error.0.into_iter();
    Problem::parameters(
        errors.map(|(field, message)| ParameterError { parameter: field.to_owned(), message }).collect(),
    )
}

fn parameter(name: &str, message: String) -> Problem {
    Problem::parameters(vec![ParameterError { parameter: name.to_owned(), message }])
}

/// From the query part of `uri`: an unknown name, a repeat or a bad value is an error that names it.
fn question(uri: &Uri) -> Result<Question, Problem> {
    let pairs: Vec<(String, String)> =
        Query::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|error| parameter("", error.body_text()))?;
    let mut question = Question::default();
    let mut errors = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &pairs {
        let outcome = match name.as_str() {
            again if seen.contains(&again) => Err("given more than once".to_owned()),
            "limit" => set(&mut question.limit, value.clone()),
            "routes" => set(&mut question.routes, list(value)),
            "exempt" => set(&mut question.exempt, list(value)),
            "by" => list(value).iter().map(|by| word(by)).collect::<Result<Vec<By>, _>>().map(|by| question.by = by),
            "burst" => value.parse().map(|n| question.burst = Some(n)).map_err(|_| "must be a whole number".to_owned()),
            "algorithm" => word(value).map(|algorithm| question.algorithm = algorithm),
            "retries" => word(value).map(|retries| question.retries = retries),
            "sweep" => set(&mut question.sweep, Some(value.clone())),
            "since" => set(&mut question.since, Some(value.clone())),
            "until" => set(&mut question.until, Some(value.clone())),
            "precision" => word(value).map(|precision| question.precision = precision),
            _ => Err(format!("unknown parameter, expected one of {FIELDS}")),
        };
        seen.push(name);
        errors.extend(outcome.err().map(|message| ParameterError { parameter: name.clone(), message }));
    }
    if errors.is_empty() { Ok(question) } else { Err(Problem::parameters(errors)) }
}

fn set<T>(place: &mut T, value: T) -> Result<(), String> {
    *place = value;
    Ok(())
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn word<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(value)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Algorithm, Precision, Retries};

    fn ask(parameters: &str) -> Result<Question, Problem> {
        question(&format!("{PATH}?{parameters}").parse().unwrap())
    }

    #[test]
    fn parameters_are_a_question() {
        let asked =
            ask("limit=1200/min&routes=A,B&by=subscription,route&algorithm=gcra&burst=5&retries=none&since=30d\
             &precision=minutes&exempt=ours")
            .unwrap();
        let expected = Question {
            limit: "1200/min".to_owned(),
            routes: vec!["A".to_owned(), "B".to_owned()],
            by: vec![By::Subscription, By::Route],
            algorithm: Algorithm::Gcra,
            burst: Some(5),
            retries: Retries::None,
            since: Some("30d".to_owned()),
            precision: Precision::Minutes,
            exempt: vec!["ours".to_owned()],
            ..Question::default()
        };
        assert_eq!(asked, expected);
        let body = serde_json::to_vec(&expected).unwrap();
        assert_eq!(read::<Question>(&body).unwrap(), expected, "the same as a body");
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let text =
            format!("{:?}", ask("limit=1/s&limit=2/s&by=moon&burst=few&algorithm=leaky&colour=red").unwrap_err());
        for part in ["limit", "more than once", "moon", "whole number", "leaky", "colour"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
