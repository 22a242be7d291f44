//! The Kafka consumer: one thread that owns all its state, two lanes out, one way back in.

mod beginning;
mod chunks;
mod committer;
mod context;
mod coverage;
mod group;
mod partitions;
mod prepare;
mod reread;
mod shutdown;
mod steps_back;
mod storage;
mod topic_id;
mod worker;

use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::status::IngestStatus;
use crate::config::{DecodeConfig, KafkaConfig, StoreConfig};
use crate::model::{Batch, FlowInput, PlanAnswer, PlanRequest, Stored};

/// Reading cannot begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The Kafka client refuses its settings.
    #[error("kafka: {0}")]
    Client(#[from] KafkaError),
    /// The thread cannot be started.
    #[error("cannot start the ingest thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread ended by a panic.
    #[error("the ingest thread ended by a panic")]
    Panicked,
}

/// Where records go, and the answers of storage.
#[derive(Debug)]
pub struct Lanes {
    /// To detection. When it is full, reading waits.
    pub detect: mpsc::Sender<FlowInput>,
    /// To storage. When it is full, partitions fall behind and are read again later.
    pub store: mpsc::Sender<Batch>,
    /// What storage has written.
    pub stored: mpsc::Receiver<Stored>,
    /// Asks storage where to go on, with a broker that cannot tell.
    pub plan_requests: mpsc::Sender<PlanRequest>,
    /// Its answers.
    pub plans: mpsc::Receiver<PlanAnswer>,
}

/// How reading ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Batches that storage had not confirmed at the deadline; they are read again at the next start.
    pub batches_unconfirmed: usize,
    /// Partitions whose last offset could not be committed.
    pub commits_failed: usize,
}

/// Reads the input topics until it is stopped.
#[derive(Debug)]
pub struct KafkaIngest {
    thread: JoinHandle<ShutdownReport>,
    stop: CancellationToken,
    status: watch::Receiver<IngestStatus>,
}

impl KafkaIngest {
    /// Starts reading on a thread of its own. Must be called within a tokio runtime that has timers. `drain_timeout`
    /// is how long the end waits for storage.
    ///
    /// Missing topics and unreachable brokers are no errors: they are waited for, and [`IngestStatus`] says so.
    ///
    /// # Errors
    /// The Kafka client refuses its settings, or there is no thread to be had.
    pub fn start(
        kafka: &KafkaConfig,
        decode: &DecodeConfig,
        store: &StoreConfig,
        lanes: Lanes,
        drain_timeout: Duration,
    ) -> Result<Self, IngestError> {
        let stop = CancellationToken::new();
        let (publish, status) = watch::channel(IngestStatus::default());
        let runtime = tokio::runtime::Handle::current();
        let shell = worker::Shell { runtime, stop: stop.clone(), publish, drain_timeout };
        let worker = worker::Worker::new(kafka, decode, store, lanes, shell)?;
        let thread = std::thread::Builder::new().name("ingest".to_owned()).spawn(move || worker.run())?;
        Ok(Self { thread, stop, status })
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<IngestStatus> {
        self.status.clone()
    }

    /// Begins the ordered end: stop reading, hand open batches over, wait for storage, commit, leave the group.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end; blocks the calling thread (use `spawn_blocking`). Calls [`KafkaIngest::stop`] itself.
    ///
    /// # Errors
    /// The thread panicked.
    pub fn join(self) -> Result<ShutdownReport, IngestError> {
        self.stop.cancel();
        self.thread.join().map_err(|_| IngestError::Panicked)
    }
}
