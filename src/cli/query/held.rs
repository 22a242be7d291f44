//! The whole answer of a named query, held: for commands that go through it as through a file.

use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};

use super::bind;
use crate::cli::ledger::access::Access;
use crate::cli::{CliError, Globals};
use crate::model::{NamedQuery, did_you_mean};
use crate::telemetry;

/// ClickHouse has to say something within this; the query's budget bounds the rest.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Rows by column, in the order of the answer: all of them. One that has reached the query's `limit` is refused, for what is
/// missing nobody sees.
pub(in crate::cli) fn held(
    name: &str,
    parameters: &[String],
    globals: &Globals,
) -> Result<Vec<Map<String, Value>>, CliError> {
    let known = || NamedQuery::all().iter().map(|query| query.name);
    let query = NamedQuery::find(name).ok_or_else(|| {
        let hint = did_you_mean(name, known()).map_or_else(
            || format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            |meant| format!("did you mean {meant}? `floodmark query` lists them"),
        );
        CliError::Usage(format!("there is no query {name}; {hint}"))
    })?;
    let bound = bind(query, parameters)?;
    let config = globals.load_config()?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let rows: Vec<Map<String, Value>> = runtime.block_on(async {
        let access = Access::open(&config, TIMEOUT).await?;
        let access = access.ok_or_else(|| anyhow!("nothing was stored yet: there is nothing to ask"))?;
        let rows = access.clickhouse.ask_bound(&bound).await;
        access.close().await?;
        anyhow::Ok(rows?)
    })?;
    if rows.is_empty() {
        return Err(anyhow!("the query gives no rows").into());
    }
    let limit = bound.value("limit").and_then(|limit| limit.parse().ok());
    match limit {
        Some(limit) if rows.len() >= limit => {
            Err(anyhow!("the answer has reached its limit of {limit} rows: raise it with -p limit=…").into())
        }
        _ => Ok(rows),
    }
}
