//! The events: requests of many subscriptions, signals of a small fleet and finished queries, the same in every run.

use floodmark::alert::Rules;
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::model::{Attributes, Event, QueryRun, QueryState, Request, Signal, Text, Timestamp, metric};
use floodmark::pipeline::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// 2026-09-14T10:00:00Z, the beginning of a window.
pub const START: Timestamp = Timestamp::from_millis(1_789_380_000_000);
/// Length of a window.
pub const WINDOW_MS: i64 = 5_000;
/// Events of a window lie in its first part: what comes after it can be timed alone.
const EVENTS_MS: u64 = 3_900;
const ROUTES: [&str; 6] = ["StartProfile", "StopProfile", "GetProfile", "ListProfiles", "SaveCookies", "Health"];
const VERSIONS: [&str; 4] = ["3.2.1", "3.3.0", "3.3.1", "4.0.0"];
/// Containers, pools and caches that tell their signals in every second window.
const SOURCES: u64 = 100;
/// Queries that end in a window.
const QUERIES: u64 = 50;
/// Distinct queries.
const FINGERPRINTS: u64 = 200;

/// Makes events.
pub struct Traffic {
    random: ChaCha8Rng,
    number: u64,
}

/// The shipped rules on the default configuration, with room for the names of `subscriptions`.
pub fn settings(subscriptions: usize) -> anyhow::Result<Settings> {
    let flow = FlowConfig { names_max: FlowConfig::default().names_max + subscriptions, ..FlowConfig::default() };
    Ok(Settings { flow, rules: Rules::shipped()?, limits: Limits::shipped()? })
}

impl Traffic {
    pub fn new() -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(7), number: 0 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    /// A request of a subscription; `failing` of 1 fail, and are tried again.
    pub fn request(&mut self, at: Timestamp, subscription: u64, failing: f64) -> Request {
        let failed = self.below(1_000_000) < (failing * 1e6) as u64;
        self.number += 1;
        Request {
            timestamp: at,
            subscription: Text::from(format!("sub-{subscription:07}")),
            client: Some("kameleo-cli".into()),
            client_version: Some(VERSIONS[(subscription % 4) as usize].into()),
            service: Some("profile-api".into()),
            method: Some("POST".into()),
            route: ROUTES[(subscription % 6) as usize].into(),
            status: if failed { 503 } else { 200 },
            duration_ms: self.below(200_000) as f64 / 1_000.0,
            request_bytes: Some(100 + self.below(3_900)),
            response_bytes: Some(200 + self.below(59_800)),
            attempt: Some(if failed { 1 + self.below(3) as u32 } else { 1 }),
            request_id: Some(Text::from(format!("{:016x}", self.number))),
            ..Request::default()
        }
    }

    /// A window's events in the order of time: `active` of `subscriptions` send a request each, in turns.
    pub fn window(&mut self, window: u64, subscriptions: u64, active: u64, failing: f64) -> Vec<Event> {
        let start = START.plus(window as i64 * WINDOW_MS);
        let at = |number: u64, of: u64| start.plus((number * EVENTS_MS / of) as i64);
        let mut events = Vec::with_capacity((active + 12 * SOURCES + QUERIES) as usize);
        for number in 0..active {
            let subscription = (window * active + number) % subscriptions;
            events.push(Event::Request(self.request(at(number, active), subscription, failing)));
        }
        for number in (0..SOURCES).filter(|_| window.is_multiple_of(2)) {
            self.signals(at(number, SOURCES), number, window, &mut events);
        }
        for number in 0..QUERIES {
            let query = self.query(at(number, QUERIES));
            events.push(Event::Query(Box::new(query)));
        }
        events.sort_by_key(Event::timestamp);
        events
    }

    /// One event that makes it certain that the window before is whole.
    pub fn closing(&mut self, window: u64) -> Event {
        let at = START.plus(window as i64 * WINDOW_MS + 4_000);
        Event::Request(self.request(at, 0, 0.0))
    }

    fn signals(&mut self, at: Timestamp, source: u64, window: u64, events: &mut Vec<Event>) {
        let gib = 1_073_741_824.0;
        let readings = [
            (metric::MEMORY_USED_BYTES, 4.0 * gib + self.below(500_000_000) as f64),
            (metric::MEMORY_LIMIT_BYTES, 8.0 * gib),
            (metric::UPTIME_SECONDS, 90_000.0 + window as f64 * 5.0),
            (metric::OPERATIONS_TOTAL, window as f64 * 40_000.0 + self.below(5_000) as f64),
            (metric::DROPPED_PACKETS_TOTAL, 7.0),
            (metric::POOL_SIZE, 200.0),
            (metric::POOL_IN_USE, 60.0 + self.below(12) as f64),
            (metric::POOL_RESERVED, self.below(5) as f64),
        ];
        events.extend(readings.map(|(metric, value)| {
            Event::Signal(Signal {
                timestamp: at,
                source: Text::from(format!("container/worker-{source}")),
                metric: Text::from(metric),
                value,
                attributes: Attributes::default(),
            })
        }));
    }

    fn query(&mut self, at: Timestamp) -> QueryRun {
        let pattern = self.below(FINGERPRINTS);
        QueryRun {
            timestamp: at,
            node: Text::from(format!("ch-{}", self.below(3))),
            query: None,
            fingerprint: Some(Text::from(format!("{pattern:016x}"))),
            user: Some("web".into()),
            origin: Some(Text::from(format!("dashboard-{}", pattern % 20))),
            version: Some("5.1".into()),
            subscription: None,
            state: Some(QueryState::Finished),
            duration_ms: Some(200.0 + self.below(400) as f64),
            memory_bytes: Some((pattern + 1) * 1_000_000 + self.below(500_000)),
            read_rows: Some((pattern + 1) * 10_000 + self.below(5_000)),
            read_bytes: Some((pattern + 1) * 400_000 + self.below(9_000)),
            exception_code: None,
            attributes: Attributes::default(),
        }
    }
}
