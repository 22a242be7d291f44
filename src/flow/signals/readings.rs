//! What one source said in one window.

use crate::flow::SignalCell;

/// Readings by metric.
#[derive(Debug)]
pub(super) struct Readings<'a>(pub(super) &'a [(&'a str, SignalCell)]);

impl Readings<'_> {
    /// The reading of one metric.
    pub(super) fn get(&self, metric: &str) -> Option<SignalCell> {
        self.0.iter().find(|(name, _)| *name == metric).map(|(_, cell)| *cell)
    }
}
