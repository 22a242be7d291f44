//! The records: requests of a busy API, each with an id of its own, the same in every run.

use floodmark::config::KafkaConfig;
use floodmark::ingest::EventProducer;
use floodmark::model::{Event, Request, Text, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// 2026-09-14T10:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_789_380_000_000);
/// The records are of this many milliseconds.
const SPAN_MS: u64 = 600_000;
const ROUTES: [&str; 6] = ["StartProfile", "StopProfile", "GetProfile", "ListProfiles", "SaveCookies", "Health"];
const VERSIONS: [&str; 4] = ["3.2.1", "3.3.0", "3.3.1", "4.0.0"];
const STATUSES: [u16; 10] = [200, 200, 200, 200, 201, 304, 404, 429, 500, 503];

/// Writes `count` records. Gives the bytes of all values.
pub fn produce(brokers: &str, count: u64) -> anyhow::Result<u64> {
    let mut kafka = KafkaConfig { brokers: brokers.to_owned(), ..KafkaConfig::default() };
    for (name, value) in [("compression.codec", "lz4"), ("linger.ms", "50"), ("batch.num.messages", "10000")] {
        kafka.properties.insert(name.to_owned(), value.to_owned());
    }
    let mut producer = EventProducer::new(&kafka, None)?;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut bytes = 0;
    for number in 0..count {
        let event = Event::Request(request(&mut random, number, count));
        let body = serde_json::to_vec(&event)?;
        bytes += body.len() as u64;
        producer.send_raw_event(&event, &body)?;
    }
    producer.flush()?;
    Ok(bytes)
}

fn request(random: &mut ChaCha8Rng, number: u64, count: u64) -> Request {
    let mut below = |end: u64| random.next_u64() % end;
    // A few subscriptions make most of the traffic.
    let subscription = below(2_000) * below(2_000) / 2_000;
    let status = STATUSES[below(10) as usize];
    Request {
        timestamp: START.plus((number * SPAN_MS / count) as i64),
        subscription: Text::from(format!("sub-{subscription:05}")),
        client: Some("kameleo-cli".into()),
        client_version: Some(VERSIONS[(subscription % 4) as usize].into()),
        service: Some("profile-api".into()),
        method: Some(if number.is_multiple_of(3) { "GET" } else { "POST" }.into()),
        route: ROUTES[below(6) as usize].into(),
        status,
        duration_ms: below(2_000_000) as f64 / 1_000.0,
        request_bytes: Some(100 + below(3_900)),
        response_bytes: Some(200 + below(59_800)),
        attempt: Some(if status >= 429 { 1 + below(3) as u32 } else { 1 }),
        request_key: Some(Text::from(format!("{:016x}", below(u64::MAX)))),
        request_id: Some(Text::from(format!("{:016x}{number:016x}", below(u64::MAX)))),
        region: Some("eu-west-1".into()),
        host: Some(Text::from(format!("api-{}", below(8)))),
        ..Request::default()
    }
}
