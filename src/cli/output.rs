//! How commands write their data to stdout: a table for people, JSON for programs.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, ContentArrangement, Table};

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
    fn a_plain_table_holds_no_escape_sequences() {
        let mut table = styled_table(vec!["check".to_owned(), "result".to_owned()], true);
        table.add_row(["rules", "5 alerts"]);
        assert_eq!(table.trim_fmt(), " check  result\n rules  5 alerts");
    }
}
