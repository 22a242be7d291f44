//! The task behind the entrance: it owns who waits for what, and the way on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, TicketId};
use super::kafka_way::KafkaWay;
use super::storage_way::{StorageWay, Stream};
use super::{Destination, IntakeError, IntakeStatus, Job, Pressure, Receipt};
use crate::config::{HttpConfig, StoreConfig};
use crate::ingest::IngestError;

/// How often the status is published.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// The way on.
#[derive(Debug)]
pub(super) enum Way {
    Kafka(Box<KafkaWay>),
    Storage(Box<StorageWay>),
}

/// Submissions whose fate is known.
enum Settled {
    Safe(Vec<TicketId>),
    Failed(TicketId),
}

impl Way {
    pub(super) fn new(
        destination: Destination<'_>,
        http: &HttpConfig,
        store: &StoreConfig,
    ) -> Result<Self, IngestError> {
        Ok(match destination {
            Destination::Kafka(kafka) => Self::Kafka(Box::new(KafkaWay::new(kafka, http)?)),
            Destination::Storage { lanes, epoch } => {
                Self::Storage(Box::new(StorageWay::new(lanes, epoch, http, store, Instant::now())))
            }
        })
    }

    /// `None` when the way has ended.
    async fn next(&mut self) -> Option<Settled> {
        match self {
            Self::Storage(way) => way.next().await.map(Settled::Safe),
            Self::Kafka(way) => way
                .next()
                .await
                .map(|(ticket, taken)| if taken { Settled::Safe(vec![ticket]) } else { Settled::Failed(ticket) }),
        }
    }
}

/// The task; it must be run.
#[derive(Debug)]
pub struct IntakeTask {
    jobs: mpsc::Receiver<Job>,
    way: Way,
    desk: Desk,
    publish: watch::Sender<IntakeStatus>,
    probe_events_dropped: Arc<AtomicU64>,
}

impl IntakeTask {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job>,
        way: Way,
        publish: watch::Sender<IntakeStatus>,
        probe_events_dropped: Arc<AtomicU64>,
    ) -> Self {
        Self { jobs, way, desk: Desk::default(), publish, probe_events_dropped }
    }

    /// Takes submissions until `stop` is cancelled or storage has ended, then waits for what is pending, for at most
    /// `drain_timeout`. Who is not answered by then is told to come back.
    pub async fn run(mut self, stop: CancellationToken, drain_timeout: Duration) {
        if let Way::Storage(way) = &mut self.way {
            way.begin().await;
        }
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                job = self.jobs.recv() => match job {
                    Some(job) => self.take(job).await,
                    None => break,
                },
                settled = self.way.next() => match settled {
                    Some(settled) => self.settle(settled),
                    None => break,
                },
                _ = status.tick() => self.publish(),
            }
        }
        self.drain(drain_timeout).await;
    }

    async fn take(&mut self, job: Job) {
        let Job { events, reservation, identity, answer } = job;
        let Some(answer) = answer else {
            return self.take_from_probes(events, reservation).await;
        };
        let (Some(reservation), Some(identity)) = (reservation, identity) else { return };
        let Some(answer) = self.desk.join(&identity, answer) else { return };
        if !self.desk.has_room() {
            // Gone is as good as told.
            let _ = answer.send(Err(IntakeError::pressure(Pressure::Full)));
            return;
        }
        let (bytes, count) = (reservation.bytes(), events.len() as u64);
        let refused = self.pass_on(Stream::Http, events, bytes, Some(self.desk.next_id())).await;
        let receipt = Receipt { accepted: count - refused.len() as u64, refused };
        self.desk.open(Some(identity), Some(answer), receipt, reservation, Instant::now());
    }

    async fn take_from_probes(&mut self, events: Vec<crate::model::Event>, reservation: Option<super::Reservation>) {
        let count = events.len() as u64;
        let Some(reservation) = reservation.filter(|_| self.desk.has_room()) else {
            self.probe_events_dropped.fetch_add(count, Ordering::Relaxed);
            if matches!(self.way, Way::Storage(_)) {
                self.pass_on(Stream::Probes, events, 0, None).await;
            }
            return;
        };
        let bytes = reservation.bytes();
        self.pass_on(Stream::Probes, events, bytes, Some(self.desk.next_id())).await;
        self.desk.open(None, None, Receipt::default(), reservation, Instant::now());
    }

    /// Gives the events that cannot be taken, by place.
    async fn pass_on(
        &mut self,
        stream: Stream,
        events: Vec<crate::model::Event>,
        bytes: usize,
        ticket: Option<TicketId>,
    ) -> Vec<(usize, crate::model::RejectionReason)> {
        match &mut self.way {
            Way::Storage(way) => {
                way.take(stream, events, bytes, ticket).await;
                Vec::new()
            }
            Way::Kafka(way) => match ticket {
                Some(ticket) => way.take(ticket, &events).await,
                None => Vec::new(),
            },
        }
    }

    fn settle(&mut self, settled: Settled) {
        match settled {
            Settled::Safe(tickets) => tickets.into_iter().for_each(|ticket| self.desk.safe(ticket)),
            Settled::Failed(ticket) => self.desk.failed(ticket, Pressure::NotTaken),
        }
    }

    /// The ordered end: what was taken is handed on and waited for; further submissions are turned away.
    async fn drain(mut self, timeout: Duration) {
        self.jobs.close();
        let pending = tokio::time::timeout(timeout, async {
            while let Some(job) = self.jobs.recv().await {
                self.take(job).await;
            }
            if let Way::Storage(way) = &mut self.way {
                way.seal_all();
            }
            while self.desk.pending().0 > 0 {
                match self.way.next().await {
                    Some(settled) => self.settle(settled),
                    None => break,
                }
            }
        });
        if pending.await.is_err() || self.desk.pending().0 > 0 {
            let (pending, _) = self.desk.pending();
            tracing::warn!(pending, "not all submissions were safe in time; their senders are told to come back");
        }
        self.desk.fail_all(Pressure::Stopping);
        self.publish();
    }

    fn publish(&self) {
        let (pending, since) = self.desk.pending();
        let oldest = since.map_or(Duration::ZERO, |since| since.elapsed());
        let probe_events_dropped = self.probe_events_dropped.load(Ordering::Relaxed);
        self.publish.send_replace(IntakeStatus { pending, oldest, probe_events_dropped });
    }
}
