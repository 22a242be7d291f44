//! Readings of counters as increases; a counter that went down started anew.

use crate::flow::SignalCell;
use crate::model::{DurationMs, Timestamp};

/// The newest reading of a counter.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counter {
    last: Option<(Timestamp, f64)>,
}

/// What lies between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Increase {
    /// How far it went up; after a reset, how far it has come since (as in Prometheus).
    pub by: f64,
    /// Time between the readings, in milliseconds.
    pub over_ms: DurationMs,
    /// It went down in between.
    pub reset: bool,
}

impl Counter {
    /// Takes a reading in; nothing for the first one.
    pub(super) fn read(&mut self, reading: SignalCell) -> Option<Increase> {
        let (at, before) = self.last.replace((reading.at, reading.last))?;
        let reset = reading.last < before;
        let by = if reset { reading.last } else { reading.last - before };
        Some(Increase { by: by.max(0.0), over_ms: reading.at.since(at), reset })
    }

    /// The newest value.
    pub(super) fn value(&self) -> Option<f64> {
        self.last.map(|(_, value)| value)
    }
}

/// A flow over a span of time: what a counter went up by, and during how long that was watched.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flow {
    /// What went through.
    pub count: f64,
    /// Time watched, in milliseconds; 0: nothing is known.
    pub watched_ms: DurationMs,
}

impl Flow {
    /// A second's worth, or nothing where nothing was watched.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
        let seconds = self.watched_ms as f64 / 1_000.0;
        (self.watched_ms > 0).then(|| self.count / seconds)
    }

    /// Adds another flow of the same counter.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.watched_ms += other.watched_ms;
    }

    /// Adds an increase. What happened around a reset is not known, and left out: two replicas that report under one name
    /// would look like a flood.
    pub(super) fn take(&mut self, increase: Option<Increase>) {
        if let Some(increase) = increase.filter(|increase| !increase.reset && increase.over_ms > 0) {
            self.add(Self { count: increase.by, watched_ms: increase.over_ms });
        }
    }
}
