//! The task that stores: takes batches, tries each until it is stored, says what is stored and how ClickHouse is.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{StoreError, Writer};
use crate::clock;
use crate::model::{Batch, Output, PagingRecord, Stored, Timestamp};

/// First pause after a failure; doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause after a failure that waiting may mend.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pause after a failure that only a person can mend (a column is missing, a right is lacking). The rows are kept and
/// tried again all the same: giving up would lose them.
const PAUSE_NOT_RETRYABLE: Duration = Duration::from_secs(15);

/// A batch that times out gets twice the time in the next try, up to this many times the configured one: over many days
/// of event time (wrong clocks, an old log) an insert makes as many parts, and would never be done otherwise.
const PATIENCE_TIMES_MAX: u32 = 16;

/// How storage is, as the last statement found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// The last write was stored (or none was tried yet).
    Up,
    /// Writes fail; what is to be written waits.
    Down {
        /// When the first of these failures was seen.
        since: Timestamp,
        /// Class of the latest failure, [`StoreError::code`].
        code: &'static str,
        /// The latest failure.
        message: String,
    },
}

/// What is to be stored next.
#[derive(Debug, Clone, Copy)]
enum Work<'a> {
    Batch(&'a Batch),
    Output(&'a Output),
    Paging(&'a PagingRecord),
}

/// Stores batches and outputs until its queues are closed and empty.
#[derive(Debug)]
pub struct StoreTask {
    writer: Writer,
    health: watch::Sender<StoreHealth>,
}

impl StoreTask {
    /// A task and where its health can be read.
    #[must_use]
    pub fn new(writer: Writer) -> (Self, watch::Receiver<StoreHealth>) {
        let (health, receiver) = watch::channel(StoreHealth::Up);
        (Self { writer, health }, receiver)
    }

    /// Stores every batch in order and reports its range on `stored`. Returns when all senders of `batches` are gone
    /// and the last batch is stored, or when nobody reads `stored` any more. While ClickHouse is away it does not
    /// return: bound it from outside; dropping it half way is safe, because a repeated batch is stored once.
    pub async fn run_batches(&self, mut batches: mpsc::Receiver<Batch>, stored: mpsc::Sender<Stored>) {
        while let Some(batch) = batches.recv().await {
            let rows = self.until_stored(Work::Batch(&batch)).await;
            let Batch { topic_partition, start, end, .. } = batch;
            if stored.send(Stored { topic_partition, start, end, rows }).await.is_err() {
                return;
            }
        }
    }

    /// Stores alert transitions and incident reports in order, with the same patience. Returns when all senders of
    /// `outputs` are gone and the last one is stored.
    pub async fn run_outputs(&self, mut outputs: mpsc::Receiver<Output>) {
        while let Some(output) = outputs.recv().await {
            self.until_stored(Work::Output(&output)).await;
        }
    }

    /// Stores what was decided about pages and silences, with the same patience, until all senders are gone.
    pub async fn run_paging(&self, mut records: mpsc::Receiver<PagingRecord>) {
        while let Some(record) = records.recv().await {
            self.until_stored(Work::Paging(&record)).await;
        }
    }

    /// Gives the number of rows written.
    async fn until_stored(&self, work: Work<'_>) -> u64 {
        let mut pause = PAUSE_MIN;
        let mut patience_times = 1;
        loop {
            match self.store(work, patience_times).await {
                Ok(rows) => {
                    self.up();
                    return rows;
                }
                Err(error) => {
                    self.down(&error);
                    if matches!(error, StoreError::TimedOut(_)) {
                        patience_times = (patience_times * 2).min(PATIENCE_TIMES_MAX);
                    }
                    tokio::time::sleep(if error.is_retryable() { pause } else { PAUSE_NOT_RETRYABLE }).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn store(&self, work: Work<'_>, patience_times: u32) -> Result<u64, StoreError> {
        match work {
            Work::Batch(batch) => return Ok(self.writer.with_patience(patience_times).write(batch).await?.rows),
            Work::Output(Output::Transition(transition)) => {
                self.writer.write_transitions(std::slice::from_ref(transition)).await?;
            }
            Work::Output(Output::Incident(incident)) => {
                self.writer.write_incidents(std::slice::from_ref(incident)).await?;
            }
            Work::Paging(PagingRecord::Page(record)) => {
                self.writer.write_pages(std::slice::from_ref(record)).await?;
            }
            Work::Paging(PagingRecord::Silence(record)) => {
                self.writer.write_silences(std::slice::from_ref(record)).await?;
            }
        }
        Ok(1)
    }

    fn up(&self) {
        let was_down = self.health.send_if_modified(|health| {
            let was_down = *health != StoreHealth::Up;
            *health = StoreHealth::Up;
            was_down
        });
        if was_down {
            tracing::info!("clickhouse stores again");
        }
    }

    fn down(&self, error: &StoreError) {
        let code = error.code();
        let message = error.to_string();
        let mut is_news = false;
        self.health.send_modify(|health| {
            let (since, known_code) = match health {
                StoreHealth::Up => (clock::now(), None),
                StoreHealth::Down { since, code, .. } => (*since, Some(*code)),
            };
            is_news = known_code != Some(code);
            *health = StoreHealth::Down { since, code, message: message.clone() };
        });
        // Once for each kind of failure in an outage: an outage of hours must not fill the disk with its log.
        if is_news && error.is_retryable() {
            tracing::warn!(code, message, "cannot store; kept and tried again");
        } else if is_news {
            tracing::error!(code, message, "cannot store and waiting will not help; kept and tried again");
        }
    }
}
