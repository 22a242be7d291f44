//! The gate for CI: what each query of a folder reads and takes on seeded data, held against budgets and a baseline that
//! are committed beside the queries. Never judges milliseconds: a build machine has other ones than production.

mod advice;
mod budgets;
mod explain;
mod folder;
mod judge;
mod measure;
pub mod report;
mod server;
mod statements;
mod update;

use std::path::PathBuf;

pub use budgets::{Baseline, Budget, Budgets, QueryBudgets, Scanned};
pub use explain::{Access, ExplainError, Scan, scans};
pub use folder::{Folder, FolderError, Query};
pub use judge::{Finding, Judged, KINDS, Kind, Note, Report, judge};
pub use measure::{Measured, Measures, RUNS, Scale, measure_all, seed};
pub use server::{Access as ServerAccess, Server, ServerError};
pub use update::updated;

/// A preflight could not be made (a query that fails is a finding, not this).
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The folder or its budgets cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The server does not answer, or refuses the schema or the seed.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// Every query would pass on it.
    #[error("the seed has filled no table: every query would pass on no data")]
    NothingSeeded,
    /// A statement of the schema or the seed failed.
    #[error("{file}, statement {number}: {source}")]
    Seed {
        /// The file.
        file: PathBuf,
        /// Which of its statements, from 1.
        number: usize,
        /// What ClickHouse said.
        source: ServerError,
    },
}
