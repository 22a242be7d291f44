//! The formats of answers: media type, ClickHouse's name, extension of a file.

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// One document: `meta` (names and types), `data` (an object a row), `rows`, `statistics`.
    Json,
    /// An object a line.
    Ndjson,
    /// RFC 4180 with a line of names.
    Csv,
    /// Arrow's stream of record batches.
    ArrowStream,
    /// Parquet.
    Parquet,
}

impl ResultFormat {
    /// All of them; the first is what is answered when anything is taken.
    pub const ALL: [Self; 5] = [Self::Json, Self::Ndjson, Self::Csv, Self::ArrowStream, Self::Parquet];

    /// As `Accept` and `Content-Type` say it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// `Content-Type` of an answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            _ => self.media_type(),
        }
    }

    /// ClickHouse's name.
    #[must_use]
    pub const fn clickhouse(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Ndjson => "JSONEachRow",
            Self::Csv => "CSVWithNames",
            Self::ArrowStream => "ArrowStream",
            Self::Parquet => "Parquet",
        }
    }

    /// Of a file.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::ArrowStream => "arrows",
            Self::Parquet => "parquet",
        }
    }
}
