//! What a question would read, without running it.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::describe::print;
use super::running::{Asking, told};
use super::{Args, OutputForm, Question};
use crate::cli::output::table;
use crate::detect::percent;
use crate::model::Bound;
use crate::postmortem::plain;
use crate::store::StoreError;

/// How much a table holds, so that bytes can be said: the same text as the desk asks.
const SIZES: &str = include_str!("../../../queries/desk/table_sizes.sql");

/// A row of `EXPLAIN ESTIMATE`.
#[derive(Debug, Deserialize, Serialize)]
struct TableRead {
    table: String,
    parts: u64,
    rows: u64,
    marks: u64,
}

#[derive(Debug, Deserialize)]
struct Size {
    name: String,
    total_rows: Option<u64>,
    total_bytes_uncompressed: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct PlanLine {
    explain: String,
}

/// Prints it.
pub(super) async fn run(args: &Args, question: &Question, asking: &Asking) -> anyhow::Result<()> {
    let explained = match question {
        Question::Named(bound) => named(bound, asking).await?,
        Question::Sql(text) => sql(text, asking).await?,
    };
    let text = match args.output {
        OutputForm::Table => in_words(&explained),
        _ => format!("{explained:#}"),
    };
    print(&text)?;
    Ok(())
}

async fn named(bound: &Bound<'_>, asking: &Asking) -> anyhow::Result<Value> {
    let limits = bound.query.budget.limits();
    let clickhouse = asking.clickhouse.limited(&limits);
    let values: Vec<(&str, &str)> = bound.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let estimate = format!("EXPLAIN ESTIMATE {}", bound.query.sql);
    let tables: Vec<TableRead> = clickhouse.fetch(&estimate, &values).await.context("cannot estimate it")?;
    let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
    // Who may not look at the catalogue is told rows alone.
    let sizes: Result<Vec<Size>, StoreError> = clickhouse.fetch(SIZES, &[("names", &names.join(","))]).await;
    let sizes = sizes.unwrap_or_default();
    let plan: Vec<PlanLine> = clickhouse
        .fetch(&format!("EXPLAIN indexes = 1 {}", bound.query.sql), &values)
        .await
        .context("cannot plan it")?;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let bytes_max: u64 = tables.iter().map(|table| table.rows.saturating_mul(row_bytes(&sizes, &table.table))).sum();
    let budget_share = if limits.read_rows == 0 { None } else { Some(rows as f64 / limits.read_rows as f64) };
    Ok(json!({
        "query": bound.query.name,
        "rows": rows,
        "bytes_max": bytes_max,
        "tables": tables,
        "budget": bound.query.budget.as_str(),
        "read_rows_max": if limits.read_rows == 0 { Value::Null } else { limits.read_rows.into() },
        "budget_share": budget_share,
        "decision": if budget_share.is_some_and(|share| share > 1.0) { "refused" } else { "admitted" },
        "plan": plan.into_iter().map(|line| line.explain).collect::<Vec<_>>(),
    }))
}

fn row_bytes(sizes: &[Size], table: &str) -> u64 {
    let size = sizes.iter().find(|size| size.name == table);
    size.map_or(0, |size| size.total_bytes_uncompressed.unwrap_or(0).div_ceil(size.total_rows.unwrap_or(0).max(1)))
}

async fn sql(text: &str, asking: &Asking) -> anyhow::Result<Value> {
    let explained = asking.desk.explain(text, &asking.asker).await.map_err(told)?;
    let rows = explained.estimate.as_ref().map(|estimate| estimate.rows);
    let share = rows.map(|rows| rows as f64 / explained.read_rows_max.max(1) as f64);
    let mut value = json!({
        "rows": rows,
        "bytes_max": explained.estimate.as_ref().map(|estimate| estimate.bytes_max),
        "tables": explained.estimate.as_ref().map(|estimate| &estimate.tables),
        "is_upper_bound": explained.estimate.as_ref().map(|estimate| estimate.is_upper_bound),
        "fingerprint": explained.fingerprint,
        "read_rows_max": explained.read_rows_max,
        "budget_share": share,
        "decision": explained.decision,
    });
    if let Some(refusal) = &explained.refusal {
        value["refusal"] = refusal.to_string().into();
    }
    Ok(value)
}

fn in_words(explained: &Value) -> String {
    let mut rows = table(["table", "parts", "marks", "rows"]);
    for table in explained["tables"].as_array().into_iter().flatten() {
        let name = plain(table["table"].as_str().unwrap_or_default());
        rows.add_row([name, table["parts"].to_string(), table["marks"].to_string(), table["rows"].to_string()]);
    }
    let mut text = if rows.is_empty() { "it reads no table".to_owned() } else { rows.trim_fmt() };
    let bytes = explained["bytes_max"].as_f64().filter(|bytes| *bytes > 0.0);
    let bytes = bytes.map(|bytes| format!(", {} at most", crate::detect::bytes(bytes))).unwrap_or_default();
    let share = explained["budget_share"].as_f64().map(|share| format!(", {} of the budget", percent(share)));
    text += &match explained["rows"].as_u64() {
        Some(rows) => format!("\n\n{rows} rows{bytes}{}", share.unwrap_or_default()),
        None => "\n\nClickHouse could not say in time what it would read".to_owned(),
    };
    text += &match (explained["decision"].as_str().unwrap_or_default(), explained["refusal"].as_str()) {
        ("admitted", _) => "\nit would run".to_owned(),
        ("waits", _) => "\nit would wait for others to end".to_owned(),
        (_, Some(why)) => format!("\nit would be refused: {}", plain(why)),
        _ => "\nit would be refused: it reads more rows than it may".to_owned(),
    };
    let plan = explained["plan"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let plan: String = plan.map(|line| format!("\n{}", plain(line))).collect();
    if plan.is_empty() { text } else { format!("{text}\n{plan}") }
}
