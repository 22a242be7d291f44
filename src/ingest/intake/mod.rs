//! Where records that did not come from Kafka go: they are taken under a bound and acknowledged once they are safe.
//!
//! With Kafka configured, safe means that the broker has them: they come back through the input topics like any other
//! record. Without, they are read as a stream of their own and safe means stored. Either way delivery is at least once: a
//! sender that was not answered sends again, and a repeat of what is still pending joins it.

mod desk;
mod kafka_way;
mod storage_way;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use worker::IntakeTask;

use crate::config::{DecodeConfig, Format, HttpConfig, KafkaConfig, StoreConfig};
use crate::model::{Batch, Event, FlowInput, RejectionReason, Stored};

/// Topic name of records that came over HTTP, where there is no Kafka.
pub const HTTP_TOPIC: &str = "http";
/// Topic name of what the own probes found, where there is no Kafka.
pub const PROBES_TOPIC: &str = "probes";

/// Submissions on their way to the task. It only passes them on, so a queue means that detection is slow.
const JOBS_BOUND: usize = 256;
/// What an event of a probe counts as: a reading with its names and a few attributes.
const PROBE_EVENT_BYTES: usize = 256;
/// At a bound a sender is asked to come back after this long: batches are stored every second or faster.
const RETRY_AFTER_FULL: Duration = Duration::from_secs(2);
/// What was not safe in time is asked for again after this long: something is away, and not for a moment only.
const RETRY_AFTER_OUTAGE: Duration = Duration::from_secs(5);

/// Which body this is: a hash of it and of its sender.
pub type Identity = [u8; 32];

/// What became of a submission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events that are safe.
    pub accepted: u64,
    /// Events that cannot be taken, by their place in the submission.
    pub refused: Vec<(usize, RejectionReason)>,
}

/// A submission was not taken, or not known to be safe in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The same submission may be taken later.
    #[error("{}", .reason.as_str())]
    Pressure {
        /// Come back after this long.
        retry_after: Duration,
        /// Why not now.
        reason: Pressure,
    },
    /// It will not be taken later either.
    #[error("{0}")]
    NotPossible(&'static str),
}

/// Why a submission is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// Too much is pending.
    Full,
    /// It was taken and was not safe in time. It may become so: a repeat of the same body joins it.
    NotInTime,
    /// Kafka did not take all of it.
    NotTaken,
    /// The service is about to end.
    Stopping,
}

impl Pressure {
    /// One sentence for the sender.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "too much is pending; send it again later",
            Self::NotInTime => "the records are not known to be safe yet; send the same body again",
            Self::NotTaken => "Kafka did not take all records; send them again",
            Self::Stopping => "the service is about to end; send it again later",
        }
    }
}

impl IntakeError {
    fn pressure(reason: Pressure) -> Self {
        let retry_after = if reason == Pressure::Full { RETRY_AFTER_FULL } else { RETRY_AFTER_OUTAGE };
        Self::Pressure { retry_after, reason }
    }
}

/// Bytes that count as pending until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    bytes: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
}

impl Reservation {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// Too much is pending.
    pub fn grow(&mut self, bytes: usize) -> Result<(), IntakeError> {
        let more = acquire(&self.bytes, bytes)?;
        self.held.merge(more);
        Ok(())
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held.num_permits()
    }
}

fn acquire(semaphore: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, IntakeError> {
    let count = u32::try_from(bytes).map_err(|_| IntakeError::pressure(Pressure::Full))?;
    Arc::clone(semaphore).try_acquire_many_owned(count).map_err(|error| match error {
        TryAcquireError::NoPermits => IntakeError::pressure(Pressure::Full),
        TryAcquireError::Closed => IntakeError::pressure(Pressure::Stopping),
    })
}

/// To detection and storage, and storage's answers.
#[derive(Debug)]
pub struct StorageLanes {
    /// To detection. When it is full, taking records waits.
    pub detect: mpsc::Sender<FlowInput>,
    /// To storage. When it is full, what was taken stays pending.
    pub store: mpsc::Sender<Batch>,
    /// What storage has written.
    pub stored: mpsc::Receiver<Stored>,
}

/// Where records become safe.
#[derive(Debug)]
pub enum Destination<'a> {
    /// In the input topics of this Kafka.
    Kafka(&'a KafkaConfig),
    /// In storage, and detected on as they come.
    Storage {
        /// To detection and storage, and storage's answers.
        lanes: StorageLanes,
        /// Of this process: offsets count from 0 at each start.
        epoch: Arc<str>,
    },
}

/// What it is doing: a snapshot for metrics and `/readyz`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntakeStatus {
    /// Submissions that are not safe yet.
    pub pending: usize,
    /// How long the oldest of them has been pending.
    pub oldest: Duration,
    /// Events of probes that were not stored for want of room, since the start.
    pub probe_events_dropped: u64,
}

type Answer = Result<Receipt, IntakeError>;

#[derive(Debug)]
struct Job {
    events: Vec<Event>,
    reservation: Option<Reservation>,
    identity: Option<Identity>,
    /// `None` for probes: nobody waits.
    answer: Option<oneshot::Sender<Answer>>,
}

/// The entrance. Clones lead to the same task.
#[derive(Debug, Clone)]
pub struct Intake {
    jobs: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    answer_timeout: Duration,
    requests_possible: bool,
    probe_events_dropped: Arc<AtomicU64>,
    status: watch::Receiver<IntakeStatus>,
}

impl Intake {
    /// An entrance and the task behind it, which must be run.
    ///
    /// # Errors
    /// The Kafka client refuses its settings.
    pub fn new(
        http: &HttpConfig,
        decode: &DecodeConfig,
        store: &StoreConfig,
        destination: Destination<'_>,
    ) -> Result<(Self, IntakeTask), super::IngestError> {
        let (jobs, receiver) = mpsc::channel(JOBS_BOUND);
        let (publish, status) = watch::channel(IntakeStatus::default());
        let requests_possible = matches!(destination, Destination::Storage { .. }) || requests_are_native(decode);
        let probe_events_dropped = Arc::new(AtomicU64::new(0));
        let way = worker::Way::new(destination, http, store)?;
        let task = IntakeTask::new(receiver, way, publish, Arc::clone(&probe_events_dropped));
        let bytes_max = http.pending_bytes_max.as_usize();
        let intake = Self {
            jobs,
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
            answer_timeout: http.answer_timeout.0,
            requests_possible,
            probe_events_dropped,
            status,
        };
        Ok((intake, task))
    }

    /// Counts `bytes` of input as pending.
    ///
    /// # Errors
    /// Too much is pending.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, IntakeError> {
        let held = acquire(&self.bytes, bytes)?;
        Ok(Reservation { bytes: Arc::clone(&self.bytes), held })
    }

    /// Hands events over and waits until they are safe. When the caller goes away, they are still taken.
    ///
    /// # Errors
    /// See [`IntakeError`]. Nothing is known to be safe then, and some may be.
    pub async fn submit(&self, events: Vec<Event>, reservation: Reservation, identity: Identity) -> Answer {
        if !self.requests_possible && events.iter().any(|event| matches!(event, Event::Request(_))) {
            return Err(IntakeError::NotPossible(REQUESTS_NOT_NATIVE));
        }
        if events.is_empty() {
            return Ok(Receipt::default());
        }
        let (answer, answered) = oneshot::channel();
        let (reservation, identity) = (Some(reservation), Some(identity));
        self.enqueue(Job { events, reservation, identity, answer: Some(answer) })?;
        match tokio::time::timeout(self.answer_timeout, answered).await {
            Ok(Ok(answer)) => answer,
            // The task has ended without an answer.
            Ok(Err(_)) => Err(IntakeError::pressure(Pressure::Stopping)),
            Err(_) => Err(IntakeError::pressure(Pressure::NotInTime)),
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), IntakeError> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => IntakeError::pressure(Pressure::Full),
            mpsc::error::TrySendError::Closed(_) => IntakeError::pressure(Pressure::Stopping),
        })
    }

    /// Takes what the own probes find until they or the service end. Nobody waits for these: what finds no room is
    /// counted, and without Kafka it is detected on all the same.
    pub async fn forward_probes(self, mut found: mpsc::Receiver<Vec<Event>>, stop: CancellationToken) {
        loop {
            let events = tokio::select! {
                () = stop.cancelled() => return,
                events = found.recv() => match events {
                    Some(events) if events.is_empty() => continue,
                    Some(events) => events,
                    None => return,
                },
            };
            let count = events.len();
            let reservation = self.reserve(count * PROBE_EVENT_BYTES).ok();
            if self.enqueue(Job { events, reservation, identity: None, answer: None }).is_err() {
                self.probe_events_dropped.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }

    /// Bytes of input that are not safe yet.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.available_permits())
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<IntakeStatus> {
        self.status.clone()
    }
}

/// Said to whoever sends requests while the topic expects something else.
pub const REQUESTS_NOT_NATIVE: &str = "requests cannot be taken over HTTP: they would go to Kafka as native events, and \
    decode.requests_format says that the topic holds another format";

/// Whether requests that are sent to Kafka as native events are understood when they are read.
#[must_use]
pub fn requests_are_native(decode: &DecodeConfig) -> bool {
    decode.requests_format == Format::Native
}
