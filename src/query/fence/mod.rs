//! What a text may say: one SELECT, of tables that whoever asks may read, without settings of its own.
//!
//! Looked at twice. [`check_text`] reads the text alone and refuses what is not a question. [`check_tree`] reads what
//! ClickHouse's own parser makes of it (`EXPLAIN AST`, which runs nothing), so that no trick of writing hides a table from
//! us that ClickHouse would read. Only nodes on a list pass: what a later ClickHouse adds is refused until it is looked at.
//!
//! This is one of three walls. The second are the settings sent beside the query, which `readonly` keeps a text from
//! changing: limits, and for a token of a subscription a filter on every table (`restriction.rs`). It stands on this one:
//! ClickHouse 26.7 lets SETTINGS of a subquery change filters whatever `readonly` says. The third are the rights of the
//! ClickHouse user.

mod functions;
mod text;
mod tree;

pub use text::check_text;
pub use tree::check_tree;

use super::tables::{SYSTEM_CATALOGUE, SYSTEM_FOR_ALL, TABLES};

/// What whoever asks may read.
#[derive(Debug, Clone, Copy)]
pub struct Readable<'a> {
    /// Our database.
    pub database: &'a str,
    /// Whether only rows of one subscription may be read.
    pub is_restricted: bool,
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// There is more text than is looked at.
    #[error("the text is longer than {0} bytes")]
    TooLong(usize),
    /// Nothing, or several statements.
    #[error("exactly one statement is taken here, not {0}")]
    Statements(u32),
    /// It does something else than reading.
    #[error("only SELECT is taken here")]
    NotASelect,
    /// It says what only the service says.
    #[error("{0}")]
    Clause(&'static str),
    /// A construct that is not on the list.
    #[error("{0} cannot be used here")]
    Construct(String),
    /// A function that reaches beyond the tables.
    #[error("the function {0} cannot be used here: it reads what is not in our tables, or does something else")]
    Function(String),
    /// A table function that reads something.
    #[error("the table function {0} cannot be used here; numbers, generateSeries and values can")]
    TableFunction(String),
    /// A table that is not ours.
    #[error("the table {0} cannot be read here")]
    Table(String),
    /// A table, or a way of reading, that would show rows of others.
    #[error("{0}")]
    NotYours(String),
    /// ClickHouse's parser said something that is not understood.
    #[error("what ClickHouse's parser makes of the text is not understood")]
    Unreadable,
}

impl FenceError {
    /// Whether another token could ask this.
    #[must_use]
    pub const fn is_about_rights(&self) -> bool {
        matches!(self, Self::NotYours(_))
    }

    /// What would be taken instead.
    #[must_use]
    pub fn suggestion(&self) -> String {
        match self {
            Self::Table(_) => {
                let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
                format!(
                    "These tables can: {}; and of system: one, numbers, numbers_mt, tables, columns.",
                    names.join(", ")
                )
            }
            Self::NotYours(_) => {
                let names: Vec<&str> =
                    TABLES.iter().filter(|table| table.has_subscription).map(|table| table.name).collect();
                format!("A token of a subscription reads {}.", names.join(", "))
            }
            Self::Clause(_) => "Say the format with the header Accept; limits are those of [query].".to_owned(),
            _ => "Write one SELECT over the tables of Floodmark.".to_owned(),
        }
    }
}

/// What is to be thought of a table's name.
enum Standing {
    /// It may be read.
    Ours,
    /// No table that we know. A name of WITH, if there is no such table.
    Bare,
}

impl Readable<'_> {
    /// `name` as ClickHouse's parser prints it: without quotes, a database before a dot.
    fn standing(&self, name: &str) -> Result<Standing, FenceError> {
        let refused = || FenceError::Table(name.to_owned());
        if SYSTEM_FOR_ALL.contains(&name) || (SYSTEM_CATALOGUE.contains(&name) && !self.is_restricted) {
            return Ok(Standing::Ours);
        }
        let bare = match name.split_once('.') {
            Some((database, table)) if database == self.database => table,
            Some(_) => return Err(refused()),
            None => name,
        };
        match TABLES.iter().find(|table| table.name == bare) {
            Some(table) if self.is_restricted && !table.has_subscription => Err(FenceError::NotYours(format!(
                "the table {bare} is about all subscriptions, and this token is for one"
            ))),
            Some(_) => Ok(Standing::Ours),
            None if bare != name => Err(refused()),
            None if !is_plain(name) => Err(refused()),
            None => Ok(Standing::Bare),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
