//! `/sql`: questions of one's own. What one costs is said before it is asked, and why it is not.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::form::{Fields, Sent, TOKEN_FIELD};
use super::layout::{self, Section};
use super::refusal::Refusal;
use super::{ConsoleState, answer, ask, parts};
use crate::query::{Decision, Explanation, QueryDesk, QueryError, ResultFormat, TABLES};

const EXAMPLE: &str = "SELECT route, sum(requests) AS requests\nFROM {database}.requests_by_minute\nGROUP BY route\n\
    ORDER BY requests DESC\nLIMIT 20";

/// An empty form.
pub(super) async fn form(State(state): State<ConsoleState>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    Html(page(&state, &visitor, EXAMPLE, &Markup::default()).into_string())
}

/// The form was sent: `explain`, or `run`, which explains first.
pub(super) async fn ask(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Html<String>, Refusal> {
    let fields = Fields::believe(sent, &headers, &visitor, &state)?;
    if !visitor.may_ask {
        return Err(Refusal::forbidden("This needs a session of a token with the scope query."));
    }
    let desk = state.queries.as_ref().ok_or_else(|| Refusal::not_found("Nothing can be asked here."))?;
    let text = fields.text("sql");
    let answer = answered(desk, &visitor, text, fields.text("what") == "run").await;
    Ok(Html(page(&state, &visitor, text, &answer).into_string()))
}

async fn answered(desk: &QueryDesk, visitor: &Visitor, text: &str, runs: bool) -> Markup {
    let asker = ask::asker(visitor);
    let explanation = match desk.explain(text, &asker).await {
        Ok(explanation) => explanation,
        Err(error) => return html! { h2 { "Answer" } (ask::why_not(&error)) },
    };
    let may_run = explanation.decision != Decision::Refused;
    html! {
        section aria-labelledby="cost" { h2 #cost { "Cost" } (explained(&explanation)) }
        @if runs && may_run {
            section aria-labelledby="answer" { h2 #answer { "Answer" }
                @match run(desk, visitor, text).await { Ok(answer) => (answer), Err(error) => (ask::why_not(&error)) }
            }
        }
    }
}

async fn run(desk: &QueryDesk, visitor: &Visitor, text: &str) -> Result<Markup, QueryError> {
    let (_, answer) = desk.sql(text, &ask::asker(visitor), ResultFormat::Csv).await?;
    Ok(match ask::read(answer).await {
        Ok(rows) => answer::answer(&rows),
        Err(why) => html! { p.notice role="alert" { (why) } },
    })
}

fn explained(explanation: &Explanation) -> Markup {
    let Explanation { estimate, read_rows_max, read_bytes_max, decision, refusal, fingerprint } = explanation;
    html! {
        (ask::cost(estimate.as_ref(), *read_rows_max, *read_bytes_max))
        @match (decision, refusal) {
            (Decision::Refused, Some(refusal)) => p.notice role="alert" {
                b { "Refused: " (parts::name_of(&refusal.reason)) ". " } (refusal.explanation) " " (refusal.suggestion)
            },
            (Decision::Waits, _) => p { "It would wait for other questions to end." },
            _ => p { "It may run." },
        }
        p { small { "Pattern " code { (fingerprint) } } }
    }
}

fn page(state: &ConsoleState, visitor: &Visitor, text: &str, answer: &Markup) -> Markup {
    let body = html! {
        h1 { "Ask in SQL" }
        p {
            "Only reading, only Floodmark's own tables, and only what ClickHouse can bear: the guard says why not. "
            code { "{database}" } " stands for the database."
        }
        @if !visitor.may_ask { p.notice { "This needs a session of a token with the scope " code { "query" } "." } }
        form.stacked method="post" action="/sql" {
            input type="hidden" name=(TOKEN_FIELD) value=(visitor.form_token);
            label for="sql" { "SQL" }
            textarea #sql name="sql" rows="8" required maxlength="60000" spellcheck="false" { (text) }
            div.inline {
                button type="submit" name="what" value="run" { "Ask" }
                button.quiet type="submit" name="what" value="explain" { "What would it cost?" }
            }
        }
        details { summary { "Tables" } ul { @for table in TABLES { li { code { (table.name) } } } } }
        (answer)
    };
    layout::page(state, visitor, Section::Queries, "Ask in SQL", &body)
}
