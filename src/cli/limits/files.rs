//! A limit tried on log files: read once to find the incidents, and once more to apply the limit.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::config::{Config, Format};
use crate::decode::Decoder;
use crate::limits::{PastIncident, Report, SourceKind, Spec, WhatIf};
use crate::model::{Event, Output};
use crate::pipeline::Settings;
use crate::replay::{RejectedRecord, ReplayError, Source, merge, replay};

const BUFFER_BYTES: usize = 1 << 18;

/// The answer; without `settings` no incidents are looked for.
pub(super) fn answer(
    config: &Config,
    files: &[PathBuf],
    format: Format,
    settings: Option<&Settings>,
    spec: &Spec,
) -> anyhow::Result<Report> {
    let decoder = Decoder::new(format, &config.decode);
    let incidents = match settings {
        Some(settings) => {
            files.iter().try_for_each(|path| readable_twice(path))?;
            incidents(settings, sources(files, &decoder)?)?
        }
        None => Vec::new(),
    };
    let mut what_if = WhatIf::new(spec, SourceKind::Files, incidents);
    let mut look = |event: &Event| {
        if let Event::Request(request) = event {
            what_if.apply(request);
        }
        Ok::<(), ReplayError>(())
    };
    let rejected = merge(sources(files, &decoder)?, &mut look, &mut show, &mut |_| {})?;
    for ((code, field), count) in &rejected {
        let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
        eprintln!("rejected {count} × {}{field}", code.as_str());
    }
    Ok(what_if.finish(""))
}

fn show(rejected: &RejectedRecord<'_>) {
    eprintln!("{}:{}: {}", rejected.source, rejected.line, rejected.reason);
}

/// The last report of each incident.
fn incidents(settings: &Settings, sources: Vec<Source<Box<dyn BufRead>>>) -> anyhow::Result<Vec<PastIncident>> {
    let mut incidents = std::collections::BTreeMap::new();
    let mut take = |output: &Output| {
        if let Output::Incident(report) = output {
            incidents.insert(report.incident.clone(), PastIncident::of(report));
        }
        Ok::<(), ReplayError>(())
    };
    // What is refused is told when the limit is applied.
    replay(settings, sources, &mut take, &mut |_| {}, &mut |_| {})?;
    Ok(incidents.into_values().collect())
}

fn sources(files: &[PathBuf], decoder: &Decoder) -> anyhow::Result<Vec<Source<Box<dyn BufRead>>>> {
    let open = |path: &PathBuf| -> anyhow::Result<_> {
        let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin()))
        } else {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
        };
        Ok(Source::new(path.display().to_string(), input, decoder.clone()))
    };
    files.iter().map(open).collect()
}

fn readable_twice(path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.as_os_str() != "-",
        "standard input can be read only once: give --no-incidents, or write it to a file first"
    );
    let metadata = path.metadata().with_context(|| format!("cannot open {}", path.display()))?;
    ensure!(
        metadata.is_file(),
        "{} is no regular file, and it is read twice to find incidents: give --no-incidents, or write it to a file first",
        path.display()
    );
    Ok(())
}
