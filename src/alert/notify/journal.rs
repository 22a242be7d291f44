//! The file of one receiver: what it is still to be told, and what it knows.
//!
//! A line a record: 16 hexadecimal digits of the SHA-256 of what follows, a space, JSON. A last line without its end was
//! not yet said to be safe, and is cut. A line that is damaged before it is left out alone: a disk that turned a bit must
//! not cost the notices behind it. A rewrite goes to another file that is then renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alertmanager::HeldAlert;
use super::notice::Notice;
use super::told::Known;
use crate::model::{AlertName, Dimensions, Severity, Text, Timestamp};

/// Hexadecimal digits of the checksum.
const CHECKSUM_DIGITS: usize = 16;
/// Longest line that is read: a page is some 10 KB.
const LINE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// What Alertmanager takes for one alert.
pub(super) type AlertId = (AlertName, Dimensions, Severity);

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// A notice came in.
    Accepted { accepted_at: Timestamp, notice: Notice },
    /// A notice is done: delivered, or a dead letter.
    Done(String),
    /// What is known of a page.
    Told { key: Text, known: Known },
    /// Alertmanager is to know this.
    Alert(HeldAlert),
    /// And no longer this.
    Forgotten(AlertId),
    /// The log was read up to here (event time).
    ReadTo(Timestamp),
}

impl Record {
    /// The record as a line.
    pub fn line(&self) -> Vec<u8> {
        // Texts, times and finite numbers always serialise.
        let body = serde_json::to_string(self).unwrap_or_default();
        format!("{} {body}\n", checksum(body.as_bytes())).into_bytes()
    }
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(CHECKSUM_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Restored {
    pub records: Vec<Record>,
    /// Bytes that were no whole record.
    pub bytes_cut: u64,
    /// Lines that were once whole, and are damaged.
    pub damaged: u64,
    /// Whole records of another version, which are left out.
    pub unknown: u64,
}

/// Reads a file; without one there is nothing.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Restored> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Restored::default()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let (mut reader, mut restored, mut whole) = (BufReader::new(file), Restored::default(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        let Some(body) = body_of(&line) else {
            restored.damaged += 1;
            continue;
        };
        whole += bytes as u64;
        match serde_json::from_slice(body) {
            Ok(record) => restored.records.push(record),
            Err(_) => restored.unknown += 1,
        }
    }
    restored.bytes_cut = length.saturating_sub(whole);
    Ok(restored)
}

/// What the checksum vouches for.
fn body_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, body) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let body = body.strip_prefix(b" ")?;
    (sum == checksum(body).as_bytes()).then_some(body)
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    is_dirty: bool,
}

impl Journal {
    /// Nothing is written until [`Journal::rewrite`] begins the file.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, is_dirty: false }
    }

    /// Whether a line that was not written whole stands in the file, or none does: only a rewrite mends it.
    pub fn is_broken(&self) -> bool {
        self.file.is_none()
    }

    /// Appends lines. [`Journal::sync`] makes them safe.
    ///
    /// # Errors
    /// The disk refuses. What follows would stand behind a torn line, so the file is closed until it is rewritten.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.is_dirty = true;
        file.write_all(lines).inspect_err(|_| self.file = None)
    }

    /// Puts `lines` in the place of all there is.
    ///
    /// # Errors
    /// The disk refuses. The file is as it was, and closed until it is rewritten: what it lacks would be missed.
    pub fn rewrite(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file = None;
        let new = self.path.with_extension("new");
        // Pages name customers: nobody else reads them.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(lines)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        (self.file, self.is_dirty) = (Some(file), false);
        Ok(())
    }

    /// Waits until the disk has what was appended.
    ///
    /// # Errors
    /// The disk refuses: what it has is not known, so the file is closed until it is rewritten.
    pub fn sync(&mut self) -> io::Result<()> {
        let is_dirty = std::mem::take(&mut self.is_dirty);
        let Some(file) = self.file.as_ref().filter(|_| is_dirty) else { return Ok(()) };
        file.sync_data().inspect_err(|_| self.file = None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::alert::notify::sample;
    use crate::model::samples;

    fn records() -> Vec<Record> {
        let accepted_at = samples::transition().at;
        let page = Notice::Page(Arc::new(sample::page()));
        vec![
            Record::Accepted { accepted_at, notice: page },
            Record::Accepted { accepted_at, notice: Notice::transition(&samples::transition()) },
            Record::Done("a/1".to_owned()),
            Record::Told { key: "a".into(), known: Known { revision: 3, is_open: true, order: 9 } },
            Record::Alert(HeldAlert::new(&samples::transition(), Severity::Critical)),
            Record::Forgotten((AlertName::RestartLoop, samples::labels_of("4"), Severity::Info)),
            Record::ReadTo(accepted_at),
        ]
    }

    #[test]
    fn a_file_that_ends_anywhere_gives_all_whole_records_before_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        assert_eq!(read(&path).unwrap(), Restored::default());
        let lines: Vec<Vec<u8>> = records().iter().map(Record::line).collect();
        let bytes = lines.concat();
        let ends: Vec<usize> = (1..=lines.len()).map(|count| lines[..count].concat().len()).collect();
        for length in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let restored = read(&path).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(restored.records, records()[..whole], "{length}");
            let at = whole.checked_sub(1).map_or(0, |last| ends[last]);
            assert_eq!(restored.bytes_cut, (length - at) as u64);
        }
    }

    #[test]
    fn a_flipped_bit_costs_the_line_that_it_is_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let lines: Vec<Vec<u8>> = records().iter().map(Record::line).collect();
        for damaged in 0..lines.len() {
            let mut flipped = lines.concat();
            flipped[lines[..damaged].concat().len() + 30] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let restored = read(&path).unwrap();
            let mut others = records();
            others.remove(damaged);
            assert_eq!(restored.records, others, "{damaged}");
            assert_eq!((restored.damaged, restored.bytes_cut), (1, lines[damaged].len() as u64));
        }
    }

    /// Files that versions up to now have written, one for each change of a record; the newest is of this one.
    const WRITTEN: [&str; 3] = ["outbox-1.log", "outbox-2.log", "outbox-3.log"];

    #[test]
    fn files_of_every_version_are_read_back_whole() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals");
        let today: Vec<u8> = records().iter().flat_map(Record::line).collect();
        let newest = directory.join(WRITTEN[WRITTEN.len() - 1]);
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") && !newest.exists() {
            std::fs::write(&newest, &today).unwrap();
        }
        assert!(
            std::fs::read(&newest).unwrap_or_default() == today,
            "what outboxes hold has changed: keep the fixtures, name a further one, let it be written (INSTA_UPDATE=always)"
        );
        for name in WRITTEN {
            let restored = read(&directory.join(name)).unwrap();
            assert_eq!((restored.unknown, restored.bytes_cut), (0, 0), "{name}");
            let kinds = |records: &[Record]| records.iter().map(std::mem::discriminant).collect::<Vec<_>>();
            assert_eq!(kinds(&restored.records), kinds(&records()), "{name}");
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_counted_and_left_out_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let later = r#"{"of_a_later_version":1}"#;
        let line = format!("{} {later}\n", checksum(later.as_bytes())).into_bytes();
        let records = records();
        std::fs::write(&path, [records[0].line(), line, records[2].line()].concat()).unwrap();
        let restored = read(&path).unwrap();
        assert_eq!((restored.unknown, restored.bytes_cut), (1, 0));
        assert_eq!(restored.records, [records[0].clone(), records[2].clone()]);
    }

    #[test]
    fn what_is_rewritten_and_appended_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut journal = Journal::new(path.clone());
        assert!(journal.is_broken());
        let records = records();
        journal.rewrite(&records[0].line()).unwrap();
        for record in &records[1..] {
            journal.append(&record.line()).unwrap();
        }
        journal.sync().unwrap();
        assert_eq!(read(&path).unwrap().records, records);
        journal.rewrite(&records[0].line()).unwrap();
        assert_eq!(read(&path).unwrap().records, records[..1]);
    }
}
