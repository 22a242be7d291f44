//! Who looks: with a session where tokens are asked for, anybody where they are not.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::ConsoleState;
use super::refusal::Refusal;
use crate::clock;
use crate::config::Scope;

/// Name of the cookie.
pub(super) const COOKIE: &str = "floodmark_session";

/// Who asks for a page, and what it may offer.
#[derive(Debug, Clone, Default)]
pub(super) struct Visitor {
    /// Whose token it was; empty without a session.
    pub name: String,
    /// Whether pages may be taken and silences made.
    pub may_act: bool,
    /// Whether public incidents may be worded.
    pub may_publish: bool,
    /// Whether questions to what is stored may be asked.
    pub may_ask: bool,
    /// Whether there are tokens to log in with.
    pub can_log_in: bool,
    /// What forms bring back.
    pub form_token: String,
    /// The session's secret.
    pub secret: Option<String>,
}

impl Visitor {
    /// Whether it is logged in.
    pub(super) fn has_session(&self) -> bool {
        self.secret.is_some()
    }
}

/// Lets those pass who may read; others are asked for a token.
pub(super) async fn admit(State(state): State<ConsoleState>, mut request: Request, next: Next) -> Response {
    let secret = secret(request.headers());
    let session = secret.as_deref().and_then(|secret| state.sessions.find(secret, clock::now()));
    let may = |scope: Scope| {
        let is_open = !state.tokens.are_needed_for(scope);
        is_open || session.as_ref().is_some_and(|session| session.scopes.contains(&scope))
    };
    if !may(Scope::Read) {
        return log_in_first(&request);
    }
    if session.is_none()
        && let Err(problem) = state.tokens.refuse_other_names(request.headers())
    {
        return Refusal::from(problem).into_response();
    }
    let secret = secret.filter(|_| session.is_some());
    let visitor = Visitor {
        may_act: may(Scope::Admin),
        may_publish: may(Scope::Publish),
        may_ask: may(Scope::Query),
        can_log_in: state.tokens.are_needed_for(Scope::Admin),
        form_token: state.sessions.form_token(secret.as_deref()),
        name: session.map(|session| session.name.to_string()).unwrap_or_default(),
        secret,
    };
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// A page comes again after the login; a form does not, it would be sent twice.
fn log_in_first(request: &Request) -> Response {
    if request.method() != Method::GET {
        return Refusal::forbidden("Your session has ended. Log in, then send the form again.").into_response();
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Redirect::to(&format!("/login?next={}", encoded(path))).into_response()
}

/// A text inside the query part of a URL.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The secret in the cookie.
pub(super) fn secret(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = |text: &str| HeaderMap::from_iter([(header::COOKIE, text.parse().unwrap())]);
        assert_eq!(secret(&headers("a=b; floodmark_session=xyz; c=d")).as_deref(), Some("xyz"));
        assert_eq!(secret(&headers("not_floodmark_session=xyz")), None);
        assert_eq!(secret(&HeaderMap::new()), None);
    }

    #[test]
    fn a_path_survives_as_a_parameter() {
        assert_eq!(encoded("/a b?c=d&e=ü"), "%2Fa%20b%3Fc%3Dd%26e%3D%C3%BC");
    }
}
