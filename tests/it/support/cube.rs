//! Synthetic tables with planted root causes, in the manner of RiskLoc (arXiv 2205.10004, §IV-A): Weibull cells, forecast
//! noise, and causes whose cells all lose the same share of what they were, or gain it.

use floodmark::incident::lattice::{Measure, Table, TableBuilder};

use super::set_score::Causes;

/// What is drawn for each table, from and to.
pub struct Recipe {
    /// Values of each dimension.
    pub sizes: Vec<usize>,
    /// Relative error of the forecasts.
    pub noise: (f64, f64),
    /// Share that a cause takes away, on top of the noise.
    pub severity: (f64, f64),
    /// How differently it hits its cells (standard deviation).
    pub deviation: (f64, f64),
    /// Kinds of causes; those of a kind name the same dimensions.
    pub kinds: (usize, usize),
    /// Causes of a kind.
    pub elements: (usize, usize),
    /// Dimensions that a cause names.
    pub depth: (usize, usize),
}

/// SplitMix64: the same seed, the same tables.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn within(&mut self, (from, to): (f64, f64)) -> f64 {
        from + (to - from) * self.unit()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn count(&mut self, (from, to): (usize, usize)) -> usize {
        from + self.below(to - from + 1)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Dimension and value.
type Element = Vec<(usize, usize)>;

/// A table and its root causes.
pub fn table(recipe: &Recipe, random: &mut Random) -> (Table, Causes) {
    let cells: usize = recipe.sizes.iter().product();
    let noise = random.within(recipe.noise);
    let (mut actual, mut expected) = normal_cells(cells, noise, random);
    // Causes go the way the noise goes, so that it does not outweigh them.
    let lost = actual.iter().sum::<f64>() <= expected.iter().sum::<f64>();
    let mut causes: Vec<Element> = Vec::new();
    let mut used: Vec<Vec<usize>> = Vec::new();
    for _ in 0..random.count(recipe.kinds) {
        let severity = random.within(recipe.severity) + noise;
        let deviation = random.within(recipe.deviation);
        let kind = kind(recipe, &mut used, &causes, random);
        for cell in 0..cells {
            if kind.iter().any(|element| holds(element, &values(cell, &recipe.sizes))) {
                let (whole, hit) = if lost { (&mut expected, &mut actual) } else { (&mut actual, &mut expected) };
                hit[cell] = (whole[cell] * (1.0 - severity - deviation * random.normal())).max(0.0);
            }
        }
        causes.extend(kind);
    }
    let named = |element: &Element| element.iter().map(|(d, v)| (format!("d{d}"), format!("v{v}"))).collect();
    let truth = causes.iter().map(named).collect();
    let names = (0..recipe.sizes.len()).map(|dimension| format!("d{dimension}")).collect();
    let mut builder = TableBuilder::with_expected(names, Measure::Sum).unwrap();
    for cell in 0..cells {
        let texts: Vec<String> = values(cell, &recipe.sizes).iter().map(|value| format!("v{value}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        builder.add_expected(&texts, actual[cell], 0.0, expected[cell]).unwrap();
    }
    (builder.finish(), truth)
}

fn normal_cells(cells: usize, noise: f64, random: &mut Random) -> (Vec<f64>, Vec<f64>) {
    let (zero_rate, alpha) = (random.within((0.0, 0.25)), random.within((0.5, 1.0)));
    let mut pairs = Vec::with_capacity(cells);
    for _ in 0..cells {
        let weibull = 100.0 * (-(1.0 - random.unit()).ln()).powf(1.0 / alpha);
        let real = if random.unit() < zero_rate { 0.0 } else { weibull };
        let forecast = (real + real * noise * random.normal()).max(0.0);
        pairs.push(if random.unit() < 0.5 { (real, forecast) } else { (forecast, real) });
    }
    pairs.into_iter().unzip()
}

/// Elements of dimensions that no other kind names together, and that share no value with another cause.
fn kind(recipe: &Recipe, used: &mut Vec<Vec<usize>>, others: &[Element], random: &mut Random) -> Vec<Element> {
    let dimensions = loop {
        let mut all: Vec<usize> = (0..recipe.sizes.len()).collect();
        for place in (1..all.len()).rev() {
            all.swap(place, random.below(place + 1));
        }
        all.truncate(random.count(recipe.depth));
        all.sort_unstable();
        if !used.contains(&all) {
            break all;
        }
    };
    let mut elements: Vec<Element> = Vec::new();
    let wanted = random.count(recipe.elements);
    for _ in 0..100 {
        let element: Element = dimensions.iter().map(|d| (*d, random.below(recipe.sizes[*d]))).collect();
        let overlaps = others.iter().any(|other| other.iter().any(|condition| element.contains(condition)));
        if elements.len() < wanted && !overlaps && !elements.contains(&element) {
            elements.push(element);
        }
    }
    used.push(dimensions);
    elements
}

fn values(mut cell: usize, sizes: &[usize]) -> Vec<usize> {
    let mut values: Vec<usize> = sizes
        .iter()
        .rev()
        .map(|size| {
            let value = cell % size;
            cell /= size;
            value
        })
        .collect();
    values.reverse();
    values
}

fn holds(element: &Element, values: &[usize]) -> bool {
    element.iter().all(|(dimension, value)| values[*dimension] == *value)
}
