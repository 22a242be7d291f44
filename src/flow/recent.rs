//! The last minute of requests by combination: what detectors and attribution look at.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::window::{Cell, CellKey, ClosedWindow};
use crate::model::{DurationMs, Timestamp};

/// Length of the sliding span. A minute is what rate limits are written in, and twelve default windows.
pub const RECENT_MS: DurationMs = 60_000;

/// Sums over the last [`RECENT_MS`] of closed windows.
#[derive(Debug, Default)]
pub struct Recent {
    windows: VecDeque<(Timestamp, Vec<(CellKey, Cell)>)>,
    cells: FxHashMap<CellKey, Cell>,
    edge_total: Cell,
}

impl Recent {
    /// Adds a closed window and lets go of those older than [`RECENT_MS`].
    pub fn push(&mut self, window: &ClosedWindow) {
        while self.windows.front().is_some_and(|(start, _)| window.end.since(*start) > RECENT_MS) {
            if let Some((_, cells)) = self.windows.pop_front() {
                self.forget(&cells);
            }
        }
        for (key, cell) in &window.cells {
            self.cells.entry(*key).or_default().add(cell);
        }
        self.edge_total.add(&window.edge_total);
        self.windows.push_back((window.start, window.cells.clone()));
    }

    fn forget(&mut self, cells: &[(CellKey, Cell)]) {
        for (key, cell) in cells {
            if let Some(sum) = self.cells.get_mut(key) {
                sum.subtract(cell);
                if *sum == Cell::default() {
                    self.cells.remove(key);
                }
            }
            if key.caller.is_absent() {
                self.edge_total.subtract(cell);
            }
        }
    }

    /// Sums by combination, in no particular order.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Cell)> {
        self.cells.iter()
    }

    /// All requests at the edge.
    #[must_use]
    pub fn edge_total(&self) -> &Cell {
        &self.edge_total
    }

    /// Seconds the sums cover, at least one window.
    #[must_use]
    pub fn seconds(&self, end: Timestamp) -> f64 {
        let start = self.windows.front().map_or(end, |(start, _)| *start);
        #[allow(clippy::cast_precision_loss)]
        let seconds = end.since(start).max(1_000) as f64 / 1_000.0;
        seconds
    }
}
