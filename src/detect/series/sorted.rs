//! The last values of a series, kept sorted: exact quantiles in bounded memory.

use std::collections::VecDeque;

/// A sliding window that knows its quantiles. Memory: 16 bytes a value.
#[derive(Debug, Clone)]
pub(super) struct SortedWindow {
    arrived: VecDeque<f64>,
    sorted: Vec<f64>,
    length_max: usize,
}

impl SortedWindow {
    /// Keeps the last `length_max` values.
    pub(super) fn new(length_max: usize) -> Self {
        Self { arrived: VecDeque::new(), sorted: Vec::new(), length_max: length_max.max(1) }
    }

    /// Takes in a finite value; the oldest leaves when the window is full.
    pub(super) fn push(&mut self, value: f64) {
        // What leaves was inserted before, so its place is one of the vector's.
        if self.arrived.len() == self.length_max
            && let Some(oldest) = self.arrived.pop_front()
        {
            let place = self.sorted.partition_point(|other| *other < oldest);
            self.sorted.remove(place);
        }
        let place = self.sorted.partition_point(|other| *other < value);
        self.sorted.insert(place, value);
        self.arrived.push_back(value);
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Values in ascending order.
    pub(super) fn ascending(&self) -> &[f64] {
        &self.sorted
    }

    /// The value below which `share` of all lie; zero without values.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let Some(last) = self.sorted.len().checked_sub(1) else { return 0.0 };
        self.sorted[((last as f64 * share).round() as usize).min(last)]
    }

    /// How many values are at least `value`.
    pub(super) fn count_from(&self, value: f64) -> usize {
        self.sorted.len() - self.sorted.partition_point(|other| *other < value)
    }
}
