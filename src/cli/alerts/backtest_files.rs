//! A backtest over log files: each rule set reads them as `floodmark replay` does.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};

use crate::backtest::{Pages, Side};
use crate::config::{Config, Format};
use crate::decode::Decoder;
use crate::pipeline::Settings;
use crate::replay::{ReplayError, Source, replay};

const BUFFER_BYTES: usize = 1 << 18;

/// Runs both rule sets over the files, side by side.
pub(super) fn run(
    config: &Config,
    files: &[PathBuf],
    format: Format,
    (old, new): (&Settings, &Settings),
) -> anyhow::Result<(Side, Side)> {
    files.iter().try_for_each(|path| readable_twice(path))?;
    let decoder = Decoder::new(format, &config.decode);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| side(&decoder, files, old));
        let new = side(&decoder, files, new);
        let old = other.join().map_err(|_| anyhow!("a rule set's thread ended early"))?;
        Ok((old?, new?))
    })
}

/// Both sides read each file: of a pipe each would get a part.
fn readable_twice(path: &Path) -> anyhow::Result<()> {
    let metadata = path.metadata().with_context(|| format!("cannot open {}", path.display()))?;
    ensure!(
        metadata.is_file(),
        "{} is no regular file: both rule sets read it, so a pipe must be written to a file first",
        path.display()
    );
    Ok(())
}

fn side(decoder: &Decoder, files: &[PathBuf], settings: &Settings) -> anyhow::Result<Side> {
    let mut sources = Vec::new();
    for path in files {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        sources.push(Source::new(path.display().to_string(), input, decoder.clone()));
    }
    let mut pages = Pages::default();
    let mut take = |output: &_| {
        pages.take(output);
        Ok::<(), ReplayError>(())
    };
    // What is refused is what `floodmark replay` refuses and explains.
    let replayed = replay(settings, sources, &mut take, &mut |_| {}, &mut |_| {})?;
    Ok(Side { overflowed: pages.overflowed(), pages: pages.into_pages(), summary: replayed.summary })
}
