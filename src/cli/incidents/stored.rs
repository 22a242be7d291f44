//! Incidents in ClickHouse, and what is stored of the time around them.

use std::time::Duration;

use anyhow::Context;

use crate::cli::ledger::access::Access;
use crate::cli::{CliError, Globals};
use crate::model::Timestamp;
use crate::postmortem::{Dossier, IncidentRecord};
use crate::store::{StoreError, incident_alerts, incident_history, incident_records};

/// ClickHouse may take this long for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// ClickHouse's codes for a table and a database that are not there: nothing was ever stored.
const NOTHING_THERE: [&str; 2] = ["unknown_table", "unknown_database"];

/// Incidents that went on between two moments, newest first; or the one of an identity.
pub(super) fn records(
    globals: &Globals,
    stretch: (Timestamp, Timestamp),
    incident: &str,
    limit: u32,
) -> Result<Vec<IncidentRecord>, CliError> {
    let asked = with_access(globals, async |access| {
        match incident_records(&access.clickhouse, stretch, incident, limit).await {
            Err(error @ StoreError::Refused { .. }) if NOTHING_THERE.contains(&error.code()) => Ok(Vec::new()),
            asked => asked,
        }
    })?;
    Ok(asked.unwrap_or_default())
}

/// Adds what is stored around an incident; where it cannot be had, says so in a note.
pub(super) fn add_history(dossier: &mut Dossier, globals: &Globals) -> Result<(), CliError> {
    let (span, selection) = (dossier.span, dossier.selection.clone());
    let incident = dossier.record.incident.clone();
    let known = !dossier.alerts.is_empty();
    let asked = with_access(globals, async |access| {
        let alerts = if known {
            Vec::new()
        } else {
            incident_alerts(&access.clickhouse, &incident, (span.from, span.until)).await?
        };
        Ok((alerts, incident_history(&access.clickhouse, span, &selection).await?))
    });
    match asked {
        Ok(Some((alerts, history))) => {
            if !known {
                dossier.alerts = alerts;
            }
            if history.points.is_empty() {
                dossier.notes.push("Of the time around it no requests are stored (any more).".to_owned());
            } else {
                dossier.history = Some(history);
            }
        }
        Ok(None) => dossier.notes.push("Nothing was ever stored here, so there is no history.".to_owned()),
        Err(CliError::Failed(error)) => dossier.notes.push(format!("History is away: {error:#}.")),
        Err(other) => return Err(other),
    }
    Ok(())
}

/// Asks ClickHouse; nothing where nothing was ever stored.
fn with_access<T>(
    globals: &Globals,
    ask: impl AsyncFnOnce(&Access) -> Result<T, StoreError>,
) -> Result<Option<T>, CliError> {
    let config = globals.load_config()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let asked = runtime.block_on(async {
        let Some(access) = Access::open(&config, TIMEOUT).await? else { return anyhow::Ok(None) };
        let answer = ask(&access).await;
        access.close().await?;
        Ok(Some(answer?))
    });
    Ok(asked?)
}
