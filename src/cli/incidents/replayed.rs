//! Incidents of a replay: what it printed, and the log that it read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::replay::open;
use crate::cli::{CliError, Globals};
use crate::config::Format;
use crate::decode::Decoder;
use crate::ingest::LineReader;
use crate::model::{Event, Timestamp};
use crate::postmortem::{AlertRecord, Dossier, History, IncidentRecord, TrafficCounter};

/// A line of a replay's output that is longer is none.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Incidents of a file at most.
const INCIDENTS_MAX: usize = 10_000;
/// What alerts said, at most: all of a file.
const ALERTS_MAX: usize = 200_000;

/// What a replay printed.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Newest first.
    pub(super) records: Vec<IncidentRecord>,
    alerts: Vec<AlertRecord>,
    pub(super) watermark: Option<Timestamp>,
}

impl Replayed {
    /// Reads what a replay printed.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let name = path.display();
        let mut lines = LineReader::new(open(path)?, LINE_BYTES_MAX);
        let mut records: BTreeMap<String, IncidentRecord> = BTreeMap::new();
        let mut replayed = Self::default();
        while let Some(line) = lines.next_line().with_context(|| format!("cannot read {name}"))? {
            if line.bytes.trim_ascii().is_empty() && !line.is_skipped() {
                continue;
            }
            let place = || format!("{name}:{}: not a line that `floodmark replay` prints", line.number + 1);
            replayed.take(line.bytes, &mut records).with_context(place)?;
        }
        replayed.records = records.into_values().collect();
        replayed.records.sort_by(|a, b| (b.started_at, &b.incident).cmp(&(a.started_at, &a.incident)));
        Ok(replayed)
    }

    fn take(&mut self, line: &[u8], records: &mut BTreeMap<String, IncidentRecord>) -> anyhow::Result<()> {
        let value: Value = serde_json::from_slice(line)?;
        match value["event"].as_str() {
            Some("incident") => {
                let record = IncidentRecord::deserialize(value)?;
                if records.len() >= INCIDENTS_MAX && !records.contains_key(&record.incident) {
                    bail!("more than {INCIDENTS_MAX} incidents");
                }
                records.insert(record.incident.clone(), record);
            }
            Some("summary") => {
                let watermark = value["watermark"].as_str();
                self.watermark = watermark.and_then(|text| Timestamp::parse_rfc3339(text).ok());
            }
            Some("pending" | "firing" | "resolved") => {
                if self.alerts.len() >= ALERTS_MAX {
                    bail!("more than {ALERTS_MAX} transitions of alerts");
                }
                self.alerts.push(AlertRecord::deserialize(value)?);
            }
            other => bail!("its event is {other:?}"),
        }
        Ok(())
    }

    /// All that is known of an incident; with its log also what traffic did.
    pub(super) fn dossier(
        &self,
        record: IncidentRecord,
        log: &[PathBuf],
        format: Format,
        globals: &Globals,
    ) -> Result<Dossier, CliError> {
        let alerts = self.alerts.iter().filter(|alert| alert.incident == record.incident).cloned().collect();
        let mut dossier = Dossier::new(record, alerts, self.watermark);
        if log.is_empty() {
            dossier.notes.push("Requests are in the log that was replayed: name it with --events.".to_owned());
        } else {
            dossier.history = Some(count(&dossier, log, format, globals)?);
        }
        Ok(dossier)
    }
}

fn count(dossier: &Dossier, log: &[PathBuf], format: Format, globals: &Globals) -> Result<History, CliError> {
    let decoder = Decoder::new(format, &globals.load_config()?.decode);
    let mut counter = TrafficCounter::new(dossier.span, dossier.selection.clone());
    for path in log {
        let mut lines = LineReader::new(open(path)?, decoder.record_bytes_max());
        while let Some(line) = lines.next_line().with_context(|| format!("cannot read {}", path.display()))? {
            // What cannot be decoded was told by the replay.
            line.decode(&decoder, &mut |_, decoded| {
                if let Ok(Event::Request(request)) = decoded {
                    counter.add(&request);
                }
            });
        }
    }
    let (points, customers, further_customers) = counter.finish();
    let names: Vec<String> = log
        .iter()
        .map(|path| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()))
        .collect();
    Ok(History { source: format!("the log {}", names.join(", ")), points, customers, further_customers })
}
