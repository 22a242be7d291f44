//! The entrance against hand-held lanes: what storage does, and when, is the test's choice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Destination, Identity, Intake, IntakeError, Pressure, Receipt, StorageLanes};
use crate::config::{ByteCount, DecodeConfig, HttpConfig, Span, StoreConfig};
use crate::model::{Attributes, Batch, Event, FlowInput, Signal, Stored, Timestamp};

const PATIENCE: Duration = Duration::from_secs(20);
const ONE: Identity = [1; 32];
const TWO: Identity = [2; 32];

struct Bench {
    intake: Intake,
    detect: mpsc::Receiver<FlowInput>,
    store: mpsc::Receiver<Batch>,
    stored: mpsc::Sender<Stored>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn bench(http: &HttpConfig) -> Bench {
    let (detect_sender, detect) = mpsc::channel(64);
    let (store_sender, store) = mpsc::channel(1);
    let (stored, stored_receiver) = mpsc::channel(16);
    let lanes = StorageLanes { detect: detect_sender, store: store_sender, stored: stored_receiver };
    let destination = Destination::Storage { lanes, epoch: "e".into() };
    let made = Intake::new(http, &DecodeConfig::default(), &StoreConfig::default(), destination);
    let (intake, task) = made.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(task.run(stop.clone(), Duration::from_millis(300)));
    Bench { intake, detect, store, stored, stop, task }
}

impl Bench {
    /// Submits `count` events as a sender would, in a task of its own.
    fn submit(&self, count: usize, identity: Identity) -> tokio::task::JoinHandle<Result<Receipt, IntakeError>> {
        let intake = self.intake.clone();
        let reservation = intake.reserve(count * 100).unwrap();
        tokio::spawn(async move { intake.submit(events(count), reservation, identity).await })
    }

    async fn batch(&mut self) -> Batch {
        tokio::time::timeout(PATIENCE, self.store.recv()).await.expect("a batch in time").unwrap()
    }

    async fn store(&self, batch: &Batch) {
        let Batch { topic_partition, start, end, .. } = batch.clone();
        self.stored.send(Stored { topic_partition, start, end, rows: 0 }).await.unwrap();
    }

    /// The next chunk that detection sees: its topic and number of events.
    async fn detected(&mut self) -> (Arc<str>, usize) {
        loop {
            let input = tokio::time::timeout(PATIENCE, self.detect.recv()).await.expect("a chunk in time").unwrap();
            if let FlowInput::Chunk(chunk) = input {
                return (Arc::clone(&chunk.topic_partition.topic), chunk.events.len());
            }
        }
    }
}

fn events(count: usize) -> Vec<Event> {
    let signal = |i: usize| Signal {
        timestamp: Timestamp::from_millis(i64::try_from(i).unwrap()),
        source: "redis/main".into(),
        metric: "memory_used_bytes".into(),
        value: 1.0,
        attributes: Attributes::default(),
    };
    (0..count).map(|i| Event::Signal(signal(i))).collect()
}

fn reason(answer: &Result<Receipt, IntakeError>) -> Option<Pressure> {
    match answer {
        Err(IntakeError::Pressure { reason, .. }) => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn an_answer_comes_once_the_range_is_stored_and_ranges_join() {
    let mut bench = bench(&HttpConfig::default());
    let first = bench.submit(3, ONE);
    let batch = bench.batch().await;
    assert_eq!((batch.start, batch.end, &*batch.epoch, &*batch.topic_partition.topic), (0, 3, "e", "http"));
    assert_eq!(bench.detected().await.1, 3);
    assert!(!first.is_finished() && bench.intake.pending_bytes() == 300);
    let second = bench.submit(2, TWO);
    let next = bench.batch().await;
    assert_eq!((next.start, next.end), (3, 5));
    bench.store(&batch).await;
    assert_eq!(first.await.unwrap().unwrap(), Receipt { accepted: 3, refused: Vec::new() });
    assert!(!second.is_finished());
    bench.store(&next).await;
    assert_eq!(second.await.unwrap().unwrap().accepted, 2);
    assert_eq!(bench.intake.pending_bytes(), 0);
}

#[tokio::test]
async fn a_repeat_of_what_is_pending_joins_it_and_later_a_repeat_is_new() {
    let mut bench = bench(&HttpConfig::default());
    let first = bench.submit(3, ONE);
    let batch = bench.batch().await;
    let repeat = bench.submit(3, ONE);
    let other = bench.submit(1, TWO);
    let next = bench.batch().await;
    assert_eq!((next.start, next.end), (3, 4), "the repeat is in no batch");
    bench.store(&batch).await;
    assert_eq!(first.await.unwrap().unwrap().accepted, 3);
    assert_eq!(repeat.await.unwrap().unwrap().accepted, 3);
    bench.store(&next).await;
    assert!(other.await.unwrap().is_ok());
    let _again = bench.submit(3, ONE);
    assert_eq!(bench.batch().await.start, 4, "who was answered and sends the same again means more of it");
}

#[tokio::test]
async fn what_became_safe_unheard_is_answered_from_memory() {
    let mut bench = bench(&HttpConfig { answer_timeout: Span::from_secs(1), ..HttpConfig::default() });
    let answer = bench.submit(3, ONE).await.unwrap();
    assert_eq!(reason(&answer), Some(Pressure::NotInTime));
    let batch = bench.batch().await;
    bench.store(&batch).await;
    let other = bench.submit(1, TWO);
    let next = bench.batch().await;
    bench.store(&next).await;
    assert!(other.await.unwrap().is_ok());
    assert_eq!(bench.submit(3, ONE).await.unwrap().unwrap().accepted, 3);
    assert!(bench.store.try_recv().is_err(), "nothing more to store");
}

#[tokio::test]
async fn at_the_bound_senders_are_told_to_come_back_and_probes_are_still_detected_on() {
    let http = HttpConfig { pending_bytes_max: ByteCount("1000B".parse().unwrap()), ..HttpConfig::default() };
    let mut bench = bench(&http);
    let first = bench.submit(9, ONE);
    let batch = bench.batch().await;
    assert_eq!(bench.detected().await.1, 9);
    let refused = bench.intake.reserve(200).map(|_| ()).unwrap_err();
    assert!(matches!(refused, IntakeError::Pressure { reason: Pressure::Full, .. }));

    let (found, receiver) = mpsc::channel(1);
    tokio::spawn(bench.intake.clone().forward_probes(receiver, CancellationToken::new()));
    found.send(events(2)).await.unwrap();
    let (topic, count) = bench.detected().await;
    assert_eq!((&*topic, count), ("probes", 2));
    let mut status = bench.intake.status();
    let dropped = status.wait_for(|status| status.probe_events_dropped == 2);
    tokio::time::timeout(PATIENCE, dropped).await.expect("counted").unwrap();

    bench.store(&batch).await;
    assert!(first.await.unwrap().is_ok());
    found.send(events(2)).await.unwrap();
    let batch = bench.batch().await;
    assert_eq!((&*batch.topic_partition.topic, batch.start, batch.end), ("probes", 0, 2));
}

#[tokio::test]
async fn the_end_hands_on_what_was_taken_and_tells_who_is_not_safe() {
    let mut bench = bench(&HttpConfig::default());
    let first = bench.submit(3, ONE);
    assert_eq!(bench.detected().await.1, 3);
    bench.stop.cancel();
    let batch = bench.batch().await;
    bench.store(&batch).await;
    assert_eq!(first.await.unwrap().unwrap().accepted, 3);
    bench.task.await.unwrap();
    let late = bench.intake.submit(events(1), bench.intake.reserve(100).unwrap(), TWO).await;
    assert_eq!(reason(&late), Some(Pressure::Stopping));
}

#[tokio::test]
async fn at_the_end_an_answer_that_storage_does_not_give_is_a_no() {
    let mut bench = bench(&HttpConfig::default());
    let first = bench.submit(3, ONE);
    bench.batch().await;
    bench.stop.cancel();
    assert_eq!(reason(&first.await.unwrap()), Some(Pressure::Stopping));
    bench.task.await.unwrap();
}
