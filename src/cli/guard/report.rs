//! A plan, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::situation::Situation;
use crate::guard::policy::{Action, Change, Difference, Plan, Way};

/// For people: what differs object by object, then the sum, then what SQL cannot change.
pub(super) fn as_text(situation: &Situation) -> String {
    let (server, plan) = (&situation.server, &situation.plan);
    let mut text = format!(
        "{}: ClickHouse {}, S = {}, {} cores\n",
        situation.endpoint.url,
        server.version,
        mebibytes(server.facts.memory_bytes_max),
        server.facts.cores
    );
    if !server.sql_access && plan.by(Way::UsersXml).next().is_some() {
        text.push_str("Its users come from users.xml only: profiles, roles, quotas and users need --users-xml FILE.\n");
    }
    text.push('\n');
    for change in &plan.changes {
        object(&mut text, change);
    }
    text.push_str(&sum(plan));
    notes(&mut text, plan);
    text
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn object(text: &mut String, change: &Change) {
    let sign = match change.action {
        Action::Create => '+',
        Action::Change => '~',
        Action::Remove => '-',
        Action::Conflict => '!',
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{sign} {} {}", change.kind.as_str(), change.name);
    if let Some(conflict) = &change.conflict {
        let _ = writeln!(text, "    {conflict}");
    }
    let width = change.differences.iter().map(|d| d.attribute.chars().count()).max().unwrap_or(0);
    for Difference { attribute, old, new } in &change.differences {
        let value = match (old, new) {
            (None, Some(new)) => new.clone(),
            (Some(old), None) => format!("{old} → (none)"),
            (Some(old), Some(new)) => format!("{old} → {new}"),
            (None, None) => continue,
        };
        let _ = writeln!(text, "    {attribute:width$}  {value}");
    }
}

fn sum(plan: &Plan) -> String {
    if plan.is_empty() {
        return "Nothing to do: the server is as the policy says.\n".to_owned();
    }
    let count = |action: Action| plan.changes.iter().filter(|change| change.action == action).count();
    let mut text = format!(
        "\n{} to create, {} to change, {} to remove",
        count(Action::Create),
        count(Action::Change),
        count(Action::Remove)
    );
    let conflicts = count(Action::Conflict);
    if conflicts > 0 {
        let _ = write!(text, ", {conflicts} in the way");
    }
    text.push_str(".\n");
    text
}

fn notes(text: &mut String, plan: &Plan) {
    if !plan.warnings.is_empty() {
        text.push_str("\nWorth a thought:\n");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  {}: {}: {}; write {}", warning.key, warning.problem, warning.why, warning.write);
    }
    if !plan.advice.is_empty() {
        text.push_str("\nNot to be changed with SQL:\n");
    }
    for advice in &plan.advice {
        let _ = writeln!(text, "  {} is {}, better {}: {}", advice.subject, advice.is, advice.better, advice.why);
    }
}

/// For programs.
pub(super) fn as_json(situation: &Situation) -> Value {
    json!({
        "url": situation.endpoint.url,
        "version": situation.server.version,
        "memory_bytes_max": situation.server.facts.memory_bytes_max,
        "cores": situation.server.facts.cores,
        "sql_access_management": situation.server.sql_access,
        "plan": situation.plan,
    })
}
