//! Novelty of the recent shape: how far the last values are from every stretch that is remembered.

use std::collections::VecDeque;

/// Stretches that are remembered; with a quarter of a stretch between two of them.
const STRETCHES_MAX: usize = 400;
/// Stretches that have to be known before anything can be called new.
const STRETCHES_MIN: usize = 8;
/// The newest stretches overlap the one that is judged: they are remembered only when it has passed.
const WAITING_STRETCHES: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Novelty {
    length: usize,
    recent: VecDeque<f64>,
    waiting: VecDeque<Vec<f64>>,
    known: VecDeque<Vec<f64>>,
    since_remembered: usize,
}

impl Novelty {
    /// Looks at stretches of `length` values (at least one).
    pub(super) fn new(length: usize) -> Self {
        let (recent, waiting, known) = Default::default();
        Self { length: length.max(1), recent, waiting, known, since_remembered: 0 }
    }

    /// Mean absolute distance of the last values to the nearest stretch; none before enough is known.
    pub(super) fn step(&mut self, value: f64) -> Option<f64> {
        self.recent.push_back(value);
        if self.recent.len() < self.length {
            return None;
        }
        if self.recent.len() > self.length {
            self.recent.pop_front();
        }
        let nearest = self.known.iter().map(|known| self.distance_to(known)).reduce(f64::min);
        let nearest = nearest.filter(|_| self.known.len() >= STRETCHES_MIN);
        self.remember();
        nearest.map(|distance| distance / self.length as f64)
    }

    fn distance_to(&self, known: &[f64]) -> f64 {
        self.recent.iter().zip(known).map(|(left, right)| (left - right).abs()).sum()
    }

    fn remember(&mut self) {
        self.since_remembered += 1;
        if self.since_remembered < (self.length / 4).max(1) {
            return;
        }
        self.since_remembered = 0;
        self.waiting.push_back(self.recent.iter().copied().collect());
        if self.waiting.len() > WAITING_STRETCHES {
            self.known.extend(self.waiting.pop_front());
        }
        if self.known.len() > STRETCHES_MAX {
            self.known.pop_front();
        }
    }
}
