//! Login with a bearer token, and logout. The token is not kept: a session takes its place.

use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::access::{COOKIE, Visitor};
use super::form::{Fields, Sent, TOKEN_FIELD};
use super::refusal::Refusal;
use super::session::{SESSION_MS, Session};
use super::{ConsoleState, layout};
use crate::api::origin;
use crate::clock;
use crate::config::Scope;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    next: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    token: String,
    form_token: String,
    #[serde(default)]
    next: String,
}

/// Where a token is typed in.
pub(super) async fn form(State(state): State<ConsoleState>, Query(Next { next }): Query<Next>) -> Html<String> {
    Html(page(&state, &next, None).into_string())
}

fn page(state: &ConsoleState, next: &str, refused: Option<&str>) -> Markup {
    let body = html! {
        h1 { "Log in" }
        @if let Some(refused) = refused { p.notice role="alert" { (refused) } }
        p { "Paste a bearer token of this service. " code { "floodmark token new" } " makes one." }
        form.stacked method="post" action="/login" {
            input type="hidden" name=(TOKEN_FIELD) value=(state.sessions.form_token(None));
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input #token type="password" name="token" autocomplete="current-password" required autofocus;
            button type="submit" { "Log in" }
        }
    };
    layout::bare("Log in", &body)
}

/// A token becomes a session.
pub(super) async fn log_in(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Refusal> {
    // Nobody is to be logged in by a page of others, under a name that is not theirs.
    if headers.contains_key(header::ORIGIN) && !origin::is_same(&headers) {
        return Err(Refusal::forbidden("The form was sent by a page of another origin."));
    }
    if !state.sessions.is_form_token(None, &credentials.form_token) {
        return Err(Refusal::forbidden("The form is too old. Reload it, then send it again."));
    }
    let token = credentials.token.trim();
    let Some((name, scopes)) = state.tokens.bearer(token).filter(|(_, scopes)| opens_something(&state, scopes)) else {
        let refused = page(
            &state,
            &credentials.next,
            Some("This token is not known, lacks the scope read, or is for one subscription only."),
        );
        return Ok((StatusCode::UNAUTHORIZED, Html(refused.into_string())).into_response());
    };
    let now = clock::now();
    let session = Session { name, scopes, expires_at: now.plus(SESSION_MS) };
    let opened = state.sessions.open(session, now);
    let secret = opened.ok_or_else(|| Refusal::internal("This machine gives no random bits to make a session of."))?;
    let cookie = cookie(&state, &secret, SESSION_MS / 1_000);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&credentials.next))).into_response())
}

/// Every page needs the scope read, where that is asked for at all.
fn opens_something(state: &ConsoleState, scopes: &[Scope]) -> bool {
    let opening: &[Scope] = if state.tokens.are_needed_for(Scope::Read) {
        &[Scope::Read]
    } else {
        &[Scope::Read, Scope::Query, Scope::Publish, Scope::Admin]
    };
    opening.iter().any(|scope| scopes.contains(scope))
}

/// The session ends here, not only in the browser.
pub(super) async fn logout(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Refusal> {
    Fields::believe(sent, &headers, &visitor, &state)?;
    if let Some(secret) = &visitor.secret {
        state.sessions.close(secret);
    }
    Ok(([(header::SET_COOKIE, cookie(&state, "", 0))], Redirect::to("/login")).into_response())
}

fn cookie(state: &ConsoleState, secret: &str, seconds: i64) -> String {
    let secure = if state.is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Where to go after the login: a path of ours, whatever the form says.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if is_own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_own_pages_only() {
        assert_eq!(own_path("/incidents?x=1"), "/incidents?x=1");
        for elsewhere in
            ["", "https://example.com", "//example.com", "/\\example.com", "/\t/example.com", "javascript:1"]
        {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
