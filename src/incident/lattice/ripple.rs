//! Whether what deviates is a description, or a wider one of which it is only the worst part.
//!
//! A cause reaches everything that its description covers (generalised ripple effect, Squeeze, ISSRE'19): if what a
//! wider description has besides deviates too, the wider one is the cause; if not, the narrower one is.

use super::baseline::{Baseline, Deviation, Sums};
use super::search::{Candidate, Description, holds};
use super::table::Table;

/// What is left of the wider description has to deviate by this much of the narrower one's lift, certainly.
pub const RIPPLE_MIN: f64 = 0.1;
/// The same for "everything": a cause without dimensions is one that nobody can act on.
pub const RIPPLE_MIN_EVERYTHING: f64 = 0.5;
/// How certainly, in standard deviations.
pub const RIPPLE_Z: f64 = 2.0;

/// Share of that rest that has to deviate: else it is another cause of its own that makes the rest deviate.
pub const SPREAD_MIN: f64 = 0.25;

/// Up to so many times its usual deviation, what is left is calm.
pub const CALM_Z: f64 = 3.0;

/// The cells that are still to be explained.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub table: &'a Table,
    pub baseline: &'a Baseline,
    pub active: &'a [bool],
    /// Dimensions in one description, at most.
    pub depth: usize,
}

impl Scene<'_> {
    /// What the described cells do.
    pub fn measure(&self, description: &[(usize, u32)]) -> Deviation {
        self.measure_where(|codes| holds(description, codes))
    }

    /// Whether what is still to be explained deviates no more than it does at other moments. Not known without a history.
    pub fn calm(&self, direction: f64) -> bool {
        let mut sums = Sums::default();
        (0..self.table.cells()).filter(|cell| self.active[*cell]).for_each(|cell| sums.add(self.table, cell));
        match self.baseline.usual_deviation(&sums.slots) {
            Some(usual) => {
                let now = self.baseline.judge(&sums.slots, sums.expected, &mut Vec::new());
                now.lift() * direction <= CALM_Z * usual
            }
            None => false,
        }
    }

    fn measure_where(&self, wanted: impl Fn(&[u32]) -> bool) -> Deviation {
        let mut sums = Sums::default();
        for cell in (0..self.table.cells()).filter(|cell| self.active[*cell]) {
            if wanted(self.table.codes_of(cell)) {
                sums.add(self.table, cell);
            }
        }
        self.baseline.judge(&sums.slots, sums.expected, &mut Vec::new())
    }

    /// The widest description of which `found` is a part and that deviates as a whole.
    pub fn widen(&self, found: Candidate) -> Candidate {
        let mut best = found;
        loop {
            let wider = self.wider(&best.description).into_iter().filter(|wider| self.ripples(&best, wider));
            let candidates = wider.map(|wider| {
                let deviation = self.measure(&wider);
                Candidate::new(wider, deviation)
            });
            match candidates.min_by(Candidate::rank) {
                Some(wider) => best = wider,
                None => return best,
            }
        }
    }

    /// Whether the deviation goes on in what `wider` has besides.
    fn ripples(&self, narrow: &Candidate, wider: &[(usize, u32)]) -> bool {
        let rest = self.measure_where(|codes| holds(wider, codes) && !holds(&narrow.description, codes));
        let lift = narrow.deviation.lift();
        if rest.weight <= 0.0 || lift == 0.0 {
            return false;
        }
        let error = self.lift_error(&rest);
        let least = if wider.is_empty() { RIPPLE_MIN_EVERYTHING } else { RIPPLE_MIN };
        rest.lift() / lift - RIPPLE_Z * error / lift.abs() >= least
            && self.spread(&narrow.description, wider, lift * RIPPLE_MIN) >= SPREAD_MIN
    }

    /// Share of the weight that `wider` has besides in parts that deviate by at least `least`. Its parts are told apart by
    /// a dimension that `narrow` names and `wider` does not; of several the least share counts.
    fn spread(&self, narrow: &[(usize, u32)], wider: &[(usize, u32)], least: f64) -> f64 {
        let dropped = narrow.iter().filter(|condition| !wider.contains(condition));
        let shares = dropped.map(|(dimension, _)| {
            let mut parts = vec![Sums::default(); self.table.values[*dimension].len()];
            for cell in (0..self.table.cells()).filter(|cell| self.active[*cell]) {
                let codes = self.table.codes_of(cell);
                if holds(wider, codes) && !holds(narrow, codes) {
                    parts[codes[*dimension] as usize].add(self.table, cell);
                }
            }
            self.share_deviating(&parts, least)
        });
        shares.fold(1.0, f64::min)
    }

    fn share_deviating(&self, parts: &[Sums], least: f64) -> f64 {
        let (mut deviating, mut all) = (0.0, 0.0);
        for part in parts {
            let deviation = self.baseline.judge(&part.slots, part.expected, &mut Vec::new());
            all += deviation.weight;
            deviating += if deviation.lift() * least.signum() >= least.abs() { deviation.weight } else { 0.0 };
        }
        if all > 0.0 { deviating / all } else { 0.0 }
    }

    /// Standard error of the group's lift: counts vary by their dispersion.
    fn lift_error(&self, group: &Deviation) -> f64 {
        (self.baseline.dispersion * group.actual.abs().max(group.expected.abs())).sqrt() / group.weight
    }

    /// Descriptions with fewer dimensions of what the description's cells have in common, everything included.
    fn wider(&self, description: &[(usize, u32)]) -> Vec<Description> {
        let common = self.common(description);
        let mut all: Vec<Description> = vec![Vec::new()];
        let mut level: Vec<(Description, usize)> = vec![(Vec::new(), 0)];
        for _ in 0..self.depth {
            let mut next = Vec::new();
            for (shorter, start) in &level {
                for (place, condition) in common.iter().enumerate().skip(*start) {
                    let mut longer = shorter.clone();
                    longer.push(*condition);
                    next.push((longer, place + 1));
                }
            }
            all.extend(next.iter().map(|(longer, _)| longer.clone()));
            level = next;
        }
        all
    }

    /// Every dimension in which the described cells that count something now agree.
    fn common(&self, description: &[(usize, u32)]) -> Description {
        let mut common: Option<Vec<Option<u32>>> = None;
        for cell in (0..self.table.cells()).filter(|cell| self.active[*cell]) {
            let codes = self.table.codes_of(cell);
            let now = self.table.slots_of(cell)[self.table.before];
            let counts = now.actual != 0.0 || now.weight != 0.0 || self.table.expected_of(cell) != 0.0;
            if !counts || !holds(description, codes) {
                continue;
            }
            let so_far = common.get_or_insert_with(|| codes.iter().map(|code| Some(*code)).collect());
            for (agreed, code) in so_far.iter_mut().zip(codes) {
                if *agreed != Some(*code) {
                    *agreed = None;
                }
            }
        }
        let agreed = common.unwrap_or_default().into_iter().enumerate();
        let present = agreed.filter_map(|(dimension, code)| code.map(|code| (dimension, code)));
        present.filter(|(dimension, code)| self.table.absent[*dimension] != Some(*code)).collect()
    }
}
