//! The last minute of requests by combination: what detectors and attribution look at.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::exemplars::{Exemplar, of_subscription};
use super::window::{Cell, CellKey, ClosedWindow};
use super::{Name, QueryExemplar};
use crate::model::{DurationMs, Timestamp};

/// Length of the sliding span. A minute is what rate limits are written in, and twelve default windows.
pub const RECENT_MS: DurationMs = 60_000;

/// What is kept of one window.
#[derive(Debug)]
struct RecentWindow {
    start: Timestamp,
    cells: Vec<(CellKey, Cell)>,
    /// By subscription.
    exemplars: Vec<Exemplar>,
    query_exemplars: Vec<QueryExemplar>,
}

/// Sums over the last [`RECENT_MS`] of closed windows.
#[derive(Debug, Default)]
pub struct Recent {
    windows: VecDeque<RecentWindow>,
    cells: FxHashMap<CellKey, Cell>,
    edge_total: Cell,
}

impl Recent {
    /// Adds a closed window and lets go of those older than [`RECENT_MS`].
    pub fn push(&mut self, window: &ClosedWindow) {
        while self.windows.front().is_some_and(|oldest| window.end.since(oldest.start) > RECENT_MS) {
            if let Some(oldest) = self.windows.pop_front() {
                self.forget(&oldest.cells);
            }
        }
        for (key, cell) in &window.cells {
            self.cells.entry(*key).or_default().add(cell);
        }
        self.edge_total.add(&window.edge_total);
        let (cells, exemplars) = (window.cells.clone(), window.exemplars.clone());
        let query_exemplars = window.queries.exemplars.clone();
        self.windows.push_back(RecentWindow { start: window.start, cells, exemplars, query_exemplars });
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

    /// Single requests that stand for others, of one subscription or of all, in no particular order.
    pub fn exemplars(&self, subscription: Option<Name>) -> impl Iterator<Item = &Exemplar> {
        self.windows.iter().flat_map(move |window| match subscription {
            Some(name) => of_subscription(&window.exemplars, name),
            None => window.exemplars.as_slice(),
        })
    }

    /// Single runs of queries that stand for others, in no particular order.
    pub fn query_exemplars(&self) -> impl Iterator<Item = &QueryExemplar> {
        self.windows.iter().flat_map(|window| &window.query_exemplars)
    }

    /// All requests at the edge.
    #[must_use]
    pub fn edge_total(&self) -> &Cell {
        &self.edge_total
    }

    /// Seconds the sums cover, at least one window.
    #[must_use]
    pub fn seconds(&self, end: Timestamp) -> f64 {
        let start = self.windows.front().map_or(end, |oldest| oldest.start);
        #[allow(clippy::cast_precision_loss)]
        let seconds = end.since(start).max(1_000) as f64 / 1_000.0;
        seconds
    }
}
