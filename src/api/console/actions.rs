//! What people do on the pages: take one, give it back, silence alerts, end a silence. Each is a form with a token.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Redirect;

use super::ConsoleState;
use super::access::Visitor;
use super::form::{Fields, Sent};
use super::refusal::Refusal;
use crate::alert::paging::{Command, Matcher, Silence};
use crate::api::alerts_pages::ACKNOWLEDGED_FOR;
use crate::clock;
use crate::model::Text;

/// Somebody takes a page.
pub(super) async fn acknowledge(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Redirect, Refusal> {
    let fields = Fields::believe_to_act(sent, &headers, &visitor, &state)?;
    let command = Command::Acknowledge {
        key: fields.text("key").into(),
        author: fields.author(&visitor)?.into(),
        note: fields.text("note").to_owned(),
        expires_at: clock::now().plus(ACKNOWLEDGED_FOR.as_millis()),
    };
    ask(&state, command).await
}

/// Nobody has it any more.
pub(super) async fn give_back(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Redirect, Refusal> {
    let fields = Fields::believe_to_act(sent, &headers, &visitor, &state)?;
    ask(&state, Command::Unacknowledge { key: fields.text("key").into() }).await
}

/// Nobody is to be told of some alerts.
pub(super) async fn silence(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Redirect, Refusal> {
    let fields = Fields::believe_to_act(sent, &headers, &visitor, &state)?;
    let lines = fields.text("matchers").lines().map(str::trim).filter(|line| !line.is_empty());
    let matchers: Result<Vec<Matcher>, String> = lines.map(str::parse).collect();
    let starts_at = clock::now();
    let silence = Silence {
        id: Text::default(),
        matchers: matchers.map_err(Refusal::bad_form)?,
        starts_at,
        ends_at: starts_at.plus(fields.span("for")?.as_millis()),
        author: fields.author(&visitor)?.into(),
        reason: fields.text("reason").to_owned(),
        created_at: starts_at,
    };
    ask(&state, Command::Silence(silence)).await
}

/// A silence ends now.
pub(super) async fn end_silence(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Redirect, Refusal> {
    let fields = Fields::believe_to_act(sent, &headers, &visitor, &state)?;
    ask(&state, Command::EndSilence { id: fields.text("id").into() }).await
}

/// The pager writes down before it answers; then the page shows what is.
async fn ask(state: &ConsoleState, command: Command) -> Result<Redirect, Refusal> {
    let absent = || Refusal::not_found("There is no pager here.");
    state.paging.as_ref().ok_or_else(absent)?.ask(command).await?;
    Ok(Redirect::to("/alerts"))
}
