//! `/api/v1/queries/{name}/results`: runs a named query.

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::super::alerts_pages::read;
use super::super::auth::Bearer;
use super::super::problem::{ParameterError, Problem};
use super::super::query;
use super::{accept, asker, listing, outcome};
use crate::clock;
use crate::model::BindError;
use crate::query::QueryDesk;

/// Parameters in the address.
pub(in super::super) async fn results(
    State(desk): State<QueryDesk>,
    Extension(bearer): Extension<Bearer>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let given = query::unique_pairs(&uri)?;
    answer(&desk, &bearer, name, &headers, given).await
}

/// Parameters in the body: an object of texts.
pub(in super::super) async fn results_posted(
    State(desk): State<QueryDesk>,
    Extension(bearer): Extension<Bearer>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let given = if body.is_empty() { BTreeMap::new() } else { read(&body)? };
    answer(&desk, &bearer, name, &headers, given).await
}

async fn answer(
    desk: &QueryDesk,
    bearer: &Bearer,
    name: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    given: BTreeMap<String, String>,
) -> Result<Response, Problem> {
    let query = listing::find(name)?;
    let format = accept::format(headers)?;
    let bound = query.bind(&given, clock::now()).map_err(refused)?;
    let answer = desk.named(&bound, &asker(bearer), format).await.map_err(outcome::problem)?;
    Ok(outcome::response(query.name, answer, None))
}

fn refused(error: BindError) -> Problem {
    let told = error.problems.into_iter();
    Problem::parameters(told.map(|told| ParameterError { parameter: told.parameter, message: told.what }).collect())
}
