//! The thread that writes: ring and audit log, so that a slow disk slows no look and no kill.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::WatchError;
use crate::guard::black_box::{Entry, Ring, RingError};
use crate::guard::policy::BlackBoxPolicy;
use crate::guard::watchdog::{Audit, AuditLine};
use crate::metrics::Metrics;

/// Records that wait for the disk; further ones are left out and counted.
const WAITING_MAX: usize = 64;
/// How long a kill waits for its audit line to be safe.
const AUDIT_TIMEOUT: Duration = Duration::from_millis(250);

enum Record {
    Entry(Box<Entry>),
    Audit(Box<AuditLine>, oneshot::Sender<()>),
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Recorder {
    records: SyncSender<Record>,
    metrics: Arc<Metrics>,
}

/// The thread, to be waited for at the end.
#[derive(Debug)]
pub(super) struct RecorderThread(JoinHandle<()>);

impl Recorder {
    /// Opens ring and audit log and starts the thread.
    pub(super) fn start(policy: &BlackBoxPolicy, metrics: Arc<Metrics>) -> Result<(Self, RecorderThread), WatchError> {
        let directory: &Path = &policy.directory;
        let ring = Ring::open(directory, policy.bytes_max.0.as_u64())?;
        let audit = Audit::open(directory)
            .map_err(|source| WatchError::Audit { directory: directory.display().to_string(), source })?;
        let (records, receiver) = sync_channel(WAITING_MAX);
        let mut writer = Writer { ring, audit, metrics: Arc::clone(&metrics), failing: false };
        let thread = std::thread::spawn(move || writer.run(&receiver));
        Ok((Self { records, metrics }, RecorderThread(thread)))
    }

    /// Hands over a record for the ring.
    pub(super) fn keep(&self, entry: Entry) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.records.try_send(Record::Entry(Box::new(entry)))
        {
            self.metrics.add_guard_records_lost(1);
        }
    }

    /// Hands over a line for the audit log and waits until it is safe, but not for long.
    pub(super) async fn audit(&self, line: AuditLine) {
        let (safe, is_safe) = oneshot::channel();
        if self.records.try_send(Record::Audit(Box::new(line), safe)).is_err() {
            self.metrics.add_guard_records_lost(1);
            return;
        }
        // Late or refused: the thread counts it; the kill must not wait for a disk.
        let _ = tokio::time::timeout(AUDIT_TIMEOUT, is_safe).await;
    }
}

impl RecorderThread {
    /// Waits until everything that was handed over is written. The recorder has to be gone.
    pub(super) async fn joined(self) {
        let join = tokio::task::spawn_blocking(move || self.0.join());
        if !matches!(join.await, Ok(Ok(()))) {
            tracing::error!("the thread that writes the black box has panicked");
        }
    }
}

struct Writer {
    ring: Ring,
    audit: Audit,
    metrics: Arc<Metrics>,
    failing: bool,
}

impl Writer {
    fn run(&mut self, records: &Receiver<Record>) {
        while let Ok(record) = records.recv() {
            let written = match record {
                Record::Entry(entry) => self.write(&entry),
                Record::Audit(line, safe) => {
                    let written = self.audit.append(&line).map_err(|error| error.to_string());
                    if written.is_ok() {
                        // Nobody waits any more when it took too long.
                        let _ = safe.send(());
                    }
                    written
                }
            };
            self.note(written);
        }
    }

    fn write(&mut self, entry: &Entry) -> Result<(), String> {
        let payload = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
        match (self.ring.append(&payload), entry) {
            // Half of a look, the larger queries, is better than none.
            (Err(RingError::RecordTooLarge(_)), Entry::Look(look)) if look.queries.len() > 1 => {
                let mut shorter = look.clone();
                shorter.queries.truncate(look.queries.len() / 2);
                self.write(&Entry::Look(shorter))
            }
            (written, _) => written.map_err(|error| error.to_string()),
        }
    }

    /// Logs the first failure in a row and the end of it, counts each.
    fn note(&mut self, written: Result<(), String>) {
        match written {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("black box and audit log are written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.metrics.add_guard_records_lost(1);
                if !self.failing {
                    tracing::error!(error, "black box and audit log cannot be written");
                }
                self.failing = true;
            }
        }
    }
}
