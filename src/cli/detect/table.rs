//! Rows of a CSV file: which columns there are, and a row's time and number.

use csv::{ReaderBuilder, StringRecord};

use super::time;

/// How a missing value is written, beside nothing at all.
const MISSING: [&str; 5] = ["nan", "null", "none", "na", "-"];

/// Names of the columns that are read.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) timestamp: &'a str,
    pub(super) value: &'a str,
}

/// A header that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("there is no column {wanted}; its columns are: {present}")]
    Absent { wanted: String, present: String },
    #[error("its first line is not UTF-8 text")]
    NotText,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the row is longer than {} bytes", super::ROW_BYTES_MAX)]
    TooLong,
    #[error("the row is not UTF-8 text")]
    NotText,
    #[error("the row ends before the column of the time or the value")]
    TooShort,
    #[error("the time is none (2026-03-09 10:04:55, RFC 3339, epoch seconds or milliseconds)")]
    Time,
    #[error("the value is no number")]
    Value,
}

/// A row that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// As it was written.
    pub(super) timestamp: String,
    pub(super) number: String,
    pub(super) timestamp_ms: i64,
    /// NaN where it is missing.
    pub(super) value: f64,
}

/// Where the columns are.
#[derive(Debug)]
pub(super) struct Table {
    delimiter: u8,
    timestamp: usize,
    value: usize,
}

impl Table {
    /// Finds the columns by name: exactly, else whatever their case.
    pub(super) fn new(header: &[u8], delimiter: u8, columns: &Columns<'_>) -> Result<Self, HeaderError> {
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        let names = fields(header, delimiter).ok_or(HeaderError::NotText)?;
        let place = |wanted: &str| {
            let exactly = names.iter().position(|name| name.trim() == wanted);
            let found = exactly.or_else(|| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)));
            found.ok_or_else(|| HeaderError::Absent {
                wanted: wanted.to_owned(),
                present: names.iter().map(str::trim).collect::<Vec<_>>().join(", "),
            })
        };
        Ok(Self { delimiter, timestamp: place(columns.timestamp)?, value: place(columns.value)? })
    }

    /// Reads a row.
    pub(super) fn row(&self, line: &[u8]) -> Result<Row, Refusal> {
        let fields = fields(line, self.delimiter).ok_or(Refusal::NotText)?;
        let (Some(timestamp), Some(number)) = (fields.get(self.timestamp), fields.get(self.value)) else {
            return Err(Refusal::TooShort);
        };
        let timestamp_ms = time::milliseconds(timestamp.trim()).ok_or(Refusal::Time)?;
        let value = value(number.trim()).ok_or(Refusal::Value)?;
        Ok(Row { timestamp: timestamp.to_owned(), number: number.to_owned(), timestamp_ms, value })
    }
}

/// A number; NaN where it is missing, none where it is no number.
pub(super) fn value(text: &str) -> Option<f64> {
    if text.is_empty() || MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Some(f64::NAN);
    }
    text.parse().ok()
}

/// The fields of one line; none when it is not text.
fn fields(line: &[u8], delimiter: u8) -> Option<StringRecord> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).buffer_capacity(line.len().max(1));
    let mut record = StringRecord::new();
    builder.from_reader(line).read_record(&mut record).ok().map(|_| record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Columns<'_> = Columns { timestamp: "timestamp", value: "value" };

    #[test]
    fn columns_are_found_by_name_and_others_ignored() {
        let table = Table::new(b"\xef\xbb\xbfLabel,\"TimeStamp\", Value", b',', &USUAL).unwrap();
        let row = table.row(b"0,\"2018-04-25T00:01:00Z\",\"6259.9\"").unwrap();
        assert_eq!((row.timestamp.as_str(), row.number.as_str()), ("2018-04-25T00:01:00Z", "6259.9"));
        assert_eq!((row.timestamp_ms, row.value), (1_524_614_460_000, 6259.9));
        let error = Table::new(b"time;value", b';', &USUAL).unwrap_err().to_string();
        assert_eq!(error, "there is no column timestamp; its columns are: time, value");
    }

    #[test]
    fn each_row_that_is_refused_says_why() {
        let table = Table::new(b"timestamp,value", b',', &USUAL).unwrap();
        let refusal = |line: &[u8]| table.row(line).unwrap_err();
        assert_eq!(refusal(b"2026-03-09 10:04:55"), Refusal::TooShort);
        assert_eq!(refusal(b"yesterday,1"), Refusal::Time);
        assert_eq!(refusal(b"2026-03-09 10:04:55,many"), Refusal::Value);
        assert_eq!(refusal(b"2026-03-09 10:04:55,\xff"), Refusal::NotText);
        assert!(table.row(b"2026-03-09 10:04:55,").unwrap().value.is_nan());
    }
}
