//! How commands write their data to stdout: a table for people, JSON for programs.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context as _;
use comfy_table::{Attribute, Cell, ContentArrangement, Table};

use super::CliError;
use crate::telemetry::no_color;

/// `--output`, for commands with tabular data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

/// The `--output` argument, to be flattened into a command's arguments.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct OutputArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// A table without lines, its header in bold where stdout is a terminal and `NO_COLOR` is not set.
#[must_use]
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    table_with(header.map(str::to_owned).into())
}

/// The same for columns that are known only when it runs.
#[must_use]
pub fn table_with(header: Vec<String>) -> Table {
    styled_table(header, is_plain())
}

/// Whether stdout is to have no escape sequences.
#[must_use]
pub fn is_plain() -> bool {
    no_color(std::env::var_os("NO_COLOR").as_deref()) || !std::io::stdout().is_terminal()
}

/// Writes a text and a line end to stdout. A reader that has seen enough (`head`) is no failure.
///
/// # Errors
/// Stdout cannot be written to for another reason.
pub fn say(text: &str) -> Result<(), CliError> {
    put(&format!("{text}\n"))
}

/// The same for a text that has its line ends.
///
/// # Errors
/// As [`say`].
pub fn put(text: &str) -> Result<(), CliError> {
    put_to(&mut std::io::stdout().lock(), text)
}

fn put_to(out: &mut impl Write, text: &str) -> Result<(), CliError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout")?,
        _ => Ok(()),
    }
}

fn styled_table(header: Vec<String>, plain: bool) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if plain {
        table.force_no_tty();
    }
    let bold = |text: String| Cell::new(text).add_attribute(Attribute::Bold);
    table.set_header(header.into_iter().map(bold));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is() {
        struct Failing(ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(put_to(&mut Failing(ErrorKind::BrokenPipe), "x").is_ok());
        assert!(put_to(&mut Failing(ErrorKind::StorageFull), "x").is_err());
        let mut written = Vec::new();
        put_to(&mut written, "x").unwrap();
        assert_eq!(written, b"x");
    }

    #[test]
    fn a_plain_table_holds_no_escape_sequences() {
        let mut table = styled_table(vec!["check".to_owned(), "result".to_owned()], true);
        table.add_row(["rules", "5 alerts"]);
        assert_eq!(table.trim_fmt(), " check  result\n rules  5 alerts");
    }
}
