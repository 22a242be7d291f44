//! Three hours of a small platform, and three weeks of its memory: what the named queries are asked about. Without chance
//! or clock. Who does what: subscriptions whose number 4 divides run `4.0.0`, which repeats failed searches; `sub-01` polls,
//! `sub-02` creates one by one, `sub-03` does not wait when it is told to.

use floodmark::model::{Attributes, Change, ChangeKind, Event, QueryRun, QueryState, Request, Signal, Text, Timestamp};

use super::events;

/// 2026-03-01T10:00:00Z, a Sunday.
pub const START: Timestamp = Timestamp::from_millis(1_772_359_200_000);
/// Three hours later.
pub const END: Timestamp = START.plus(3 * HOUR_MS);
/// When `4.0.0` is released: its searches fail from then on.
pub const RELEASE: Timestamp = START.plus(90 * MINUTE_MS);

pub const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
const SUBSCRIPTIONS: i64 = 40;

/// Everything, in no order.
pub fn all() -> Vec<Event> {
    let requests = requests().into_iter().map(Event::Request);
    requests.chain(signals()).chain(changes()).chain(query_runs()).collect()
}

/// The requests alone.
pub fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for number in 1..=SUBSCRIPTIONS {
        (0..180).for_each(|minute| usual_minute(&mut requests, number, minute));
    }
    // Every 10 s, always the same answer.
    for poll in 0..1_080 {
        requests.push(request(1, START.plus(poll * 10_000), "GET", "ListProfiles", (200, 21_000)));
    }
    for create in 0..300 {
        let at = START.plus(30 * MINUTE_MS + create * 1_000);
        requests.push(request(2, at, "POST", "CreateProfile", (200, 5_200)));
    }
    // Told to wait 5 s, it waits 1 s; every tenth time it waits 6 s.
    let mut at = START.plus(HOUR_MS);
    for told in 0..200 {
        let mut refused = request(3, at, "POST", "SaveCookies", (429, 0));
        refused.attributes.insert("retry_after", "5");
        requests.push(refused);
        at = at.plus(if told % 10 == 9 { 6_000 } else { 1_000 });
    }
    requests
}

/// A search, a start and a look at a profile each minute or less often; what they call behind the edge.
fn usual_minute(requests: &mut Vec<Request>, number: i64, minute: i64) {
    if (minute + number) % (1 + number % 3) != 0 {
        return;
    }
    let at = START.plus(minute * MINUTE_MS + number * 997);
    let fails = number % 4 == 0 && at >= RELEASE;
    for search in 0..=(number % 2) {
        let tries = if fails { 6 } else { 1 };
        for attempt in 1..=tries {
            let at = at.plus(search * 200 + i64::from(attempt) * 50);
            let status = if fails { (503, 0) } else { (200, 48_000 + (at.as_millis() % 7_919) as u64) };
            let mut search = request(number, at, "GET", "SearchFingerprints", status);
            search.attempt = Some(attempt);
            requests.push(search);
        }
    }
    if fails {
        return;
    }
    requests.push(request(number, at.plus(3_000), "POST", "StartProfile", (200, 2_600)));
    let mut inner = request(number, at.plus(2_900), "POST", "Store", (200, 100));
    (inner.service, inner.caller) = (Some("store".into()), Some("api".into()));
    requests.push(inner);
    if minute % 10 == 0 {
        requests.push(request(
            number,
            at.plus(5_000),
            "GET",
            "GetProfile",
            (if number == 5 { 500 } else { 200 }, 5_200),
        ));
    }
}

fn request(number: i64, at: Timestamp, method: &str, route: &str, (status, response_bytes): (u16, u64)) -> Request {
    let version = if number % 4 == 0 { "4.0.0" } else { "3.3.1" };
    Request {
        timestamp: at,
        subscription: Text::from(format!("sub-{number:02}")),
        client: Some("kameleo-cli".into()),
        client_version: Some(version.into()),
        service: Some("api".into()),
        method: Some(method.into()),
        route: route.into(),
        status,
        // Spread over a doubling, slower after the release.
        duration_ms: (100 + at.as_millis() / 10 % 100) as f64 * if at >= RELEASE { 2.0 } else { 1.0 },
        request_bytes: Some(100),
        response_bytes: Some(response_bytes),
        attempt: Some(1),
        ..Request::default()
    }
}

/// Memory that grows 20 MB a day and has 400 MB left at the end, a steady one, and a pool that leaks.
fn signals() -> Vec<Event> {
    let mut signals = Vec::new();
    let mut signal = |timestamp: Timestamp, source: &str, metric: &str, value: f64| {
        let (source, metric) = (source.into(), metric.into());
        signals.push(Event::Signal(Signal { timestamp, source, metric, value, attributes: Attributes::default() }));
    };
    let midnight = END.window_start(DAY_MS);
    for day in 1..=21_i64 {
        for hour in 0..24 {
            let at = midnight.plus(-day * DAY_MS + hour * HOUR_MS);
            // At noon the most.
            let daily = if hour == 12 { 0.0 } else { -5e7 };
            signal(at, "container/api-1", "memory_used_bytes", 1.61e9 - 2e7 * day as f64 + daily);
            signal(at, "container/api-1", "memory_limit_bytes", 2e9);
            signal(at, "container/api-2", "memory_used_bytes", 5e8);
        }
    }
    for minute in 0..180_i64 {
        let at = START.plus(minute * MINUTE_MS);
        signal(at, "container/api-1", "memory_used_bytes", 1.6e9 + 1e5 * minute as f64);
        signal(at, "container/api-1", "memory_limit_bytes", 2e9);
        signal(at, "pool/sessions", "pool_size", 100.0);
        signal(at, "pool/sessions", "pool_in_use", (20 + minute / 3) as f64);
        signal(at, "pool/sessions", "pool_acquired_total", (100 * minute) as f64);
        signal(at, "pool/sessions", "pool_released_total", (100 * minute - minute / 3) as f64);
    }
    signals
}

fn changes() -> Vec<Event> {
    let change = |timestamp, kind, service: &str, version: &str| {
        Event::Change(Change {
            timestamp,
            kind,
            service: service.into(),
            version: Some(version.into()),
            title: Some(Text::from(format!("{service} {version}"))),
            url: None,
            attributes: Attributes::default(),
        })
    };
    vec![
        change(START.plus(15 * MINUTE_MS), ChangeKind::Deploy, "api", "2026.9"),
        change(RELEASE, ChangeKind::Release, "kameleo-cli", "4.0.0"),
        // Nobody asks it anything.
        change(RELEASE.plus(MINUTE_MS), ChangeKind::Config, "billing", "7"),
    ]
}

fn query_runs() -> Vec<Event> {
    let mut runs = Vec::new();
    for number in 0..600_i64 {
        let kind = number % 3;
        let timestamp = START.plus(number * 18_000);
        runs.push(Event::Query(Box::new(QueryRun {
            timestamp,
            node: Text::from(format!("node-{}", number % 2)),
            query: Some(Text::from(format!("SELECT {kind} FROM visits WHERE site = {number}"))),
            fingerprint: Some(Text::from(format!("fingerprint-{kind}"))),
            user: Some("dashboards".into()),
            origin: Some(["funnel", "heatmap", "export"][kind as usize].into()),
            version: None,
            subscription: None,
            state: Some(match number % 50 {
                7 => QueryState::Failed,
                8 => QueryState::Killed,
                9 => QueryState::Running,
                _ => QueryState::Finished,
            }),
            duration_ms: Some((10 * (kind + 1) * (1 + number % 20)) as f64),
            memory_bytes: Some(1_000_000 * (3 - kind as u64) * (1 + number as u64 % 10)),
            read_rows: Some(1_000 + number as u64),
            read_bytes: Some(20_000 + 20 * number as u64),
            exception_code: None,
            attributes: Attributes::default(),
        })));
    }
    runs
}

/// Everything as batches that can be written.
pub fn batches() -> Vec<floodmark::model::Batch> {
    let mut events = all();
    events.sort_by_key(Event::timestamp);
    let starts = (0..).step_by(10_000);
    events.chunks(10_000).zip(starts).map(|(events, start)| events::batch(start, events.to_vec())).collect()
}
