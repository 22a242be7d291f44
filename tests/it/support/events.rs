//! Events for tests: deterministic, and shaped like real traffic where sizes matter.

use std::sync::Arc;

use floodmark::model::{
    Affected, AlertName, AttemptSource, Attributes, Batch, Cause, Change, ChangeKind, Chunk, Confidence, Dimension,
    Dimensions, Event, IncidentReport, Offset, Positioned, QueryRun, QueryState, Rejection, RejectionCode,
    RejectionReason, Request, RuledOut, Severity, Signal, Text, Timestamp, TopicPartition, Transition, TransitionEvent,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// 2026-09-14T10:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_789_380_000_000);

const ROUTES: [&str; 6] = ["StartProfile", "StopProfile", "GetProfile", "ListProfiles", "SaveCookies", "Health"];
const VERSIONS: [&str; 4] = ["3.2.1", "3.3.0", "3.3.1", "4.0.0"];

/// `count` requests of a busy API over ten minutes in `batches` contiguous batches of one partition.
pub fn requests(count: usize, batches: usize) -> Vec<Batch> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let events: Vec<Event> = (0..count).map(|i| Event::Request(request(&mut random, i, count))).collect();
    let size = count.div_ceil(batches);
    events.chunks(size).enumerate().map(|(i, events)| batch((i * size) as Offset, events.to_vec())).collect()
}

/// `count` requests, each a day after the one before.
pub fn requests_a_day_apart(count: usize) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let events = (0..count).map(|day| {
        let mut request = request(&mut random, 0, 1);
        request.timestamp = START.plus(-(day as i64) * 86_400_000);
        Event::Request(request)
    });
    batch(0, events.collect())
}

/// A number from 0 up to, not including, `end`.
fn below(random: &mut ChaCha8Rng, end: u64) -> u64 {
    random.next_u64() % end
}

/// A number from 0 up to, not including, 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn request(random: &mut ChaCha8Rng, i: usize, count: usize) -> Request {
    // A few subscriptions make most of the traffic: the square of a uniform number leans to the small ones.
    let subscription = (unit(random).powi(2) * 2_000.0) as u32;
    let status = [200, 200, 200, 200, 201, 304, 404, 429, 500, 503][below(random, 10) as usize];
    let is_resend = status >= 429 && below(random, 2) == 0;
    let (id, key) = ((random.next_u64(), random.next_u64()), random.next_u64());
    Request {
        timestamp: START.plus((i * 600_000 / count) as i64 + below(random, 50) as i64),
        subscription: Text::from(format!("sub-{subscription:05}")),
        client: Some("kameleo-cli".into()),
        client_version: Some(VERSIONS[(subscription % 4) as usize].into()),
        service: Some("profile-api".into()),
        caller: None,
        method: Some(if i.is_multiple_of(3) { "GET" } else { "POST" }.into()),
        route: ROUTES[below(random, ROUTES.len() as u64) as usize].into(),
        status,
        duration_ms: (unit(random).powi(4) * 2_000_000.0).round() / 1_000.0,
        request_bytes: Some(100 + below(random, 3_900)),
        response_bytes: Some(200 + below(random, 59_800)),
        attempt: (is_resend || !i.is_multiple_of(3)).then(|| if is_resend { 2 + below(random, 4) as u32 } else { 1 }),
        attempt_source: [None, Some(AttemptSource::Field)][i % 2],
        upstream_attempts: (!i.is_multiple_of(5)).then_some((i % 4) as u32),
        request_key: Some(Text::from(format!("{key:016x}"))),
        request_id: Some(Text::from(format!("{:016x}{:016x}", id.0, id.1))),
        region: Some("eu-west-1".into()),
        host: Some(Text::from(format!("api-{}", below(random, 8)))),
        attributes: Attributes::default(),
    }
}

/// One partition's contiguous range that holds `events`, a message each.
pub fn batch(start: Offset, events: Vec<Event>) -> Batch {
    let topic_partition = TopicPartition { topic: Arc::from("requests"), partition: 3 };
    let end = start + events.len() as Offset;
    let events: Vec<Positioned> =
        events.into_iter().zip(start..).map(|(event, offset)| Positioned { offset, index: 0, event }).collect();
    let messages = events.len() as u64;
    let chunk =
        Chunk { topic_partition: topic_partition.clone(), start, end, messages, bytes: 0, events, rejections: vec![] };
    Batch {
        topic_partition,
        epoch: "".into(),
        start,
        end,
        chunks: vec![Arc::new(chunk)],
        dropped: 0,
        note_intent: false,
    }
}

/// Every kind of event, full and bare, with texts that break careless encoders, a watermark and a refused record.
pub fn one_of_each_kind() -> Batch {
    let mut attributes = Attributes::default();
    attributes.insert("it's \"quoted\"\\", "tab\tline\nzero\0 end");
    attributes.insert("päd", "日本 🌊 \u{fffd}");
    attributes.insert("long", &"x".repeat(10_000));
    let mut full = request(&mut ChaCha8Rng::seed_from_u64(7), 0, 1);
    full.caller = Some("gateway".into());
    full.attempt = Some(2);
    full.attempt_source = Some(AttemptSource::StainlessRetryCount);
    full.upstream_attempts = Some(3);
    full.attributes = attributes.clone();
    let bare = Request { timestamp: START, subscription: "s'; DROP TABLE requests; --".into(), ..Request::default() };
    let signal = Signal {
        timestamp: START,
        source: "redis/main".into(),
        metric: "memory_used_bytes".into(),
        value: 1.5e9,
        attributes: attributes.clone(),
    };
    let change = Change {
        timestamp: START,
        kind: ChangeKind::Release,
        service: "kameleo-cli".into(),
        version: Some("4.0.0".into()),
        title: None,
        url: Some("https://example.com/?a=1&b=%20".into()),
        attributes: Attributes::default(),
    };
    let events = vec![
        Event::Request(full),
        Event::Request(bare),
        Event::Signal(signal),
        Event::Change(change),
        Event::Watermark(START),
        Event::Query(Box::new(query_run(attributes))),
    ];
    let mut batch = batch(40, events);
    let chunk = Arc::get_mut(&mut batch.chunks[0]).unwrap();
    chunk.rejections.push(Rejection {
        offset: 46,
        index: 0,
        reason: RejectionReason { code: RejectionCode::Syntax, field: None, message: "not JSON".to_owned() },
    });
    (chunk.end, chunk.messages, batch.end) = (47, 7, 47);
    batch
}

fn query_run(attributes: Attributes) -> QueryRun {
    QueryRun {
        timestamp: START,
        node: "clickhouse/node-3".into(),
        query: Some("SELECT 'ö'".into()),
        fingerprint: None,
        user: Some("dashboards".into()),
        origin: None,
        version: None,
        subscription: Some("sub-1".into()),
        state: Some(QueryState::Failed),
        duration_ms: Some(12.5),
        memory_bytes: Some(u64::MAX),
        read_rows: None,
        read_bytes: Some(7),
        exception_code: Some(-241),
        attributes,
    }
}

/// A transition with every field filled.
pub fn transition() -> Transition {
    Transition {
        at: START.plus(65_000),
        event: TransitionEvent::Firing,
        alert: AlertName::RetryAmplification,
        severity: Severity::Critical,
        incident: "20260914T100000Z-retry-amplification-3f9c".into(),
        since: START,
        labels: Dimensions::new([
            (Dimension::Client, "kameleo-cli".into()),
            (Dimension::ClientVersion, "4.0.0".into()),
        ]),
        value: 9.8,
        baseline: 1.05,
        unit: "attempts per request",
        causes: vec![cause()],
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        summary: "kameleo-cli 4.0.0 sends each request 9.8 times".to_owned(),
        runbook: "runbooks/retry-amplification.md".into(),
    }
}

/// An incident that is still open.
pub fn incident() -> IncidentReport {
    IncidentReport {
        event: "incident",
        incident: "20260914T100000Z-retry-amplification-3f9c".into(),
        started_at: START,
        ended_at: None,
        severity: Severity::Critical,
        alerts: vec![AlertName::RetryAmplification, AlertName::MemoryExhaustion],
        causes: vec![cause()],
        timeline: Vec::new(),
        ruled_out: vec![RuledOut { candidate: "agent leak".to_owned(), why: "began two days before".to_owned() }],
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        customers: Vec::new(),
        actions: vec!["Limit sub-001 at the gateway.".to_owned()],
        summary: "a retry storm".to_owned(),
    }
}

fn cause() -> Cause {
    Cause {
        dimensions: Dimensions::new([(Dimension::ClientVersion, "4.0.0".into())]),
        share: 0.93,
        confidence: Confidence::High,
        evidence: "93 % of resends".to_owned(),
    }
}
