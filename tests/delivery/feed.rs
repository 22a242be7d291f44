//! Records that are known beforehand: what number `n` of a seed is, and a thread that sends them steadily.

use std::time::{Duration, Instant};

use floodmark::config::KafkaConfig;
use floodmark::ingest::EventProducer;
use floodmark::model::{Event, Request, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// 2026-03-01T23:59:20Z: the records of most trials go over midnight, and with it over two partitions of the table.
const START: Timestamp = Timestamp::from_millis(1_772_409_560_000);
/// Event time between two records.
const STEP_MS: i64 = 8;
/// One record in so many is one that no decoder can read.
const BROKEN_ONE_IN: u64 = 97;
const ROUTES: [&str; 4] = ["StartProfile", "StopProfile", "ListProfiles", "SaveCookies"];
const STATUSES: [u16; 8] = [200, 200, 201, 304, 404, 429, 500, 503];
/// None of them is near the bound of a bucket of the histogram.
const DURATIONS_MS: [f64; 6] = [0.0, 0.3, 1.5, 12.0, 250.0, 4_700.0];
/// How often the thread sends.
const PACE: Duration = Duration::from_millis(10);

/// A record.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // Nearly all are good, and none is kept for long.
pub enum Record {
    Good(Request),
    /// Nobody can read it.
    Broken(Vec<u8>),
}

/// Record `number` of `seed`.
pub fn record(seed: u64, number: u64) -> Record {
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut below = |end: usize| usize::try_from(random.next_u64() % end as u64).unwrap();
    if number % BROKEN_ONE_IN == seed % BROKEN_ONE_IN {
        return Record::Broken(
            match below(3) {
                0 => format!("{{\"request_id\":\"{number}\""),
                1 => format!("{{\"request_id\":\"{number}\"}}"),
                _ => format!("no JSON at all: {number}"),
            }
            .into_bytes(),
        );
    }
    let text = |text: &str| Some(text.into());
    Record::Good(Request {
        timestamp: START.plus(i64::try_from(number).unwrap() * STEP_MS - below(700) as i64),
        subscription: format!("subscription-{:02}", below(61)).into(),
        client: if below(5) == 0 { None } else { text("kameleo-cli") },
        client_version: text(["3.3.1", "4.0.0"][below(2)]),
        service: text("profile-api"),
        route: ROUTES[below(ROUTES.len())].into(),
        status: STATUSES[below(STATUSES.len())],
        duration_ms: DURATIONS_MS[below(DURATIONS_MS.len())],
        request_bytes: if below(3) == 0 { None } else { Some(below(5_000) as u64) },
        response_bytes: Some(below(60_000) as u64),
        attempt: [None, Some(1), Some(2), Some(3)][below(4)],
        request_id: Some(number.to_string().into()),
        ..Request::default()
    })
}

/// The number of a record that was read back.
pub fn number_of(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"request_id\":\"").or_else(|| text.split_once("no JSON at all: "))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A thread that sends records.
pub struct Feed {
    thread: std::thread::JoinHandle<()>,
}

impl Feed {
    /// Begins to send the records `numbers` of `seed`, `per_second` of them.
    #[allow(clippy::disallowed_methods)] // A pace takes a clock.
    pub fn start(kafka: &KafkaConfig, seed: u64, numbers: std::ops::Range<u64>, per_second: u64) -> Self {
        let kafka = kafka.clone();
        let mut producer = EventProducer::new(&kafka, None).unwrap();
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            for number in numbers.clone() {
                let due = Duration::from_micros((number - numbers.start) * 1_000_000 / per_second);
                while started.elapsed() < due {
                    std::thread::sleep(PACE);
                }
                match record(seed, number) {
                    Record::Good(request) => producer.send_event(&Event::Request(request)).unwrap(),
                    Record::Broken(body) => {
                        producer.send_raw(&kafka.topics.requests, Some(&number.to_string()), &body).unwrap();
                    }
                }
            }
            // Every record is acknowledged: what Kafka has acknowledged it may not lose either.
            producer.flush().unwrap();
        });
        Self { thread }
    }

    /// Waits until everything is sent and acknowledged.
    pub async fn finished(self) {
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().expect("every record is acknowledged");
    }
}
