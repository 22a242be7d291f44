//! Where an answer goes: a file, standard output as it comes, a table, a plot.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use futures_util::{Stream, StreamExt};
use indicatif::ProgressBar;

use super::describe::written;
use super::row::Row;
use super::{Args, OutputForm, Question, chart, shown};
use crate::query::{Answer, AnswerBroken};

/// Rows that a table shows, or a plot takes: more is not read by people, and not held by us.
const ROWS_MAX: usize = 50_000;

/// Writes the answer.
pub(super) async fn write(
    args: &Args,
    question: &Question,
    mut answer: Answer,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if let Some(path) = &args.out {
        return if args.output == OutputForm::Table {
            let rows = rows(&mut answer).await?;
            whole_file(path, |file| writeln!(file, "{}", shown::table_of(&rows, question)))
        } else {
            to_file(path, answer).await
        };
    }
    if args.chart || args.output == OutputForm::Table {
        let rows = rows(&mut answer).await?;
        bar.finish_and_clear();
        let text = if args.chart { chart::of(&rows, question, &args.value)? } else { shown::table_of(&rows, question) };
        if rows.is_empty() {
            eprintln!("no rows{}", asked(question));
            return Ok(());
        }
        return written(writeln!(std::io::stdout().lock(), "{text}"));
    }
    let mut stdout = std::io::stdout();
    while let Some(piece) = next(&mut answer).await? {
        let result = bar.suspend(|| stdout.write_all(&piece));
        if result.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            // Whoever reads has seen enough; the query ends with the connection.
            return Ok(());
        }
        result.context("cannot write to stdout")?;
    }
    written(stdout.flush())
}

/// Of which span there are no rows.
fn asked(question: &Question) -> String {
    let Question::Named(bound) = question else { return String::new() };
    bound.range().map(|(from, until)| format!(" from {from} until {until}")).unwrap_or_default()
}

async fn next<S>(answer: &mut S) -> anyhow::Result<Option<bytes::Bytes>>
where
    S: Stream<Item = Result<bytes::Bytes, AnswerBroken>> + Unpin,
{
    answer.next().await.transpose().map_err(anyhow::Error::from)
}

/// An answer that breaks off leaves no file.
async fn to_file(path: &Path, mut answer: Answer) -> anyhow::Result<()> {
    let mut pieces = beside(path)?;
    while let Some(piece) = next(&mut answer).await? {
        pieces.write_all(&piece).with_context(|| format!("cannot write {}", path.display()))?;
    }
    persist(pieces, path)
}

fn whole_file(
    path: &Path,
    write: impl FnOnce(&mut tempfile::NamedTempFile) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut file = beside(path)?;
    write(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
    persist(file, path)
}

fn beside(path: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .with_context(|| format!("cannot write into {}", directory.display()))
}

fn persist(file: tempfile::NamedTempFile, path: &Path) -> anyhow::Result<()> {
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// The rows of an answer of objects a line.
async fn rows(answer: &mut Answer) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(piece) = next(answer).await? {
        rest.extend_from_slice(&piece);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            rows.push(serde_json::from_slice(line).context("the answer is not what was asked for")?);
        }
        rest.drain(..=end);
        if rows.len() > ROWS_MAX {
            bail!("more than {ROWS_MAX} rows: ask for less, or take --output csv");
        }
    }
    if !rest.is_empty() {
        rows.push(serde_json::from_slice(&rest).context("the answer is not what was asked for")?);
    }
    Ok(rows)
}
