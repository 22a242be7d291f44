//! What people do on `/status`. One form, one command; the words of a person are looked through by whoever does it.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Redirect;

use super::ConsoleState;
use super::access::Visitor;
use super::form::{Fields, Sent};
use super::refusal::Refusal;
use crate::clock;
use crate::config::Scope;
use crate::model::Timestamp;
use crate::status::incidents::{Command, Request};
use crate::status::{ComponentState, IncidentStatus};

/// Does what a form asks, then shows what is.
pub(super) async fn command(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Redirect, Refusal> {
    if !visitor.may_publish {
        return Err(Refusal::forbidden("This needs a session of a token with the scope publish. Log in with one."));
    }
    let fields = Fields::believe_for(Scope::Publish, sent, &headers, &visitor, &state)?;
    let absent = || Refusal::not_found("There is no status page.");
    let routes = state.status.as_ref().ok_or_else(absent)?;
    let now = clock::now();
    let (command, who) = (command_of(&fields, now)?, fields.author(&visitor)?);
    routes.ask(Request { command, who, at: now, key: None }).await?;
    Ok(Redirect::to("/status"))
}

fn command_of(fields: &Fields, now: Timestamp) -> Result<Command, Refusal> {
    let text = |name: &str| fields.text(name).to_owned();
    let given = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
    Ok(match fields.text("do") {
        "publish" => Command::Publish {
            draft: text("draft"),
            name: given("name"),
            status: status(fields)?,
            body: given("body"),
            components: Some(components(fields)),
        },
        "discard" => Command::Discard { draft: text("draft") },
        "open" => Command::Open {
            name: text("name"),
            body: text("body"),
            status: status(fields)?,
            impact: None,
            components: components(fields),
            started_at: None,
        },
        "update" => Command::Update {
            incident: text("incident"),
            body: text("body"),
            status: status(fields)?,
            name: None,
            components: None,
            reopen: false,
        },
        "edit_update" => Command::EditUpdate { incident: text("incident"), update: text("update"), body: text("body") },
        "resolve" => Command::Resolve { incident: text("incident"), body: given("body") },
        "postmortem" => Command::Postmortem { incident: text("incident"), body: text("body") },
        "state" => Command::State {
            component: text("component"),
            state: state(fields)?,
            until: now.plus(fields.span("for")?.as_millis()),
            note: given("note"),
        },
        "clear" => Command::Clear { component: text("component") },
        "announce" => Command::Announce {
            name: text("name"),
            body: text("body"),
            from: Some(moment(fields, "from")?),
            until: moment(fields, "until")?,
            components: components(fields),
        },
        "cancel_maintenance" => Command::CancelMaintenance { maintenance: text("maintenance") },
        other => return Err(Refusal::bad_form(format!("do: \"{other}\" is nothing that this page does"))),
    })
}

fn status(fields: &Fields) -> Result<Option<IncidentStatus>, Refusal> {
    let text = fields.text("status");
    let read = || serde_json::from_value(serde_json::Value::from(text));
    let status = (!text.is_empty()).then(read).transpose();
    status.map_err(|error| Refusal::bad_form(format!("status: {error}")))
}

fn state(fields: &Fields) -> Result<ComponentState, Refusal> {
    let state = serde_json::from_value(serde_json::Value::from(fields.text("state")));
    state.map_err(|error| Refusal::bad_form(format!("state: {error}")))
}

/// A time in UTC, as a browser gives one (`2026-03-01T10:15`) or with its zone.
fn moment(fields: &Fields, name: &str) -> Result<Timestamp, Refusal> {
    let text = fields.text(name);
    let readings = [text.to_owned(), format!("{text}:00Z"), format!("{text}Z")];
    let moment = readings.iter().find_map(|text| Timestamp::parse_rfc3339(text).ok());
    moment.ok_or_else(|| Refusal::bad_form(format!("{name}: must be a time like 2026-03-01T10:15")))
}

fn components(fields: &Fields) -> Vec<String> {
    fields.names().filter_map(|name| name.strip_prefix("component.")).map(str::to_owned).collect()
}
