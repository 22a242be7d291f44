//! What a question will cost, as ClickHouse counts it before it runs.

use serde::{Deserialize, Serialize};

use crate::guard::gate::Refusal;

/// What `EXPLAIN ESTIMATE` says, and what a row of each table weighs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Estimate {
    /// Rows to read, over all tables.
    pub rows: u64,
    /// Bytes to read at most: all columns of these rows, unpacked. Fewer columns are fewer bytes.
    pub bytes_max: u64,
    /// Whether a LIMIT may end the reading long before.
    pub is_upper_bound: bool,
    /// Table by table.
    pub tables: Vec<TableEstimate>,
}

/// What is read of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableEstimate {
    /// `database.table`.
    pub table: String,
    /// Parts on disk.
    pub parts: u64,
    /// Ranges of rows (granules).
    pub marks: u64,
    /// Rows.
    pub rows: u64,
}

/// An estimate, and what would become of the question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Its normal form's short name: queries like it have the same.
    pub fingerprint: String,
    /// Absent: ClickHouse could not say in time.
    pub estimate: Option<Estimate>,
    /// Rows that a question may read.
    pub read_rows_max: u64,
    /// Bytes that a question may read.
    pub read_bytes_max: u64,
    /// What would become of it now.
    pub decision: Decision,
    /// Why not.
    pub refusal: Option<Refusal>,
}

/// What would become of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It would run at once.
    Admitted,
    /// It would wait for others to end.
    Waits,
    /// It would not run.
    Refused,
}

/// A row of `EXPLAIN ESTIMATE`.
#[derive(Debug, Deserialize)]
pub(super) struct EstimateRow {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) parts: u64,
    pub(super) rows: u64,
    pub(super) marks: u64,
}

/// A table, and what is in it.
#[derive(Debug, Deserialize)]
pub(super) struct SizeRow {
    pub(super) name: String,
    pub(super) total_rows: Option<u64>,
    pub(super) total_bytes_uncompressed: Option<u64>,
}

impl SizeRow {
    fn row_bytes(&self) -> u64 {
        let rows = self.total_rows.unwrap_or(0).max(1);
        self.total_bytes_uncompressed.unwrap_or(0).div_ceil(rows)
    }
}

impl Estimate {
    pub(super) fn of(rows: &[EstimateRow], sizes: &[SizeRow], is_upper_bound: bool) -> Self {
        let row_bytes = |table: &str| sizes.iter().find(|size| size.name == table).map_or(0, SizeRow::row_bytes);
        Self {
            rows: rows.iter().map(|row| row.rows).sum(),
            bytes_max: rows.iter().map(|row| row.rows.saturating_mul(row_bytes(&row.table))).sum(),
            is_upper_bound,
            tables: rows
                .iter()
                .map(|row| TableEstimate {
                    table: format!("{}.{}", row.database, row.table),
                    parts: row.parts,
                    marks: row.marks,
                    rows: row.rows,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_weigh_what_rows_of_their_table_weigh() {
        let row =
            |table: &str, rows| EstimateRow { database: "fm".into(), table: table.into(), parts: 1, rows, marks: 2 };
        let size = |name: &str, rows, bytes| SizeRow {
            name: name.into(),
            total_rows: Some(rows),
            total_bytes_uncompressed: Some(bytes),
        };
        let sizes = [size("a", 100, 1_000), size("b", 0, 0)];
        let estimate = Estimate::of(&[row("a", 50), row("b", 7), row("unknown", 3)], &sizes, true);
        assert_eq!((estimate.rows, estimate.bytes_max, estimate.tables.len()), (60, 500, 3));
    }
}
