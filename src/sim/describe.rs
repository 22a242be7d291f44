//! What a run was like, in windows: load, attempts per logical request, failures, latency, memory, restarts.

use std::collections::BTreeMap;

use crate::model::{DurationMs, Event, Request, Signal, Text, Timestamp, metric};

/// Buckets a latency is sorted into: each is 5 % wider than the one before, from 0.1 ms on.
const BUCKETS: usize = 320;
const BUCKET_GROWTH: f64 = 1.05;
const BUCKET_FIRST_MS: f64 = 0.1;

/// One window of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowDescription {
    /// Its first moment.
    pub start: Timestamp,
    /// Attempts that ended in it.
    pub requests: u64,
    /// Of these, first attempts.
    pub first_attempts: u64,
    /// Of these, answered 5xx.
    pub server_errors: u64,
    /// Of these, answered 503.
    pub unavailable: u64,
    /// Memory of the store at its end, in bytes.
    pub store_memory_bytes: f64,
    /// Containers' restarts in it.
    pub restarts: u64,
    durations: Vec<u32>,
}

impl WindowDescription {
    fn new(start: Timestamp) -> Self {
        Self {
            start,
            requests: 0,
            first_attempts: 0,
            server_errors: 0,
            unavailable: 0,
            store_memory_bytes: 0.0,
            restarts: 0,
            durations: vec![0; BUCKETS],
        }
    }

    fn add(&mut self, request: &Request) {
        self.requests += 1;
        self.first_attempts += u64::from(request.attempt.is_none_or(|attempt| attempt == 1));
        self.server_errors += u64::from(request.status >= 500);
        self.unavailable += u64::from(request.status == 503);
        let bucket = libm::log(request.duration_ms.max(BUCKET_FIRST_MS) / BUCKET_FIRST_MS) / libm::log(BUCKET_GROWTH);
        self.durations[(bucket as usize).min(BUCKETS - 1)] += 1;
    }

    /// Attempts per logical request that began; without a logged attempt number 1.
    #[must_use]
    pub fn attempts_per_request(&self) -> f64 {
        self.requests as f64 / self.first_attempts.max(1) as f64
    }

    /// Share of attempts answered 5xx.
    #[must_use]
    pub fn server_error_share(&self) -> f64 {
        self.server_errors as f64 / self.requests.max(1) as f64
    }

    /// Median duration in milliseconds, to 5 %.
    #[must_use]
    pub fn duration_ms_p50(&self) -> f64 {
        let half = self.requests.div_ceil(2);
        let mut seen = 0;
        let bucket = self.durations.iter().position(|count| {
            seen += u64::from(*count);
            seen >= half
        });
        BUCKET_FIRST_MS * libm::pow(BUCKET_GROWTH, bucket.unwrap_or(0) as f64 + 0.5)
    }
}

/// Sums events up, window by window. Give it events in time order; it keeps one window and no event.
#[derive(Debug)]
pub struct Description {
    window_ms: DurationMs,
    store: Option<Text>,
    current: Option<WindowDescription>,
    restarts_total: BTreeMap<Text, u64>,
}

impl Description {
    /// Windows of `window_ms`; `store` is the source whose memory is shown.
    #[must_use]
    pub fn new(window_ms: DurationMs, store: Option<Text>) -> Self {
        Self { window_ms: window_ms.max(1), store, current: None, restarts_total: BTreeMap::new() }
    }

    /// Adds an event; gives the window that ended before it.
    pub fn add(&mut self, event: &Event) -> Option<WindowDescription> {
        if matches!(event, Event::Change(_) | Event::Query(_) | Event::Watermark(_)) {
            return None;
        }
        let start = event.timestamp().window_start(self.window_ms);
        let ended = self.current.take_if(|window| window.start < start);
        let window = self.current.get_or_insert_with(|| WindowDescription::new(start));
        match event {
            Event::Request(request) => window.add(request),
            Event::Signal(signal) => {
                let restarts_total = &mut self.restarts_total;
                add_signal(window, signal, self.store.as_deref(), restarts_total);
            }
            _ => {}
        }
        ended
    }

    /// The last window.
    #[must_use]
    pub fn finish(self) -> Option<WindowDescription> {
        self.current
    }
}

fn add_signal(
    window: &mut WindowDescription,
    signal: &Signal,
    store: Option<&str>,
    restarts_total: &mut BTreeMap<Text, u64>,
) {
    if signal.metric == metric::MEMORY_USED_BYTES && store == Some(signal.source.as_str()) {
        window.store_memory_bytes = signal.value;
    }
    if signal.metric == metric::RESTARTS_TOTAL {
        let total = signal.value as u64;
        let before = restarts_total.insert(signal.source.clone(), total).unwrap_or(total);
        window.restarts += total.saturating_sub(before);
    }
}
