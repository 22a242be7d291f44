//! `/api/v1/queries`: which named queries there are, what they take and what they give.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::super::problem::{Problem, ProblemCode};
use super::super::query;
use crate::model::NamedQuery;

/// A named query.
#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    owner: &'a str,
    budget: Budget,
    parameters: Vec<Parameter<'a>>,
    columns: Vec<Column<'a>>,
}

#[derive(Serialize)]
struct Budget {
    class: &'static str,
    seconds_max: u64,
    memory_bytes_max: u64,
    read_rows_max: u64,
    result_rows_max: u64,
    result_bytes_max: u64,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'a str,
    r#type: &'static str,
    takes: &'static str,
    default: Option<&'a str>,
    description: &'a str,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    unit: &'a str,
    description: &'a str,
}

impl<'a> Described<'a> {
    fn of(query: &'a NamedQuery) -> Self {
        let limits = query.budget.limits();
        let budget = Budget {
            class: query.budget.as_str(),
            seconds_max: limits.time_s,
            memory_bytes_max: limits.memory_bytes,
            read_rows_max: limits.read_rows,
            result_rows_max: limits.result_rows,
            result_bytes_max: limits.result_bytes,
        };
        let parameter = |parameter: &'a crate::model::Parameter| Parameter {
            name: &parameter.name,
            r#type: parameter.kind.type_name(),
            takes: parameter.kind.takes(),
            default: parameter.default.as_deref(),
            description: &parameter.description,
        };
        let column = |column: &'a crate::model::Column| Column {
            name: &column.name,
            unit: column.unit.as_str(),
            description: &column.description,
        };
        Self {
            name: query.name,
            title: &query.title,
            description: &query.description,
            owner: &query.owner,
            budget,
            parameters: query.parameters.iter().map(parameter).collect(),
            columns: query.columns.iter().map(column).collect(),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    queries: Vec<Described<'a>>,
}

/// All of them, by name.
pub(in super::super) async fn all(uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    Ok(Json(Body { queries: NamedQuery::all().iter().map(Described::of).collect() }).into_response())
}

/// One of them.
pub(in super::super) async fn one(name: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    Ok(Json(Described::of(find(name)?)).into_response())
}

/// The query that a path names.
pub(super) fn find(name: Result<Path<String>, PathRejection>) -> Result<&'static NamedQuery, Problem> {
    let found = name.ok().and_then(|Path(name)| NamedQuery::find(&name));
    found.ok_or_else(|| Problem::new(ProblemCode::NotFound, "no named query has this name: /api/v1/queries lists them"))
}
