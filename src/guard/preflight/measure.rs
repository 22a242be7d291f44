//! Seeds a server, and asks each query some times.

use std::path::PathBuf;

use serde::Serialize;

use super::explain::Scan;
use super::folder::{Folder, Query};
use super::server::{Server, ServerError};
use super::{PreflightError, ServerAccess};

/// Runs of a query at each scale. Rows and bytes are the same each time; of memory the most counts, because threads meet
/// their peaks together in some runs only.
pub const RUNS: usize = 3;

/// Whether any of the tables that count their rows has one; yes where none counts them.
const IS_FILLED: &str = "SELECT toString(countIf(total_rows > 0) > 0 OR countIf(total_rows IS NOT NULL) = 0) FROM system.tables \
    WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') AND NOT is_temporary";

/// How much data there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scale {
    /// In the budgets file and in reports: `1x`, `4x`, or the host and port of a server with data of its own.
    pub label: String,
    /// `{scale}` of the seed; absent for data that was not seeded.
    pub factor: Option<u32>,
}

impl Scale {
    /// So many times the seed.
    #[must_use]
    pub fn seeded(factor: u32) -> Self {
        Self { label: format!("{factor}x"), factor: Some(factor) }
    }
}

/// What a query reads and takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measures {
    /// Rows read.
    pub read_rows: u64,
    /// Bytes read, uncompressed.
    pub read_bytes: u64,
    /// Peak memory: the most of the runs.
    pub memory_bytes: u64,
    /// How its tables are read.
    #[serde(skip)]
    pub scans: Vec<Scan>,
}

/// What became of one query at one scale.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Name of the query.
    pub query: String,
    /// At which scale.
    pub scale: Scale,
    /// What it took, or how it failed.
    pub result: Result<Measures, ServerError>,
}

/// Makes the tables and fills them with `factor` times the seed. Then merges are over and stay over: the same seed gives
/// the same parts.
///
/// # Errors
/// The statement that failed, and where it stands.
pub async fn seed(server: &Server, folder: &Folder, factor: u32) -> Result<(), PreflightError> {
    let database = server.database();
    server.execute(&format!("CREATE DATABASE IF NOT EXISTS `{database}`"), None).await?;
    let mut number = 0;
    let mut file_before: Option<&PathBuf> = None;
    for (file, statement) in folder.schema.iter().chain(&folder.seed) {
        number = if file_before == Some(file) { number + 1 } else { 1 };
        file_before = Some(file);
        let sql = statement.replace("{database}", database).replace("{scale}", &factor.to_string());
        let failed = |source| PreflightError::Seed { file: file.clone(), number, source };
        server.execute(&sql, Some(database)).await.map_err(failed)?;
    }
    let tables = server
        .column(
            "SELECT concat('`', database, '`.`', name, '`') FROM system.tables \
             WHERE engine LIKE '%MergeTree' AND database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') \
             ORDER BY database, name",
        )
        .await?;
    if !folder.seed.is_empty() && server.column(IS_FILLED).await? == ["0"] {
        return Err(PreflightError::NothingSeeded);
    }
    for table in tables {
        server.execute(&format!("OPTIMIZE TABLE {table} FINAL"), None).await?;
        server.execute(&format!("SYSTEM STOP MERGES {table}"), None).await?;
    }
    Ok(())
}

/// Whether the seed has a size at all.
pub(super) fn has_scale(folder: &Folder) -> bool {
    folder.seed.iter().any(|(_, statement)| statement.contains("{scale}"))
}

impl Folder {
    /// The scales that its seed can be measured at.
    #[must_use]
    pub fn scales(&self) -> Vec<Scale> {
        let factors: &[u32] = if has_scale(self) { &[1, 4] } else { &[1] };
        factors.iter().map(|factor| Scale::seeded(*factor)).collect()
    }

    /// Access to a server of our own that this folder is seeded on.
    #[must_use]
    pub fn access(&self, url: &str, user: &str, password: &str, query_memory_bytes_max: u64) -> ServerAccess {
        ServerAccess {
            url: url.to_owned(),
            user: user.to_owned(),
            password: Some(crate::config::Secret::new(password)),
            ca_file: None,
            database: self.database().to_owned(),
            query_memory_bytes_max,
        }
    }
}

/// Every query of the folder, in order. A query that fails is told, and the next is asked.
///
/// # Errors
/// The server is gone.
pub async fn measure_all(server: &Server, folder: &Folder, scale: &Scale) -> Result<Vec<Measured>, ServerError> {
    let mut all = Vec::new();
    for query in &folder.queries {
        let result = measure(server, query).await;
        if let Err(error @ ServerError::Unreachable(_)) = result {
            return Err(error);
        }
        all.push(Measured { query: query.name.clone(), scale: scale.clone(), result });
    }
    Ok(all)
}

async fn measure(server: &Server, query: &Query) -> Result<Measures, ServerError> {
    let sql = query.sql.replace("{database}", server.database());
    let parameters: Vec<(String, String)> =
        query.parameters.iter().map(|(name, value)| (format!("param_{name}"), escaped(value))).collect();
    let scans = server.explain(&sql, &parameters).await?;
    let mut measures = Measures { read_rows: 0, read_bytes: 0, memory_bytes: 0, scans };
    for _ in 0..RUNS {
        let taken = server.run(&sql, &parameters).await?;
        measures.read_rows = measures.read_rows.max(taken.read_rows);
        measures.read_bytes = measures.read_bytes.max(taken.read_bytes);
        measures.memory_bytes = measures.memory_bytes.max(taken.memory_bytes);
    }
    Ok(measures)
}

/// A parameter's value is read like a field of tab-separated text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
}
