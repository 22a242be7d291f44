//! The statistics of a value among those before it. Their scale does not matter: each is judged by its own past.

use std::collections::VecDeque;

use super::Moment;
use super::novelty::Novelty;
use super::season::Season;
use super::sorted::SortedWindow;

/// How many statistics there are.
pub(super) const STATISTICS: usize = 9;
/// Values that have to be known for a median.
const KNOWN_MIN: usize = 20;
/// The last values: the short stretch against the one before it. A short shift and a long one.
const RECENT_VALUES: usize = 144;
const SHORT_SHIFT: (usize, usize) = (5, 72);
const LONG_SHIFT: (usize, usize) = (24, RECENT_VALUES);
/// A spread is not told apart from none below this share of the interquartile range.
const SPREAD_FLOOR: f64 = 0.05;
/// Lengths of the shapes that are compared.
const SHAPES: [usize; 2] = [8, 24];

#[derive(Debug, Clone)]
pub(super) struct Statistics {
    known: SortedWindow,
    recent: VecDeque<f64>,
    novelties: [Novelty; 2],
    season: Season,
}

impl Statistics {
    pub(super) fn new(history_values_max: usize) -> Self {
        let (known, recent) = (SortedWindow::new(history_values_max), VecDeque::new());
        Self { known, recent, novelties: SHAPES.map(Novelty::new), season: Season::new() }
    }

    /// The statistics of this value, those that can be told; then learns it.
    pub(super) fn step(&mut self, moment: &Moment) -> [Option<f64>; STATISTICS] {
        let value = moment.value;
        let above = (self.known.len() > KNOWN_MIN).then(|| value - self.known.quantile(0.5));
        let step = self.recent.back().filter(|_| !moment.after_gap).map(|last| (value - last).abs());
        self.recent.push_back(value);
        if self.recent.len() > RECENT_VALUES {
            self.recent.pop_front();
        }
        let [short_shift, long_shift, spread] = self.changes();
        let [short_shape, long_shape] = self.novelties.each_mut().map(|novelty| novelty.step(value));
        let season = self.season.step(moment);
        self.known.push(value);
        let below = above.map(|above| -above);
        [above, below, step, short_shift, long_shift, spread, short_shape, long_shape, season]
    }

    /// Shifts of the median over a short and a long stretch, and the change of the spread.
    fn changes(&self) -> [Option<f64>; 3] {
        if self.recent.len() < RECENT_VALUES {
            return [None; 3];
        }
        let last: Vec<f64> = self.recent.iter().copied().collect();
        let [(new, old), (newer, older)] = [SHORT_SHIFT, LONG_SHIFT].map(|(new, all)| {
            let (old, new) = last[last.len() - all..].split_at(all - new);
            (new, old)
        });
        let floor = SPREAD_FLOOR * (self.known.quantile(0.75) - self.known.quantile(0.25)).max(f64::MIN_POSITIVE);
        let ratio = (spread(newer) + floor) / (spread(older) + floor);
        [
            Some((median(new) - median(old)).abs()),
            Some((median(newer) - median(older)).abs()),
            Some(libm::log(ratio).abs()).filter(|change| change.is_finite()),
        ]
    }
}

/// The upper median of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Mean absolute distance to the median.
fn spread(values: &[f64]) -> f64 {
    let median = median(values);
    values.iter().map(|value| (value - median).abs()).sum::<f64>() / values.len() as f64
}
