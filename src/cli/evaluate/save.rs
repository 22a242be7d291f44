//! The report, the results and the pictures as files.

use std::path::Path;

use anyhow::Context;

use super::Results;
use crate::evaluation::{picture, report};

/// Writes `FILE.md`, and `results.json` and pictures into the directory `FILE` beside it.
///
/// # Errors
/// A file or directory that cannot be written.
pub(super) fn save(path: &Path, results: &Results<'_>, command: &str) -> anyhow::Result<()> {
    let directory = path.with_extension("");
    if directory == path {
        anyhow::bail!("{} should end in .md: the name without it is the directory of its pictures", path.display());
    }
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut json = serde_json::to_string_pretty(results)?;
    json.push('\n');
    write(&directory.join("results.json"), &json)?;
    let folder = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut pictures = Vec::new();
    for outcome in results.runs {
        let Some(trace) = &outcome.trace else { continue };
        let name = format!("{}.svg", outcome.scenario);
        write(&directory.join(&name), &picture(trace))?;
        let amplitude = outcome.amplitude.map(|amplitude| format!(", {amplitude}×")).unwrap_or_default();
        pictures.push((format!("{}{amplitude}, seed {}", outcome.scenario, outcome.seed), format!("{folder}/{name}")));
    }
    write(path, &report(results.summary, results.aims, results.runs, &pictures, command))
}
