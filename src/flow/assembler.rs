//! Events into windows: the watermark closes them, in order, exactly once.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::repeats::Repeats;
use super::watermark::{StreamId, Watermark};
use super::window::{Cell, CellKey, ClosedWindow, Hop, HopSums, LateCounts, Window, WindowCounts};
use super::{ChangeLog, Names, QueryKey, QueryTexts, RequestKeys};
use crate::config::FlowConfig;
use crate::model::{DurationMs, Event, QueryRun, Request, Signal, Timestamp};

/// Windows open at once: a day of five-second windows. Streams further apart than that, and clocks far in the future,
/// find no window: their events are counted in `overflowed`, not detected on.
const WINDOWS_OPEN_MAX: usize = 17_280;
/// At the end of a log, events further ahead than this of every credible clock come from a broken one.
const AHEAD_MS_MAX: DurationMs = 60_000;

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowCounts {
    /// Events taken in, late ones included.
    pub events: u64,
    /// Events whose window was already closed.
    pub late: u64,
    /// Windows closed (empty ones are skipped: absent data is not zero).
    pub windows_closed: u64,
    /// Events, strings or keys that a bound made indistinct or left out.
    pub overflowed: u64,
}

/// Builds windows from events of several streams.
#[derive(Debug)]
pub struct Assembler {
    window_ms: DurationMs,
    cells_max: usize,
    sightings_max: usize,
    names: Names,
    watermark: Watermark,
    windows: BTreeMap<Timestamp, Window>,
    request_keys: RequestKeys,
    repeats: Repeats,
    changes: ChangeLog,
    query_texts: QueryTexts,
    /// Late events since the last window was closed.
    late: LateCounts,
    /// Every window that ends at or before this moment is closed.
    closed_until: Option<Timestamp>,
    counts: FlowCounts,
}

impl Assembler {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(config: &FlowConfig) -> Self {
        Self {
            window_ms: config.window.as_millis(),
            cells_max: config.cells_max,
            sightings_max: config.request_keys_max,
            names: Names::new(config.names_max),
            watermark: Watermark::new(config.allowed_lateness.as_millis()),
            windows: BTreeMap::new(),
            request_keys: RequestKeys::new(config.request_keys_max),
            repeats: Repeats::default(),
            changes: ChangeLog::default(),
            query_texts: QueryTexts::default(),
            late: LateCounts::default(),
            closed_until: None,
            counts: FlowCounts::default(),
        }
    }

    /// The streams' clocks: add, remove and idle.
    pub fn watermark_mut(&mut self) -> &mut Watermark {
        &mut self.watermark
    }

    /// Takes one event in. Call [`Self::close_next`] until it gives nothing after each event.
    pub fn apply(&mut self, stream: StreamId, event: &Event) {
        if let Event::Watermark(timestamp) = event {
            self.watermark.promise(stream, *timestamp);
            return;
        }
        self.counts.events += 1;
        let timestamp = event.timestamp();
        let start = timestamp.window_start(self.window_ms);
        // A window that the watermark has passed is over even when nothing was in it.
        let over_until = self.closed_until.max(self.watermark.last());
        let late = over_until.is_some_and(|until| start.plus(self.window_ms) <= until);
        match event {
            // A late change is still a fact about the past.
            Event::Change(change) => self.changes.insert(change),
            _ if late => {
                self.counts.late += 1;
                self.late.add(over_until.map_or(0, |until| until.since(timestamp)));
            }
            _ if !self.has_room_for(start) => self.counts.overflowed += 1,
            Event::Request(request) => self.add_request(start, request),
            Event::Signal(signal) => self.add_signal(start, signal),
            Event::Query(query) => self.add_query(start, query),
            Event::Watermark(_) => {}
        }
        self.watermark.observe(stream, timestamp);
    }

    fn has_room_for(&self, start: Timestamp) -> bool {
        self.windows.len() < WINDOWS_OPEN_MAX || self.windows.contains_key(&start)
    }

    /// The next window that the watermark has passed, oldest first.
    pub fn close_next(&mut self) -> Option<ClosedWindow> {
        // Asking for the watermark costs a step a stream: only when there is a window to close.
        let (&start, _) = self.windows.first_key_value()?;
        let end = start.plus(self.window_ms);
        if self.watermark.current()? < end {
            return None;
        }
        let (start, window) = self.windows.pop_first()?;
        self.closed_until = self.closed_until.max(Some(end));
        Some(self.close(start, end, window))
    }

    /// Closes what is left, at the end of a log. Windows of broken clocks are left out and counted as overflowed.
    pub fn finish_next(&mut self) -> Option<ClosedWindow> {
        let newest_credible = self.watermark.newest_credible();
        while let Some((start, window)) = self.windows.pop_first() {
            if newest_credible.is_some_and(|newest| start.since(newest) > AHEAD_MS_MAX) {
                self.counts.overflowed += window.events();
                continue;
            }
            let end = start.plus(self.window_ms);
            self.closed_until = self.closed_until.max(Some(end));
            return Some(self.close(start, end, window));
        }
        None
    }

    fn close(&mut self, start: Timestamp, end: Timestamp, window: Window) -> ClosedWindow {
        self.counts.windows_closed += 1;
        self.counts.overflowed += window.overflowed();
        let counts = window.into_counts();
        let WindowCounts {
            mut cells,
            signals,
            queries,
            mut sightings,
            mut unmarked,
            latencies,
            call_latencies,
            exemplars,
        } = counts;
        self.request_keys.count_resends(start, &mut sightings, &mut cells);
        self.repeats.infer((start, end), &mut unmarked, &mut cells, self.cells_max);
        let mut total = Cell::default();
        let mut edge_total = Cell::default();
        let mut hops: FxHashMap<Hop, HopSums> = FxHashMap::default();
        for (key, cell) in &cells {
            total.add(cell);
            hops.entry(Hop::of(key)).or_default().add(cell);
            if key.caller.is_absent() {
                edge_total.add(cell);
            }
        }
        let late = std::mem::take(&mut self.late);
        let (cells, hops) = (cells.into_iter().collect(), hops.into_iter().collect());
        ClosedWindow {
            start,
            end,
            cells,
            total,
            edge_total,
            signals,
            queries,
            late,
            hops,
            latencies,
            call_latencies,
            exemplars,
        }
    }

    fn add_request(&mut self, start: Timestamp, request: &Request) {
        let key = CellKey {
            subscription: self.names.intern(&request.subscription),
            client: self.names.intern_optional(request.client.as_ref()),
            client_version: self.names.intern_optional(request.client_version.as_ref()),
            service: self.names.intern_optional(request.service.as_ref()),
            caller: self.names.intern_optional(request.caller.as_ref()),
            route: self.names.intern(&request.route),
        };
        let window = self.windows.entry(start).or_default();
        window.add_request(request, key, self.cells_max, self.sightings_max);
    }

    fn add_signal(&mut self, start: Timestamp, signal: &Signal) {
        let source = self.names.intern(&signal.source);
        let metric = self.names.intern(&signal.metric);
        self.windows.entry(start).or_default().add_signal(signal, source, metric);
    }

    fn add_query(&mut self, start: Timestamp, query: &QueryRun) {
        let key = QueryKey {
            fingerprint: self.query_texts.fingerprint(query, &mut self.names),
            origin: self.names.intern_optional(query.origin.as_ref()),
            version: self.names.intern_optional(query.version.as_ref()),
            user: self.names.intern_optional(query.user.as_ref()),
            node: self.names.intern(&query.node),
        };
        self.windows.entry(start).or_default().add_query(query, key);
    }

    /// What fingerprints of queries stand for.
    #[must_use]
    pub fn query_texts(&self) -> &QueryTexts {
        &self.query_texts
    }

    /// The strings behind the names.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Changes seen.
    #[must_use]
    pub fn changes(&self) -> &ChangeLog {
        &self.changes
    }

    /// Event time up to which everything is decided.
    #[must_use]
    pub fn decided_until(&self) -> Option<Timestamp> {
        self.closed_until
    }

    /// What went through so far.
    #[must_use]
    pub fn counts(&self) -> FlowCounts {
        let overflowed = self.counts.overflowed + self.names.overflowed() + self.request_keys.overflowed();
        let overflowed = overflowed + self.repeats.overflowed();
        FlowCounts { overflowed, ..self.counts }
    }
}
