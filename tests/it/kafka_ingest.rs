//! Kafka in: both lanes, dead letters, falling behind, the ordered end and the restart, on a real broker.

use std::collections::BTreeMap;
use std::time::Duration;

use floodmark::config::{DecodeConfig, Format, Span, StoreConfig};
use floodmark::ingest::{EventProducer, IngestStatus, KafkaIngest, Lanes, ShutdownReport, WatermarkPolicy};
use floodmark::model::{
    Batch, Event, FlowInput, Offset, Plan, PlanAnswer, PlanRequest, Request, Stored, Timestamp, TopicPartition,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::support::broker::{PATIENCE, TestBroker};

const START: Timestamp = Timestamp::from_millis(1_772_360_105_000);

/// The service around ingest: a detection that keeps what it gets and a storage that the test opens and closes.
struct Service {
    ingest: KafkaIngest,
    detect: mpsc::Receiver<FlowInput>,
    store: mpsc::Receiver<Batch>,
    stored: mpsc::Sender<Stored>,
    status: watch::Receiver<IngestStatus>,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    /// Offsets that detection saw, by partition, in order.
    detected: BTreeMap<TopicPartition, Vec<Offset>>,
    /// How often each offset was stored.
    stored: BTreeMap<(TopicPartition, Offset), u32>,
    /// Ends of the last batches.
    ends: BTreeMap<TopicPartition, Offset>,
    events: Vec<Event>,
    idle: Vec<TopicPartition>,
    /// Messages read once more for detection alone.
    warm: u64,
}

/// A storage without a ledger: it goes on where the broker says.
async fn plan_from_commits(mut requests: mpsc::Receiver<PlanRequest>, answers: mpsc::Sender<PlanAnswer>) {
    while let Some(PlanRequest { topic_partition, assignment, epoch, committed }) = requests.recv().await {
        let plan = Plan { epoch, start: committed, ends: Vec::new() };
        if answers.send(PlanAnswer { topic_partition, assignment, plan }).await.is_err() {
            return;
        }
    }
}

impl Service {
    fn start(broker: &TestBroker, decode: &DecodeConfig, store: &StoreConfig) -> Self {
        let (detect_in, detect) = mpsc::channel(16);
        let (store_in, store_out) = mpsc::channel(store.batches_waiting_max);
        let (stored, stored_out) = mpsc::channel(64);
        let (plan_requests, requests) = mpsc::channel(16);
        let (answers, plans) = mpsc::channel(16);
        tokio::spawn(plan_from_commits(requests, answers));
        let lanes = Lanes { detect: detect_in, store: store_in, stored: stored_out, plan_requests, plans };
        let ingest = KafkaIngest::start(&broker.kafka, decode, store, lanes, Duration::from_secs(10)).unwrap();
        let status = ingest.status();
        Self { ingest, detect, store: store_out, stored, status, seen: Seen::default() }
    }

    fn detect(&mut self, input: FlowInput) {
        match input {
            FlowInput::Chunk(chunk) => {
                let offsets = self.seen.detected.entry(chunk.topic_partition.clone()).or_default();
                offsets.extend(chunk.events.iter().filter(|e| e.index == 0).map(|e| e.offset));
                offsets.extend(chunk.rejections.iter().filter(|r| r.index == 0).map(|r| r.offset));
                self.seen.events.extend(chunk.events.iter().map(|e| e.event.clone()));
            }
            FlowInput::Warm(chunk) => self.seen.warm += chunk.messages,
            FlowInput::Idle(partition) => self.seen.idle.push(partition),
            FlowInput::Assigned(_) | FlowInput::Revoked(_) | FlowInput::Active(_) => {}
        }
    }

    async fn store(&mut self, batch: Batch) {
        let of = batch.topic_partition.clone();
        let end = self.seen.ends.insert(of.clone(), batch.end);
        assert!(end.is_none_or(|end| end == batch.start), "ranges join: {end:?} {}", batch.start);
        let mut next = batch.start;
        for chunk in &batch.chunks {
            assert_eq!(chunk.start, next, "chunks join");
            next = chunk.end;
            let rejected = chunk.rejections.iter().map(|r| (r.offset, r.index));
            for (offset, _) in chunk.events.iter().map(|e| (e.offset, e.index)).chain(rejected).filter(|(_, i)| *i == 0)
            {
                *self.seen.stored.entry((of.clone(), offset)).or_default() += 1;
            }
        }
        assert_eq!(next, batch.end);
        let answer = Stored { topic_partition: of, start: batch.start, end: batch.end, rows: 0 };
        let _ = self.stored.send(answer).await;
    }

    /// Serves detection, and storage if it is `open`, until `done`.
    async fn run_until(&mut self, open: bool, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            tokio::select! {
                Some(input) = self.detect.recv() => self.detect(input),
                Some(batch) = self.store.recv(), if open => self.store(batch).await,
                Ok(()) = self.status.changed() => {}
                () = tokio::time::sleep_until(deadline) => panic!("{what}: {:#?}", *self.status.borrow()),
            }
        }
    }

    fn detected(&self) -> usize {
        self.seen.detected.values().map(Vec::len).sum()
    }

    /// Stops, with a storage that goes on answering.
    async fn stop(mut self) -> (ShutdownReport, Seen, IngestStatus) {
        self.ingest.stop();
        let status = self.status.clone();
        self.run_until(true, "the end", |s| s.status.borrow().stopped).await;
        let joined = timeout(PATIENCE, tokio::task::spawn_blocking(move || self.ingest.join())).await;
        let last = status.borrow().clone();
        (joined.unwrap().unwrap().unwrap(), self.seen, last)
    }
}

fn request(number: i64) -> Event {
    Event::Request(Request {
        timestamp: START.plus(number),
        subscription: format!("subscription-{}", number % 17).into(),
        route: "/v1/profiles".into(),
        status: 200,
        duration_ms: 1.0,
        ..Request::default()
    })
}

fn produce(broker: &TestBroker, numbers: std::ops::Range<i64>) {
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    for number in numbers {
        producer.send_event(&request(number)).unwrap();
    }
    let counts = producer.flush().unwrap();
    assert_eq!(counts.acknowledged, counts.sent);
}

fn quick_batches() -> StoreConfig {
    StoreConfig { batch_age_max: Span::from_millis(100), batches_waiting_max: 2, ..StoreConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_reach_both_lanes_and_bad_ones_the_dead_letter_topic() {
    let broker = TestBroker::start(3).await;
    let mut producer = EventProducer::new(&broker.kafka, Some(WatermarkPolicy::every_five_seconds(0))).unwrap();
    for number in 0..500 {
        producer.send_event(&request(number)).unwrap();
    }
    let topics = broker.kafka.topics.clone();
    for (topic, bad) in [
        (&topics.requests, &b"{\"timestamp\":1}"[..]),
        (&topics.requests, b"not json"),
        (&topics.signals, b"\xff\xfe"),
        (&topics.changes, b"[{\"type\":\"change\"},7]"),
    ] {
        producer.send_raw(topic, None, bad).unwrap();
    }
    producer.send_watermark_everywhere(START.plus(60_000)).unwrap();
    let counts = producer.flush().unwrap();
    assert_eq!((counts.sent, counts.watermarks), (510, 6));

    let mut service = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    service.run_until(true, "all is stored", |s| s.seen.stored.len() == 510).await;
    assert_eq!(service.detected(), 510);
    service.run_until(true, "silent partitions are idle", |s| s.seen.idle.len() == 6).await;
    let (report, seen, status) = service.stop().await;

    assert_eq!(report, ShutdownReport::default());
    assert!(seen.stored.values().all(|times| *times == 1));
    let of_kind = |wanted: fn(&&Event) -> bool| seen.events.iter().filter(wanted).count();
    assert_eq!(of_kind(|event| matches!(event, Event::Request(_))), 500);
    assert_eq!(of_kind(|event| matches!(event, Event::Watermark(_))), 6);
    assert_eq!(status.counts.messages, 510);
    assert_eq!(status.counts.rejections.values().sum::<u64>(), 5);
    assert_eq!((status.counts.dead_letters, status.dead_letters_waiting), (5, 0));
    assert!(status.partitions.iter().all(|p| p.committed == p.position && p.behind_from.is_none()), "{status:#?}");

    let letters: Vec<serde_json::Value> = broker
        .read(&topics.dead_letters, 0, 5)
        .iter()
        .map(|(key, body)| {
            let letter: serde_json::Value = serde_json::from_slice(body).unwrap();
            let (topic, partition) = (letter["topic"].as_str().unwrap(), &letter["partition"]);
            assert_eq!(*key, format!("{topic}[{partition}]@{}", letter["offset"]));
            letter
        })
        .collect();
    let mut reasons: Vec<(&str, &str, u64)> = letters
        .iter()
        .map(|l| (l["topic"].as_str().unwrap(), l["reason"].as_str().unwrap(), l["index"].as_u64().unwrap()))
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            ("changes", "missing_field", 0),
            ("changes", "syntax", 1),
            ("requests", "out_of_range", 0),
            ("requests", "syntax", 0),
            ("signals", "not_utf8", 0),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_away_does_not_stop_detection_and_everything_is_stored_later_once() {
    let broker = TestBroker::start(2).await;
    let config = StoreConfig { batch_records_max: 500, ..quick_batches() };
    produce(&broker, 0..20_000);
    let mut service = Service::start(&broker, &DecodeConfig::default(), &config);
    service.run_until(false, "detection sees all", |s| s.detected() == 20_000).await;
    let behind = |s: &Service| s.status.borrow().partitions.iter().filter(|p| p.behind_from.is_some()).count();
    service.run_until(false, "both partitions of requests are behind", |s| behind(s) == 2).await;
    assert!(service.status.borrow().partitions.iter().all(|p| p.committed.unwrap_or(0) == 0), "nothing is stored");

    produce(&broker, 20_000..20_100);
    service.run_until(false, "detection goes on", |s| s.detected() == 20_100).await;
    service.run_until(true, "storage catches up", |s| s.seen.stored.len() == 20_100 && behind(s) == 0).await;

    produce(&broker, 20_100..20_200);
    service.run_until(true, "level again", |s| s.seen.stored.len() == 20_200).await;
    let (report, seen, status) = service.stop().await;
    assert_eq!(report, ShutdownReport::default());
    assert!(seen.stored.values().all(|times| *times == 1), "stored once");
    for offsets in seen.detected.values() {
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "detection sees each once, in order");
    }
    assert!(status.counts.messages_read_again > 0 && status.counts.fallen_behind >= 2, "{status:#?}");
    assert_eq!(status.counts.messages, 20_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_sent_once_even_when_storage_was_behind() {
    let broker = TestBroker::start(1).await;
    let config = StoreConfig { batch_records_max: 50, ..quick_batches() };
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    for number in 0..2_000 {
        producer.send_event(&request(number)).unwrap();
        if number % 20 == 0 {
            producer.send_raw("requests", Some("bad"), b"bad").unwrap();
        }
    }
    producer.flush().unwrap();
    let mut service = Service::start(&broker, &DecodeConfig::default(), &config);
    service.run_until(false, "detection sees all", |s| s.detected() == 2_100).await;
    service.run_until(true, "all is stored", |s| s.seen.stored.len() == 2_100).await;
    let (_, seen, status) = service.stop().await;
    assert!(seen.stored.values().all(|times| *times == 1));
    assert!(status.counts.messages_read_again > 0);
    assert_eq!((status.counts.dead_letters, status.dead_letters_waiting), (100, 0));
    let mut keys: Vec<String> = broker.read("floodmark.dead-letters", 0, 100).into_iter().map(|(key, _)| key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_resumes_at_what_was_committed() {
    let broker = TestBroker::start(2).await;
    produce(&broker, 0..1_000);
    let mut first = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    first.run_until(true, "all is detected", |s| s.detected() == 1_000).await;
    // The last batches may still be open here: the ordered end hands them over.
    let (report, seen, _) = first.stop().await;
    assert_eq!(report, ShutdownReport::default());
    assert_eq!(seen.stored.len(), 1_000);

    produce(&broker, 1_000..1_500);
    let mut second = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    second.run_until(true, "the rest is stored", |s| s.seen.stored.len() == 500).await;
    let (_, again, _) = second.stop().await;
    assert_eq!(again.stored.len(), 500);
    assert!(again.stored.keys().all(|key| !seen.stored.contains_key(key)), "nothing is stored twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_detection_reads_again_what_storage_has() {
    let broker = TestBroker::start(2).await;
    produce(&broker, 0..1_000);
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    for _ in 0..10 {
        producer.send_raw(&broker.kafka.topics.requests, None, b"not json").unwrap();
    }
    producer.flush().unwrap();
    let mut first = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    first.run_until(true, "all is detected", |s| s.detected() == 1_010).await;
    let (_, seen, status) = first.stop().await;
    assert_eq!((seen.warm, status.counts.dead_letters), (0, 10), "the first start has nothing to read again");

    produce(&broker, 1_000..1_500);
    let mut second = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    second.run_until(true, "the rest is stored", |s| s.seen.stored.len() == 500).await;
    let (_, again, status) = second.stop().await;
    assert_eq!((again.warm, again.detected.values().map(Vec::len).sum::<usize>()), (1_010, 500));
    assert_eq!((status.counts.messages_warm, status.counts.messages), (1_010, 500));
    assert_eq!((status.counts.dead_letters, again.stored.len()), (0, 500), "neither refused nor stored twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_storage_did_not_confirm_is_read_again_after_a_restart() {
    let broker = TestBroker::start(1).await;
    produce(&broker, 0..300);
    let mut first = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    first.run_until(false, "all is detected", |s| s.detected() == 300).await;
    let Service { ingest, store, stored, .. } = first;
    // Storage dies without an answer.
    drop((store, stored));
    let report = tokio::task::spawn_blocking(move || ingest.join()).await.unwrap().unwrap();
    assert_eq!(report.commits_failed, 0);

    let mut second = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    second.run_until(true, "all is stored", |s| s.seen.stored.len() == 300).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_come_later_are_picked_up() {
    let broker = TestBroker::without_topics();
    let mut service = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    let missing = |s: &Service| s.status.borrow().topics_missing.clone();
    service.run_until(true, "missing topics are named", |s| missing(s) == ["requests", "signals", "changes"]).await;
    let topics = [("requests", 1), ("signals", 1), ("changes", 1), ("floodmark.dead-letters", 1)];
    broker.broker.create_topics(&topics).await.unwrap();
    produce(&broker, 0..10);
    service.run_until(true, "the new topic is read", |s| s.seen.stored.len() == 10 && missing(s).is_empty()).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_log_lines_are_read_and_watermarks_between_them() {
    let broker = TestBroker::start(1).await;
    let decode = DecodeConfig { requests_format: Format::Combined, ..DecodeConfig::default() };
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    let lines: Vec<&str> = include_str!("../fixtures/access-log/apache_access_excerpt.log").lines().collect();
    for line in &lines {
        producer.send_raw("requests", None, line.as_bytes()).unwrap();
    }
    producer.send_watermark_everywhere(START).unwrap();
    producer.flush().unwrap();
    let mut service = Service::start(&broker, &decode, &quick_batches());
    service.run_until(true, "all is stored", |s| s.seen.stored.len() == lines.len() + 4).await;
    let (_, seen, status) = service.stop().await;
    assert!(status.counts.rejections.is_empty(), "{:?}", status.counts);
    // A watermark overtakes nothing: in its partition it is last.
    let requests = seen.events.iter().filter(|event| matches!(event, Event::Request(_))).count();
    assert_eq!(requests, lines.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_waited_for() {
    let mut broker = TestBroker::without_topics();
    // Nobody listens on a port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    broker.kafka.brokers = nobody.to_string();
    let mut service = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    service.run_until(true, "said so", |s| s.status.borrow().broker_reachable == Some(false)).await;
    let (report, ..) = service.stop().await;
    assert_eq!(report, ShutdownReport::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_member_takes_partitions_over_and_nothing_is_lost() {
    let broker = TestBroker::start(4).await;
    produce(&broker, 0..400);
    let mut first = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    first.run_until(true, "all is stored", |s| s.seen.stored.len() == 400).await;
    let mut second = Service::start(&broker, &DecodeConfig::default(), &quick_batches());
    let statuses = [first.status.clone(), second.status.clone()];
    let sum = |of: fn(&IngestStatus) -> usize| statuses.each_ref().map(|status| of(&status.borrow()));
    let shared = |_: &Service| {
        let partitions = sum(|status| status.partitions.len());
        partitions.iter().sum::<usize>() == 7 && !partitions.contains(&0)
    };
    tokio::join!(first.run_until(true, "both share", shared), second.run_until(true, "both share", shared));
    // Neither detects on the whole log, and each says so.
    let told = |_: &Service| sum(|status| status.partitions_elsewhere).iter().sum::<usize>() == 7;
    tokio::join!(first.run_until(true, "both say so", told), second.run_until(true, "both say so", told));

    produce(&broker, 400..800);
    let all_read = |_: &Service| sum(|s| usize::try_from(s.counts.messages).unwrap()).iter().sum::<usize>() >= 800;
    tokio::join!(first.run_until(true, "all is read", all_read), second.run_until(true, "all is read", all_read));
    let (_, two, _) = second.stop().await;
    let alone = |service: &Service| {
        let status = service.status.borrow();
        (status.partitions.len(), status.partitions_elsewhere) == (7, 0)
    };
    first.run_until(true, "the first has all again", alone).await;
    let (_, one, _) = first.stop().await;
    let mut all: Vec<_> = one.stored.keys().chain(two.stored.keys()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 800);
    assert!(!two.stored.is_empty());
}
