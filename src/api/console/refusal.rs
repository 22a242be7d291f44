//! What a person is told in place of a page. One sentence, and the way back; never an inside of ours.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::html;

use super::layout;
use crate::api::problem::Problem;

/// A page that cannot be shown, or a form that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl Refusal {
    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, title: "Not found", detail: detail.into() }
    }

    /// A form cannot be taken as it is.
    pub(super) fn bad_form(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: "This cannot be taken", detail: detail.into() }
    }

    /// Not with this session.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, title: "Not allowed", detail: detail.into() }
    }

    /// Our own mistake, or this machine's.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, title: "This did not work", detail: detail.into() }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        Self { status, title: "This was not done", detail: problem.detail().to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = html! {
            h1 { (self.title) }
            p.notice { (self.detail) }
            p { a href="/" { "Back to the overview" } }
        };
        (self.status, Html(layout::bare(self.title, &body).into_string())).into_response()
    }
}
