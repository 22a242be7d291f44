//! The scoring rules of the Numenta Anomaly Benchmark, written from their public description.
//!
//! Source: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark"
//! (ICMLA 2015, section III), and the scorer's documented behaviour: the first rows are on probation, the earliest
//! detection in a window counts, false positives weigh more the farther they are behind the last window.

/// What a detection, a false alarm and a missed window weigh.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// How the benchmark calls it.
    pub name: &'static str,
    /// Weight of the earliest detection in a window.
    pub true_positive: f64,
    /// Weight of each detection outside all windows.
    pub false_positive: f64,
    /// Weight of a window without detection.
    pub false_negative: f64,
}

/// The benchmark's three profiles.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", true_positive: 1.0, false_positive: 0.11, false_negative: 1.0 },
    Profile { name: "reward_low_FP", true_positive: 1.0, false_positive: 0.22, false_negative: 1.0 },
    Profile { name: "reward_low_FN", true_positive: 1.0, false_positive: 0.11, false_negative: 2.0 },
];

/// A series as a detector left it.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// The detector's score of every row.
    pub scores: Vec<f64>,
    /// Labelled windows: first and last row, in order, not overlapping.
    pub windows: Vec<(usize, usize)>,
}

/// The best that one threshold over all series can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optimum {
    /// A row is a detection when its score is at least this.
    pub threshold: f64,
    /// 0 is a detector that never detects, 100 one that detects every window on its first row and nothing else.
    pub normalized: f64,
}

/// A row that counts.
struct Row {
    score: f64,
    /// Between −1 and 1: what a detection here is worth before weights.
    worth: f64,
    /// The window it is in, counted over all series.
    window: Option<usize>,
}

/// `2σ(−5y) − 1`: 0.99 at a window's first row (y = −1), 0 at its end, −1 far behind it.
fn worth_at(position: f64) -> f64 {
    if position >= 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Rows that are not scored: 15 %, at most 750.
pub fn probation_rows(rows: usize) -> usize {
    (rows * 15 / 100).min(750)
}

/// Exact rows of one series, numbering its windows from `windows_before` on.
fn rows_of(series: &Scored, windows_before: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, score) in series.scores.iter().enumerate().skip(probation_rows(series.scores.len())) {
        let window = series.windows.iter().position(|(first, last)| (*first..=*last).contains(&index));
        let worth = match window {
            Some(window) => {
                let (first, last) = series.windows[window];
                let width = (last - first + 1) as f64;
                worth_at(-((last - index + 1) as f64) / width) / worth_at(-1.0)
            }
            None => match series.windows.iter().rev().find(|(_, last)| *last < index) {
                // A window of one row has no width to measure a distance in.
                Some((first, last)) => worth_at((index - last) as f64 / (last - first).max(1) as f64),
                None => -1.0,
            },
        };
        rows.push(Row { score: *score, worth, window: window.map(|window| windows_before + window) });
    }
    rows
}

/// Rows of all series, best score first, and how many windows have a row that counts.
fn pooled(corpus: &[Scored]) -> (Vec<Row>, Vec<bool>) {
    let mut rows = Vec::new();
    let mut windows = Vec::new();
    for series in corpus {
        let before = windows.len();
        windows.resize(before + series.windows.len(), false);
        rows.extend(rows_of(series, before));
    }
    for window in rows.iter().filter_map(|row: &Row| row.window) {
        windows[window] = true;
    }
    rows.sort_by(|left, right| right.score.total_cmp(&left.score));
    (rows, windows)
}

/// The score of every threshold that tells rows apart, highest first; the first detects nothing.
fn sweep(corpus: &[Scored], profile: &Profile) -> Vec<Optimum> {
    let (rows, windows) = pooled(corpus);
    let counted = windows.iter().filter(|counts| **counts).count() as f64;
    let null = -profile.false_negative * counts_or_one(counted);
    let perfect = profile.true_positive * counts_or_one(counted);
    let mut gains: Vec<Option<f64>> = vec![None; windows.len()];
    let mut raw = -profile.false_negative * counted;
    let normalized = |raw: f64| 100.0 * (raw - null) / (perfect - null);
    let mut found = vec![Optimum { threshold: f64::INFINITY, normalized: normalized(raw) }];
    for (index, row) in rows.iter().enumerate() {
        match row.window {
            None => raw += profile.false_positive * row.worth,
            Some(window) => {
                let before = gains[window].unwrap_or(-profile.false_negative);
                let after = before.max(profile.true_positive * row.worth);
                gains[window] = Some(after);
                raw += after - before;
            }
        }
        if rows.get(index + 1).is_none_or(|next| next.score < row.score) {
            found.push(Optimum { threshold: row.score, normalized: normalized(raw) });
        }
    }
    found
}

/// Without any window there is nothing to divide by.
fn counts_or_one(counted: f64) -> f64 {
    if counted > 0.0 { counted } else { 1.0 }
}

/// The threshold that serves the whole corpus best under a profile.
pub fn optimum(corpus: &[Scored], profile: &Profile) -> Optimum {
    let best = sweep(corpus, profile).into_iter().reduce(
        |best, next| {
            if next.normalized > best.normalized { next } else { best }
        },
    );
    best.unwrap_or(Optimum { threshold: f64::INFINITY, normalized: 0.0 })
}

/// The score at a threshold that was fixed before.
pub fn at_threshold(corpus: &[Scored], profile: &Profile, threshold: f64) -> f64 {
    let sweep = sweep(corpus, profile);
    sweep.iter().rev().find(|step| step.threshold >= threshold).map_or(0.0, |step| step.normalized)
}
