//! Brings the schema of a database up to what this binary knows, or says what differs.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::native_format::{Block, NumberColumn, StringColumn};
use super::schema::{MIGRATIONS, Migration};
use super::{ClickHouse, StoreError};

const CREATE_DATABASE: &str = "CREATE DATABASE IF NOT EXISTS {database}";
const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS {database}.schema_migrations (number UInt32, name String, \
     sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY number";
const SELECT_RECORD: &str = "SELECT number, name, sha256 FROM {database}.schema_migrations FINAL ORDER BY number";
/// ClickHouse's code for "this table exists already".
const TABLE_EXISTS: u32 = 57;
/// Its codes for a table and a database that are not there.
const UNKNOWN_TABLE: u32 = 60;
const UNKNOWN_DATABASE: u32 = 81;

/// The schema of a database cannot be used by this binary.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A migration that ran there is not the one that this binary has.
    #[error(
        "schema of database {database} has drifted: migration {number:04}_{name} ran there with sha256 {applied}, this \
         binary has {expected}; use the binary that made it, or another database"
    )]
    Drifted {
        /// Database.
        database: String,
        /// Number of the migration.
        number: u32,
        /// Its name as recorded.
        name: String,
        /// Checksum as recorded.
        applied: String,
        /// Checksum of this binary's file (and its name, where that differs).
        expected: String,
    },
    /// A later migration is recorded, an earlier one is not.
    #[error("schema of database {database} has a gap: migration {missing:04} is not recorded, {later:04} is")]
    Gap {
        /// Database.
        database: String,
        /// The number that is missing.
        missing: u32,
        /// A number that is there.
        later: u32,
    },
    /// The database was made by a newer binary.
    #[error(
        "schema of database {database} is newer than this binary: migration {found:04}_{name} is recorded there, this \
         binary knows up to {known:04}; use a newer binary, or another database"
    )]
    Newer {
        /// Database.
        database: String,
        /// Number that this binary does not know.
        found: u32,
        /// Its name.
        name: String,
        /// Last number that this binary knows.
        known: u32,
    },
    /// The tables are those of an older binary, or are being brought up to date at this moment.
    #[error(
        "schema of database {database} is older than this binary: {applied} of {known} migrations are recorded there; \
         `floodmark run` of this version brings it up to date as it starts"
    )]
    Older {
        /// Database.
        database: String,
        /// Number of migrations that ran there.
        applied: usize,
        /// Number of migrations that this binary knows.
        known: usize,
    },
    /// ClickHouse could not be asked or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MigrationError {
    /// The class of the error, from a bounded set.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Drifted { .. } => "schema_drifted",
            Self::Gap { .. } => "schema_gap",
            Self::Newer { .. } => "schema_newer",
            Self::Older { .. } => "schema_older",
            Self::Store(error) => error.code(),
        }
    }

    /// Whether the same may succeed later without anybody doing anything about it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Recorded {
    number: u32,
    name: String,
    sha256: String,
}

/// Makes database and tables, or brings them up to date. Gives the number of migrations that were run.
///
/// Needs a user that may create. Two binaries may do this at the same time: a table that the other has just made is
/// taken as made.
///
/// # Errors
/// See [`MigrationError`]. Nothing is changed when the schema is refused.
pub async fn migrate(clickhouse: &ClickHouse) -> Result<usize, MigrationError> {
    clickhouse.execute(CREATE_DATABASE).await?;
    clickhouse.execute(CREATE_RECORD).await?;
    let recorded: Vec<Recorded> = clickhouse.fetch(SELECT_RECORD, &[]).await?;
    let pending = pending(clickhouse.database(), &recorded)?;
    for migration in pending {
        match clickhouse.execute(migration.sql).await {
            // The server stopped, or another binary won, between the statement and its record.
            Err(StoreError::Refused { number: TABLE_EXISTS, .. }) => {}
            result => result?,
        }
        record(clickhouse, migration).await?;
        tracing::info!(number = migration.number, name = migration.name, "schema migration applied");
    }
    Ok(pending.len())
}

/// Whether the tables are those that this binary reads. Nothing is changed; a database in which nothing was ever stored
/// passes.
///
/// # Errors
/// See [`MigrationError`].
pub async fn check_schema(clickhouse: &ClickHouse) -> Result<(), MigrationError> {
    let recorded: Vec<Recorded> = match clickhouse.fetch(SELECT_RECORD, &[]).await {
        Err(StoreError::Refused { number: UNKNOWN_TABLE | UNKNOWN_DATABASE, .. }) => return Ok(()),
        recorded => recorded?,
    };
    let database = clickhouse.database().to_owned();
    match pending(&database, &recorded)? {
        [] => Ok(()),
        _ if recorded.is_empty() => Ok(()),
        _ => Err(MigrationError::Older { database, applied: recorded.len(), known: MIGRATIONS.len() }),
    }
}

/// The migrations that have not run yet, or why the schema is refused.
fn pending(database: &str, recorded: &[Recorded]) -> Result<&'static [Migration], MigrationError> {
    for (found, expected_number) in recorded.iter().zip(1..) {
        let database = database.to_owned();
        if found.number != expected_number {
            return Err(MigrationError::Gap { database, missing: expected_number, later: found.number });
        }
        let Some(known) = MIGRATIONS.get(found.number as usize - 1) else {
            let (found, name, known) = (found.number, found.name.clone(), MIGRATIONS.len() as u32);
            return Err(MigrationError::Newer { database, found, name, known });
        };
        let expected = checksum(known);
        if found.sha256 != expected || found.name != known.name {
            return Err(MigrationError::Drifted {
                database,
                number: found.number,
                name: found.name.clone(),
                applied: found.sha256.clone(),
                expected: if found.name == known.name { expected } else { format!("{expected} ({})", known.name) },
            });
        }
    }
    Ok(&MIGRATIONS[recorded.len()..])
}

async fn record(clickhouse: &ClickHouse, migration: &Migration) -> Result<(), StoreError> {
    let mut number = NumberColumn::with_capacity(1);
    number.push(migration.number);
    let mut name = StringColumn::default();
    name.push(migration.name);
    let mut sha256 = StringColumn::default();
    sha256.push(checksum(migration));
    let row = Block::new(1).column("number", number).column("name", name).column("sha256", sha256);
    clickhouse.insert("schema_migrations", row, None).await
}

fn checksum(migration: &Migration) -> String {
    Sha256::digest(migration.sql).iter().map(|byte| format!("{byte:02x}")).collect()
}
