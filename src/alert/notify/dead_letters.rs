//! Notifications that were given up: a file of JSON lines that people read, bounded by rotation.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::notice::Notice;
use crate::model::Timestamp;

/// A file of this length becomes `notify-dead-letters.ndjson.1`, and the one before it is gone.
const LETTERS_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// Name of the file in the state directory.
const FILE_NAME: &str = "notify-dead-letters.ndjson";

/// Why a notification was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetterReason {
    /// The receiver refused it.
    Refused,
    /// It could not be delivered in time.
    Expired,
    /// The outbox was full.
    Dropped,
    /// The receiver is gone for good (410).
    Gone,
}

impl DeadLetterReason {
    /// Name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
            Self::Gone => "gone",
        }
    }
}

/// A notification that was given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When (wall clock).
    pub at: Timestamp,
    /// Whom it was for.
    pub receiver: String,
    /// Why.
    pub reason: DeadLetterReason,
    /// What the receiver said last.
    pub why: String,
    /// Its id (`webhook-id`).
    pub id: String,
    /// When it came in (wall clock).
    pub accepted_at: Timestamp,
    /// What it was.
    notice: Notice,
}

impl DeadLetter {
    pub(super) fn new(
        at: Timestamp,
        receiver: &str,
        reason: DeadLetterReason,
        why: &str,
        entry: &super::outbox::Entry,
    ) -> Self {
        Self {
            at,
            receiver: receiver.to_owned(),
            reason,
            why: why.to_owned(),
            id: entry.notice.id(),
            accepted_at: entry.accepted_at,
            notice: entry.notice.clone(),
        }
    }

    /// What it was about, in one line.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.notice {
            Notice::Page(page) => &page.title,
            Notice::Transition(text) => &text.incident,
            Notice::News(news) => &news.subject,
        }
    }
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct DeadLetterFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// The last line may be torn: the next begins on a line of its own.
    is_torn: bool,
}

impl DeadLetterFile {
    /// # Errors
    /// It cannot be written.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Self::open_bounded(directory, LETTERS_BYTES_MAX)
    }

    fn open_bounded(directory: &Path, bytes_max: u64) -> io::Result<Self> {
        let path = directory.join(FILE_NAME);
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        // An empty line more is nothing; a torn one must not swallow the next.
        Ok(Self { path, file, bytes, bytes_max, is_torn: bytes > 0 })
    }

    /// Writes letters and syncs them.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn append(&mut self, letters: &[DeadLetter]) -> io::Result<()> {
        for letter in letters {
            let mut line = if self.is_torn { vec![b'\n'] } else { Vec::new() };
            serde_json::to_writer(&mut line, letter)?;
            line.push(b'\n');
            if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
                std::fs::rename(&self.path, self.path.with_extension("ndjson.1"))?;
                (self.file, self.bytes) = (open(&self.path)?, 0);
            }
            self.is_torn = true;
            self.file.write_all(&line)?;
            self.is_torn = false;
            self.bytes += line.len() as u64;
        }
        self.file.sync_data()
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Pages name customers: nobody else reads them.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The newest letters of a state directory, at most `count`, the oldest first; and how many there are.
///
/// # Errors
/// A file cannot be read. There being none is no error.
pub fn read_dead_letters(directory: &Path, count: usize) -> io::Result<(Vec<DeadLetter>, u64)> {
    let (mut letters, mut total) = (std::collections::VecDeque::new(), 0);
    let newest = directory.join(FILE_NAME);
    for path in [newest.with_extension("ndjson.1"), newest] {
        let file = match File::open(&path) {
            Ok(file) => file.take(2 * LETTERS_BYTES_MAX),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).lines() {
            let Ok(letter) = serde_json::from_str(&line?) else { continue };
            total += 1;
            letters.push_back(letter);
            if letters.len() > count {
                letters.pop_front();
            }
        }
    }
    Ok((letters.into(), total))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::alert::notify::outbox::Entry;
    use crate::alert::notify::sample;

    fn letter(number: i64) -> DeadLetter {
        let notice = Notice::Page(Arc::new(sample::page()));
        let entry = Entry { notice, since: Instant::now(), accepted_at: sample::page().at, batch: 0 };
        DeadLetter::new(sample::page().at.plus(number), "chat", DeadLetterReason::Expired, "503", &entry)
    }

    #[test]
    fn letters_are_whole_after_a_torn_one_and_the_files_stay_bounded() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_dead_letters(directory.path(), 10).unwrap().1, 0);
        std::fs::write(directory.path().join(FILE_NAME), "{\"at\":").unwrap();
        let mut file = DeadLetterFile::open_bounded(directory.path(), 20_000).unwrap();
        for number in 0..30 {
            file.append(&[letter(number)]).unwrap();
        }
        let (letters, total) = read_dead_letters(directory.path(), 3).unwrap();
        let at: Vec<i64> = letters.iter().map(|letter| letter.at.since(sample::page().at)).collect();
        assert_eq!(at, [27, 28, 29]);
        assert!((5..30).contains(&total), "{total}");
        assert_eq!(letters[0].subject(), sample::page().title);
        for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}.1")] {
            assert!(directory.path().join(name).metadata().unwrap().len() <= 20_000);
        }
    }
}
