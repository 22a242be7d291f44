//! What passes without being looked at: `/ping`, `/replicas_status`, and answers to credentials that ClickHouse refuses.

use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;

use super::answer::{Answer, AnswerBody};
use super::body::RequestBody;
use super::headers::{answer_headers, request_headers};
use super::parameters::Parameters;
use super::refused::Refused;
use super::shared::Shared;

/// Passes a question about the server's health on. It needs no credentials, and gets none.
pub(super) async fn health(shared: &Shared, parts: &Parts, peer: std::net::IpAddr) -> Result<Answer, Refused> {
    let mut parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
    for name in ["user", "password"] {
        parameters.take(name);
    }
    let mut headers = request_headers(&parts.headers, peer);
    headers.remove(http::header::CONTENT_LENGTH);
    let body = RequestBody::whole(bytes::Bytes::new());
    let sent = shared.upstream.send(Method::GET, parts.uri.path(), &parameters, headers, body).await;
    passed(sent.map_err(|error| Refused::unreachable(&error.to_string()))?)
}

/// An answer as it came. These are short.
pub(super) fn passed(response: Response<Incoming>) -> Result<Answer, Refused> {
    let (mut parts, body) = response.into_parts();
    answer_headers(&mut parts.headers);
    Ok(Answer::from_parts(parts, AnswerBody::Plain(body)))
}
