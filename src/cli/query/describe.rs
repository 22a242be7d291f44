//! What queries there are, and what one of them is.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::OutputForm;
use crate::cli::CliError;
use crate::cli::output::table;
use crate::model::{NamedQuery, Parameter};

/// Lists the queries.
pub(super) fn list(output: OutputForm) -> Result<ExitCode, CliError> {
    let queries = NamedQuery::all();
    let text = match output {
        OutputForm::Table => {
            let mut rows = table(["name", "title", "parameters", "budget"]);
            for query in queries {
                let parameters: Vec<String> = query.parameters.iter().map(short).collect();
                rows.add_row([query.name, &query.title, &parameters.join(" "), query.budget.as_str()]);
            }
            rows.trim_fmt()
        }
        OutputForm::Json => format!("{:#}", json!({"queries": queries.iter().map(as_json).collect::<Vec<_>>()})),
        OutputForm::Ndjson => queries.iter().map(|query| as_json(query).to_string()).collect::<Vec<_>>().join("\n"),
        _ => return Err(CliError::Usage("queries are listed as table, json or ndjson".to_owned())),
    };
    print(&text)
}

/// `limit=100`, and of what has to be given `subscription=…`.
fn short(parameter: &Parameter) -> String {
    match parameter.default.as_deref() {
        None => format!("{}=…", parameter.name),
        Some("") => parameter.name.clone(),
        Some(default) => format!("{}={default}", parameter.name),
    }
}

/// Says everything about one.
pub(super) fn one(query: &NamedQuery, output: OutputForm) -> Result<ExitCode, CliError> {
    match output {
        OutputForm::Table => print(&in_words(query)),
        OutputForm::Json | OutputForm::Ndjson => print(&format!("{:#}", as_json(query))),
        _ => Err(CliError::Usage("a query is described as table or json".to_owned())),
    }
}

fn in_words(query: &NamedQuery) -> String {
    let limits = query.budget.limits();
    let mut text = format!("{} ({})\n\n{}\n", query.title, query.name, query.description);
    text += &format!("\nowner   {}\nbudget  {}: {} s", query.owner, query.budget.as_str(), limits.time_s);
    let rows = if limits.read_rows == 0 { "any number of".to_owned() } else { limits.read_rows.to_string() };
    text += &format!(
        ", {} MiB of memory, {rows} rows read, {} rows of answer\n",
        limits.memory_bytes >> 20,
        limits.result_rows
    );
    let mut parameters = table(["parameter", "takes", "default", "what"]);
    for one in &query.parameters {
        let default = one.default.clone().unwrap_or_else(|| "has to be given".to_owned());
        parameters.add_row([&one.name, one.kind.takes(), &default, &one.description]);
    }
    let mut columns = table(["column", "unit", "what"]);
    for column in &query.columns {
        columns.add_row([&column.name, column.unit.as_str(), &column.description]);
    }
    if !query.parameters.is_empty() {
        text += &format!("\n{}\n", parameters.trim_fmt());
    }
    text + &format!("\n{}", columns.trim_fmt())
}

fn as_json(query: &NamedQuery) -> Value {
    let parameters: Vec<Value> = query
        .parameters
        .iter()
        .map(|one| {
            json!({"name": one.name, "type": one.kind.type_name(), "default": one.default, "description": one.description})
        })
        .collect();
    let columns: Vec<Value> = query
        .columns
        .iter()
        .map(|one| json!({"name": one.name, "unit": one.unit.as_str(), "description": one.description}))
        .collect();
    json!({
        "name": query.name, "title": query.title, "description": query.description, "owner": query.owner,
        "budget": query.budget.as_str(), "parameters": parameters, "columns": columns,
    })
}

/// Prints; whoever reads no further has seen enough.
pub(super) fn print(text: &str) -> Result<ExitCode, CliError> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to stdout").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What was written, or why it was not.
pub(super) fn written(result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}
