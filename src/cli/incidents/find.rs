//! Where an incident is looked for: in a replay's output; else in the running service, and then in ClickHouse.

use std::path::PathBuf;

use anyhow::anyhow;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::replayed::Replayed;
use super::stored;
use crate::cli::alerts::client::ServiceArgs;
use crate::cli::{CliError, Globals};
use crate::clock;
use crate::config::Format;
use crate::model::{Timestamp, did_you_mean};
use crate::postmortem::{Dossier, IncidentRecord};
use crate::telemetry;

/// How far back `latest` is looked for in ClickHouse.
const LATEST_MS: i64 = 366 * 86_400_000;

/// Which incident, and where it is.
#[derive(Debug, clap::Args)]
pub(super) struct FindArgs {
    /// Identity of the incident, as `list` shows it, a beginning of it that fits one only, or `latest`:
    /// the newest of the gravest
    #[arg(value_name = "INCIDENT")]
    incident: String,
    #[command(flatten)]
    pub(super) replay: ReplayArgs,
    /// Logs that were replayed: requests around the incident are counted from them
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "from_replay")]
    events: Vec<PathBuf>,
    /// Format of the logs
    #[arg(long, value_enum, default_value_t, requires = "events")]
    format: Format,
    #[command(flatten)]
    service: ServiceArgs,
}

/// The output of a replay.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Output of `floodmark replay` instead of a service or storage; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) from_replay: Option<PathBuf>,
}

/// Everything about the incident that is asked for.
pub(super) fn dossier(args: &FindArgs, globals: &Globals) -> Result<Dossier, CliError> {
    if let Some(path) = &args.replay.from_replay {
        let replayed = Replayed::read(path)?;
        let record = chosen(&replayed.records, &args.incident)?.clone();
        return replayed.dossier(record, &args.events, args.format, globals);
    }
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let (record, now, note) = live_or_stored(args, globals)?;
    let mut dossier = Dossier::new(record, Vec::new(), now);
    dossier.notes.extend(note);
    stored::add_history(&mut dossier, globals)?;
    Ok(dossier)
}

/// The report, up to when it is known, and why it is not the service's.
type Found = (IncidentRecord, Option<Timestamp>, Option<String>);

fn live_or_stored(args: &FindArgs, globals: &Globals) -> Result<Found, CliError> {
    let told = match live(&args.service, globals) {
        Ok((records, watermark)) => match chosen(&records, &args.incident) {
            Ok(record) => return Ok((record.clone(), watermark, None)),
            Err(error) => (error.to_string(), watermark),
        },
        Err(error @ (CliError::Config(_) | CliError::Usage(_))) => return Err(error),
        Err(error) => (error.to_string(), None),
    };
    let (why, watermark) = told;
    let now = clock::now();
    let everything = (now.plus(-LATEST_MS).max(Timestamp::MIN), now);
    // An identity is looked up whenever it was; anything else is chosen among those of a year.
    let mut records = stored::records(globals, everything, &args.incident, 1)?;
    if records.is_empty() {
        records = stored::records(globals, everything, "", super::list::STORED_MAX)?;
    }
    let record =
        chosen(&records, &args.incident).map_err(|error| anyhow!("the service: {why}; ClickHouse: {error}"))?.clone();
    Ok((record, watermark, Some(format!("The report is from ClickHouse; the service: {why}."))))
}

/// What the service knows: open incidents and recent ones, newest start first, and its watermark.
pub(super) fn live(
    service: &ServiceArgs,
    globals: &Globals,
) -> Result<(Vec<IncidentRecord>, Option<Timestamp>), CliError> {
    let mut answer = service.ask(globals, Method::GET, "/api/v1/incidents", None)?;
    let watermark = answer["watermark"].as_str().and_then(|text| Timestamp::parse_rfc3339(text).ok());
    let incidents = answer["incidents"].take();
    let read = |value: &Value| IncidentRecord::deserialize(value);
    let records: Result<Vec<IncidentRecord>, serde_json::Error> =
        incidents.as_array().into_iter().flatten().map(read).collect();
    let mut records = records.map_err(|error| anyhow!("the service said something unexpected: {error}"))?;
    records.sort_by(|a, b| (b.started_at, &b.incident).cmp(&(a.started_at, &a.incident)));
    Ok((records, watermark))
}

/// The incident of this identity, or the only one that begins so, or the newest of the worst severity for `latest`.
fn chosen<'r>(records: &'r [IncidentRecord], wanted: &str) -> Result<&'r IncidentRecord, CliError> {
    if wanted == "latest" {
        let worst = records.iter().map(|record| record.severity).max();
        let latest = records.iter().find(|record| Some(record.severity) == worst);
        return latest.ok_or_else(|| anyhow!("there is no incident").into());
    }
    if let Some(record) = records.iter().find(|record| record.incident == wanted) {
        return Ok(record);
    }
    let beginning: Vec<&IncidentRecord> = records.iter().filter(|r| r.incident.starts_with(wanted)).collect();
    match beginning.as_slice() {
        [record] => Ok(record),
        [] => {
            let meant = did_you_mean(wanted, records.iter().map(|record| record.incident.as_str()));
            let hint = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            Err(anyhow!("there is no incident {wanted}{hint}").into())
        }
        several => Err(anyhow!("{} incidents begin with {wanted}", several.len()).into()),
    }
}
