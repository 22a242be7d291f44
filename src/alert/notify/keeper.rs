//! Writes outboxes to disk: a thread that owns the files, so that a disk that hangs holds up no page.
//!
//! Notices are delivered without waiting for the disk; what is told is when they are safe. When the disk refuses, what was
//! to be written is forgotten and all files are written anew from memory, as soon as they can be.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::dead_letters::{DeadLetter, DeadLetterFile};
use super::journal::{self, Journal, Restored};

/// Batches that wait for the disk. While they do, what comes is gathered in one more.
const BATCHES_MAX: usize = 8;
/// Most bytes gathered while the disk hangs. At the bound they are forgotten, and all files written anew later.
const GATHERED_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process uses it.
    #[error("{0} is in use: another floodmark keeps its outboxes there (notify.state_dir)")]
    InUse(PathBuf),
    /// Files.
    #[error("{path}: {source}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is to be written to one file.
#[derive(Debug)]
enum Write {
    Append(Vec<u8>),
    Rewrite(Vec<u8>),
}

/// Writes that are made safe together.
#[derive(Debug, Default)]
struct Batch {
    number: u64,
    writes: Vec<(usize, Write)>,
    letters: Vec<DeadLetter>,
    bytes: usize,
    /// To be handed over although nothing is to be written: its number is waited for.
    is_awaited: bool,
}

/// How far the disk is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// All batches up to this one are safe.
    pub safe: u64,
    /// Failures so far, and the last of them while it is not mended.
    pub failures: u64,
    pub failure: Option<String>,
}

/// The thread, and what is gathered for it.
#[derive(Debug)]
pub(super) struct Keeper {
    batches: Option<SyncSender<Batch>>,
    pub progress: watch::Receiver<Progress>,
    gathered: Batch,
    thread: Option<JoinHandle<()>>,
    /// Held, never read: it ends with the process.
    _lock: File,
}

impl Keeper {
    /// Takes the directory over and reads the files of these names. Their records are to be rewritten at once.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn open(directory: &Path, names: &[String]) -> Result<(Self, Vec<Restored>), StateError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Files { path, source }
        };
        std::fs::create_dir_all(directory).map_err(at(directory))?;
        let lock_path = directory.join("lock");
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(StateError::Files { path: lock_path, source }),
        }
        let paths: Vec<PathBuf> = names.iter().map(|name| directory.join(format!("outbox-{name}.log"))).collect();
        let read = |path: &PathBuf| read_or_keep_a_copy(path).map_err(at(path));
        warn_of_others(directory, &paths);
        let restored = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let letters = DeadLetterFile::open(directory).map_err(at(directory))?;
        let (sender, receiver) = sync_channel(BATCHES_MAX);
        let (progress_sender, progress) = watch::channel(Progress::default());
        let journals = paths.into_iter().map(Journal::new).collect();
        let worker = Worker { journals, letters, progress: progress_sender };
        let thread = std::thread::Builder::new().name("outboxes".to_owned()).spawn(move || worker.run(&receiver));
        let thread = Some(thread.map_err(at(directory))?);
        let keeper = Self {
            batches: Some(sender),
            progress,
            gathered: Batch { number: 1, ..Batch::default() },
            thread,
            _lock: lock,
        };
        Ok((keeper, restored))
    }

    pub fn append(&mut self, file: usize, lines: Vec<u8>) {
        self.gathered.bytes += lines.len();
        self.gathered.writes.push((file, Write::Append(lines)));
    }

    pub fn rewrite(&mut self, file: usize, lines: Vec<u8>) {
        self.gathered.writes.retain(|(other, _)| *other != file);
        self.gathered.bytes += lines.len();
        self.gathered.writes.push((file, Write::Rewrite(lines)));
    }

    pub fn dead_letter(&mut self, letter: DeadLetter) {
        self.gathered.letters.push(letter);
    }

    /// Number of the batch that is being gathered: what is in it is safe when the progress has come so far.
    pub fn number(&self) -> u64 {
        self.gathered.number
    }

    /// Has the batch that is being gathered handed over, whatever is in it.
    pub fn touch(&mut self) {
        self.gathered.is_awaited = true;
    }

    /// Hands over what was gathered, unless the thread is busy; then it is handed over later. `false` when so much was
    /// gathered that it was forgotten: all files are to be rewritten.
    pub fn hand_over(&mut self) -> bool {
        let Some(batches) = &self.batches else { return true };
        if self.gathered.writes.is_empty() && self.gathered.letters.is_empty() && !self.gathered.is_awaited {
            return true;
        }
        let next = self.gathered.number + 1;
        let batch = std::mem::replace(&mut self.gathered, Batch { number: next, ..Batch::default() });
        match batches.try_send(batch) {
            Ok(()) => true,
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                let too_much = batch.bytes > GATHERED_BYTES_MAX;
                self.gathered = if too_much { Batch { number: batch.number, ..Batch::default() } } else { batch };
                !too_much
            }
        }
    }

    /// Waits until all is written, and ends the thread. What the disk does not take is not waited for longer than the
    /// stage that stops.
    pub async fn close(mut self) {
        let (gathered, batches, thread) = (std::mem::take(&mut self.gathered), self.batches.take(), self.thread.take());
        let ended = tokio::task::spawn_blocking(move || {
            // The thread is gone only when it panicked.
            let _ = batches.map(|batches| batches.send(gathered));
            thread.map(JoinHandle::join)
        });
        let _ = ended.await;
    }
}

/// Reads a file. What is damaged in it is about to be written over: a person may make more of it than this does.
fn read_or_keep_a_copy(path: &Path) -> io::Result<Restored> {
    let restored = journal::read(path)?;
    let copy = path.with_extension("log.damaged");
    // A full disk is no reason to tell nobody anything.
    if restored.damaged > 0
        && let Err(error) = std::fs::copy(path, &copy)
    {
        tracing::error!(%error, copy = %copy.display(), "no copy of the damaged outbox could be made");
    }
    Ok(restored)
}

/// Says which outboxes are nobody's any more: what waits in them is not delivered.
fn warn_of_others(directory: &Path, paths: &[PathBuf]) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| !paths.contains(path)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_empty = path.metadata().is_ok_and(|metadata| metadata.len() == 0);
        if name.starts_with("outbox-") && name.ends_with(".log") && !is_empty {
            tracing::warn!(file = %path.display(), "an outbox of a receiver that is no longer configured is left as it is");
        }
    }
}

/// What the thread owns.
struct Worker {
    journals: Vec<Journal>,
    letters: DeadLetterFile,
    progress: watch::Sender<Progress>,
}

impl Worker {
    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            let failure = self.write(&batch).err().map(|error| error.to_string());
            // What is safe goes on only when all files are whole again.
            let is_whole = failure.is_none() && !self.journals.iter().any(Journal::is_broken);
            self.progress.send_modify(|progress| {
                if is_whole {
                    (progress.safe, progress.failure) = (batch.number, None);
                }
                if failure.is_some() {
                    progress.failures += 1;
                    progress.failure = failure;
                }
            });
        }
    }

    /// Writes all it can; the first failure is told.
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let mut result = Ok(());
        for (file, write) in &batch.writes {
            let journal = &mut self.journals[*file];
            let written = match write {
                Write::Append(lines) => journal.append(lines),
                Write::Rewrite(lines) => journal.rewrite(lines),
            };
            result = result.and(written);
        }
        for journal in &mut self.journals {
            result = result.and(journal.sync());
        }
        if batch.letters.is_empty() { result } else { result.and(self.letters.append(&batch.letters)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::journal::Record;

    fn done(id: &str) -> Record {
        Record::Done(id.to_owned())
    }

    #[tokio::test]
    async fn what_was_handed_over_is_safe_and_read_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["a".to_owned(), "b".to_owned()];
        let (mut keeper, restored) = Keeper::open(directory.path(), &names).unwrap();
        assert_eq!(restored, [Restored::default(), Restored::default()]);
        assert!(matches!(Keeper::open(directory.path(), &names), Err(StateError::InUse(_))));
        keeper.rewrite(0, Vec::new());
        keeper.rewrite(1, done("z").line());
        keeper.append(0, done("x").line());
        let number = keeper.number();
        assert!(keeper.hand_over());
        keeper.progress.wait_for(|progress| progress.safe == number).await.unwrap();
        keeper.append(0, done("y").line());
        keeper.close().await;
        let (_, restored) = Keeper::open(directory.path(), &names).unwrap();
        assert_eq!(restored[0].records, [done("x"), done("y")]);
        assert_eq!(restored[1].records, [done("z")]);
    }

    #[tokio::test]
    async fn of_a_damaged_file_a_copy_is_kept_and_the_rest_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox-a.log");
        let damaged = [done("x").line(), b"what was once a line\n".to_vec(), done("y").line()].concat();
        std::fs::write(&path, &damaged).unwrap();
        let (mut keeper, restored) = Keeper::open(directory.path(), &["a".to_owned()]).unwrap();
        assert_eq!((restored[0].records.as_slice(), restored[0].damaged), (&[done("x"), done("y")][..], 1));
        keeper.rewrite(0, Vec::new());
        keeper.close().await;
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read(directory.path().join("outbox-a.log.damaged")).unwrap(), damaged);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_mended_by_a_rewrite() {
        let directory = tempfile::tempdir().unwrap();
        let (mut keeper, _) = Keeper::open(directory.path(), &["a".to_owned()]).unwrap();
        // A directory in the way: the file cannot be renamed over it.
        let path = directory.path().join("outbox-a.log");
        std::fs::create_dir_all(path.join("in-the-way")).unwrap();
        keeper.rewrite(0, done("x").line());
        keeper.hand_over();
        keeper.progress.wait_for(|progress| progress.failure.is_some()).await.unwrap();
        keeper.append(0, done("y").line());
        keeper.hand_over();
        std::fs::remove_dir_all(&path).unwrap();
        keeper.rewrite(0, done("z").line());
        let number = keeper.number();
        keeper.hand_over();
        keeper.progress.wait_for(|progress| progress.safe == number && progress.failure.is_none()).await.unwrap();
        assert_eq!(journal::read(&path).unwrap().records, [done("z")]);
    }
}
