//! Single requests kept as examples: a bounded sample of each window that does not depend on the order of arrival.
//!
//! Of every combination the request with the least rank, and of all combinations those with the least: failed and repeated
//! requests before others, then by a hash (bottom-k sampling, Cohen and Kaplan, PODC 2007). A combination with many requests
//! is more likely to be among them.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::{CellKey, Name};
use crate::model::{Request, Text, Timestamp};

/// Examples kept of one window; of further combinations none is.
pub const EXEMPLARS_MAX: usize = 512;

/// A request that stands for its combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Where it was counted.
    pub cell: CellKey,
    /// Its id in the platform's own logs.
    pub request_id: Text,
    /// When.
    pub timestamp: Timestamp,
    /// How it was answered.
    pub status: u16,
    /// How long that took, in milliseconds.
    pub duration_ms: f64,
    /// What is kept first.
    pub rank: ExemplarRank,
}

/// The order in which requests are kept: harmful ones first, then by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExemplarRank {
    /// Neither failed nor repeated.
    is_harmless: bool,
    hash: u64,
}

impl ExemplarRank {
    fn of(request: &Request, request_id: &str) -> Self {
        let is_harmless = !request.failed() && request.attempt.is_none_or(|attempt| attempt <= 1);
        let mut hasher = FxHasher::default();
        request_id.hash(&mut hasher);
        // Services that pass a request on keep its id.
        (&request.service, &request.caller, &request.route).hash(&mut hasher);
        (request.timestamp, request.status, request.duration_ms.to_bits()).hash(&mut hasher);
        Self { is_harmless, hash: hasher.finish() }
    }
}

/// The examples of a window that is open.
#[derive(Debug, Default)]
pub struct Exemplars {
    kept: FxHashMap<CellKey, Exemplar>,
    /// Nothing of this rank or above is among the least any more.
    bound: Option<ExemplarRank>,
}

impl Exemplars {
    /// Looks at a request. One without an id is no example.
    pub fn add(&mut self, request: &Request, cell: CellKey) {
        let Some(request_id) = request.request_id.as_ref() else { return };
        let rank = ExemplarRank::of(request, request_id);
        if self.bound.is_some_and(|bound| rank >= bound) {
            return;
        }
        let exemplar = || Exemplar {
            cell,
            request_id: request_id.clone(),
            timestamp: request.timestamp,
            status: request.status,
            duration_ms: request.duration_ms,
            rank,
        };
        match self.kept.entry(cell) {
            Entry::Occupied(mut kept) if rank < kept.get().rank => drop(kept.insert(exemplar())),
            Entry::Occupied(_) => {}
            Entry::Vacant(vacant) => drop(vacant.insert(exemplar())),
        }
        // Seldom, so that a request costs no search.
        if self.kept.len() >= 2 * EXEMPLARS_MAX {
            self.kept = self.least().into_iter().map(|exemplar| (exemplar.cell, exemplar)).collect();
        }
    }

    /// Those with the least ranks; the bound is the greatest of them.
    fn least(&mut self) -> Vec<Exemplar> {
        let mut all: Vec<Exemplar> = std::mem::take(&mut self.kept).into_values().collect();
        if all.len() > EXEMPLARS_MAX {
            let (_, last, _) = all.select_nth_unstable_by_key(EXEMPLARS_MAX - 1, |exemplar| exemplar.rank);
            self.bound = Some(last.rank);
            all.truncate(EXEMPLARS_MAX);
        }
        all
    }

    /// Ends the window: at most [`EXEMPLARS_MAX`], by subscription.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Exemplar> {
        let mut least = self.least();
        least.sort_unstable_by(by_subscription);
        least
    }
}

fn by_subscription(a: &Exemplar, b: &Exemplar) -> Ordering {
    (a.cell.subscription, a.rank).cmp(&(b.cell.subscription, b.rank))
}

/// Those of one subscription among what [`Exemplars::into_sorted`] gave.
#[must_use]
pub fn of_subscription(sorted: &[Exemplar], subscription: Name) -> &[Exemplar] {
    let start = sorted.partition_point(|exemplar| exemplar.cell.subscription < subscription);
    let end = sorted.partition_point(|exemplar| exemplar.cell.subscription <= subscription);
    &sorted[start..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::Names;

    fn request(number: u32, status: u16) -> Request {
        Request {
            timestamp: Timestamp::from_millis(i64::from(number)),
            subscription: format!("sub-{}", number % 1_500).into(),
            status,
            request_id: Some(format!("r-{number}").into()),
            ..Request::default()
        }
    }

    fn sampled(requests: &[Request]) -> Vec<(Text, u16)> {
        let (mut names, mut exemplars) = (Names::new(10_000), Exemplars::default());
        for request in requests {
            let subscription = names.intern(&request.subscription);
            exemplars.add(request, CellKey { subscription, ..CellKey::OTHER });
        }
        let mut kept: Vec<_> =
            exemplars.into_sorted().into_iter().map(|exemplar| (exemplar.request_id, exemplar.status)).collect();
        kept.sort();
        kept
    }

    #[test]
    fn harmful_requests_are_kept_first_and_the_bound_holds() {
        let mut requests: Vec<Request> = (0..3_000).map(|number| request(number, 200)).collect();
        requests.extend((3_000..3_100).map(|number| request(number, 503)));
        let kept = sampled(&requests);
        assert_eq!(kept.len(), EXEMPLARS_MAX);
        assert_eq!(kept.iter().filter(|(_, status)| *status == 503).count(), 100);
        requests.iter_mut().for_each(|request| request.request_id = None);
        assert_eq!(sampled(&requests), []);
    }

    #[test]
    fn a_subscription_is_found_among_many() {
        let (mut names, mut exemplars) = (Names::new(10_000), Exemplars::default());
        for number in 0..300 {
            let request = request(number, 503);
            let subscription = names.intern(&request.subscription);
            exemplars.add(&request, CellKey { subscription, ..CellKey::OTHER });
        }
        let sorted = exemplars.into_sorted();
        let found = of_subscription(&sorted, names.known("sub-77").unwrap());
        assert_eq!(found.iter().map(|exemplar| exemplar.request_id.as_str()).collect::<Vec<_>>(), ["r-77"]);
        assert!(of_subscription(&sorted, Name::OTHER).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_order_of_arrival_does_not_show(order in Just((0..4_000).collect::<Vec<u32>>()).prop_shuffle()) {
            let one = |number: &u32| request(*number, if number.is_multiple_of(7) { 503 } else { 200 });
            let shuffled: Vec<Request> = order.iter().map(one).collect();
            let in_order: Vec<Request> = (0..4_000).map(|number| one(&number)).collect();
            prop_assert_eq!(sampled(&shuffled), sampled(&in_order));
        }
    }
}
