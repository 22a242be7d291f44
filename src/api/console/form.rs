//! Forms: read strictly, believed only with the token that our own page put into them.

use std::collections::BTreeMap;

use axum::extract::Form;
use axum::http::HeaderMap;

use super::ConsoleState;
use super::access::Visitor;
use super::refusal::Refusal;
use crate::api::origin;
use crate::config::{Scope, Span};

/// A form as it is sent; of a name that comes twice the last value counts.
pub(super) type Sent = Form<Vec<(String, String)>>;

/// Name of the field with the token.
pub(super) const TOKEN_FIELD: &str = "form_token";

/// A form that is believed.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Checks the token, and that no page of another origin sent it.
    pub(super) fn believe(
        sent: Sent,
        headers: &HeaderMap,
        visitor: &Visitor,
        state: &ConsoleState,
    ) -> Result<Self, Refusal> {
        Self::believe_for(Scope::Admin, sent, headers, visitor, state)
    }

    /// The same; `scope` is what a page of another origin is told to need.
    pub(super) fn believe_for(
        scope: Scope,
        Form(pairs): Sent,
        headers: &HeaderMap,
        visitor: &Visitor,
        state: &ConsoleState,
    ) -> Result<Self, Refusal> {
        let fields = Self(pairs.into_iter().collect());
        if !visitor.has_session() {
            origin::refuse_other_pages(headers, scope)?;
        }
        if !state.sessions.is_form_token(visitor.secret.as_deref(), fields.text(TOKEN_FIELD)) {
            let why = "The form was not made by this process for your session. Reload the page, then send it again.";
            return Err(Refusal::forbidden(why));
        }
        Ok(fields)
    }

    /// The same for what changes something.
    pub(super) fn believe_to_act(
        sent: Sent,
        headers: &HeaderMap,
        visitor: &Visitor,
        state: &ConsoleState,
    ) -> Result<Self, Refusal> {
        if !visitor.may_act {
            return Err(Refusal::forbidden("This needs a session of a token with the scope admin. Log in with one."));
        }
        Self::believe(sent, headers, visitor, state)
    }

    /// A field without blanks around it; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A span of time such as `2h`.
    pub(super) fn span(&self, name: &str) -> Result<Span, Refusal> {
        let text = self.text(name);
        let span = serde_json::from_value(serde_json::Value::from(text));
        span.map_err(|error| Refusal::bad_form(format!("{name}: {error}")))
    }

    /// Who says so: whose token it is, else who they say they are.
    pub(super) fn author(&self, visitor: &Visitor) -> Result<String, Refusal> {
        let said = if visitor.name.is_empty() { self.text("author") } else { visitor.name.as_str() };
        if said.is_empty() {
            return Err(Refusal::bad_form("Say who you are: nobody else can tell without tokens."));
        }
        Ok(said.to_owned())
    }
}
