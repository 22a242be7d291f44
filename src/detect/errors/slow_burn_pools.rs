//! Requests pooled by route and by client version: where single customers are too small to be judged, together they are
//! not. And subscriptions that are large enough alone.

use rustc_hash::{FxHashMap, FxHashSet};

use super::outcome_sums::{OutcomeSums, Sums};
use super::slow_burn::{Burn, above_budget};
use crate::detect::statistics::{wilson_lower, wilson_upper};
use crate::detect::words::{percent, rounded};
use crate::flow::{CellKey, Name, Names, ratio};
use crate::model::{Cause, Confidence, Dimension, Dimensions, DurationMs, Timestamp};

/// Routes and versions followed; requests of further ones are counted in `overflowed`. A full month takes 17 KiB.
const POOLS_MAX: usize = 3_000;
/// Subscriptions followed, the first that fail: those large enough to be judged alone are few.
const SUBSCRIPTIONS_ALONE_MAX: usize = 2_000;
/// Customers remembered of one pool, to say how many there are.
const POOL_CUSTOMERS_MAX: usize = 1_000;
/// Requests that it takes to tell twice the budget from the budget (0.2 % from 0.1 %, one-sided p < 0.0015).
pub const REQUESTS_ALONE_MIN: u64 = 12_000;

/// A pool is why its service burns when it has this share of the failures ...
const EXPLANATORY_POWER_MIN: f64 = 0.67;
/// ... and fails this many times as often as what is left, as when requests fail fast (`incident::attribution`) ...
const RISK_RATIO_MIN: f64 = 3.0;
/// ... the ends of their intervals compared, in standard deviations (one-sided 97.5 %).
const INTERVAL_Z: f64 = 1.96;

/// What requests are pooled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PoolKey {
    Route(Name, Name),
    Version(Name, Name),
    Subscription(Name),
}

impl PoolKey {
    fn of(key: &CellKey) -> impl Iterator<Item = Self> {
        let version = (!key.client_version.is_absent()).then_some(Self::Version(key.client, key.client_version));
        [Some(Self::Route(key.service, key.route)), version, Some(Self::Subscription(key.subscription))]
            .into_iter()
            .flatten()
    }

    fn labels(self, names: &Names) -> Dimensions {
        let pairs = match self {
            Self::Route(service, route) => vec![(Dimension::Service, service), (Dimension::Route, route)],
            Self::Version(client, version) => vec![(Dimension::Client, client), (Dimension::ClientVersion, version)],
            Self::Subscription(name) => vec![(Dimension::Subscription, name)],
        };
        let present = pairs.into_iter().filter(|(_, name)| !name.is_absent());
        Dimensions::new(present.map(|(dimension, name)| (dimension, names.text(name).clone())))
    }
}

#[derive(Debug)]
struct Pool {
    sums: OutcomeSums,
    /// Requests by customer, as far as followed.
    customers: FxHashMap<Name, u64>,
}

/// A pool that fails too much.
#[derive(Debug)]
pub struct PoolAbove {
    /// What it is.
    pub labels: Dimensions,
    /// How much.
    pub burn: Burn,
    /// Who is in it, for people.
    pub note: String,
}

/// All pools.
#[derive(Debug, Default)]
pub struct Pools {
    pools: FxHashMap<PoolKey, Pool>,
    window: FxHashMap<PoolKey, Sums>,
    window_customers: Vec<(PoolKey, Name, u64)>,
    alone: usize,
    together: usize,
    overflowed: u64,
}

impl Pools {
    /// Counts requests of the window that is being taken in.
    pub fn count(&mut self, key: &CellKey, sums: Sums) {
        for pool in PoolKey::of(key) {
            self.window.entry(pool).or_default().add(sums);
            if !matches!(pool, PoolKey::Subscription(_)) {
                self.window_customers.push((pool, key.subscription, sums.requests));
            }
        }
    }

    /// Forgets the routes of services that are left to objectives of their own.
    pub fn leave(&mut self, services: &[Name]) {
        let before = self.pools.len();
        self.pools.retain(|key, _| !matches!(key, PoolKey::Route(service, _) if services.contains(service)));
        self.together -= before - self.pools.len();
    }

    /// Ends the window that began at `start`.
    pub fn push(&mut self, start: Timestamp) {
        let mut fresh: Vec<(PoolKey, Sums)> = std::mem::take(&mut self.window).into_iter().collect();
        // At the bound, those that fail have a place before those that do not.
        fresh.sort_unstable_by_key(|(_, sums)| std::cmp::Reverse((sums.failures, sums.requests)));
        for (key, sums) in fresh {
            if !self.pools.contains_key(&key) && !self.admits(key, sums) {
                continue;
            }
            let fresh = || Pool { sums: OutcomeSums::new(0), customers: FxHashMap::default() };
            self.pools.entry(key).or_insert_with(fresh).sums.push(start, sums);
        }
        for (key, customer, requests) in std::mem::take(&mut self.window_customers) {
            let Some(pool) = self.pools.get_mut(&key) else { continue };
            if pool.customers.len() < POOL_CUSTOMERS_MAX || pool.customers.contains_key(&customer) {
                *pool.customers.entry(customer).or_default() += requests;
            }
        }
    }

    /// A customer who never failed need not be followed: beginning with a failure adds one to thousands.
    fn admits(&mut self, key: PoolKey, sums: Sums) -> bool {
        let alone = matches!(key, PoolKey::Subscription(_));
        if alone && sums.failures == 0 {
            return false;
        }
        let (followed, max) =
            if alone { (&mut self.alone, SUBSCRIPTIONS_ALONE_MAX) } else { (&mut self.together, POOLS_MAX) };
        let room = *followed < max;
        *followed += usize::from(room);
        self.overflowed += u64::from(!room && !alone);
        room
    }

    /// Pools that fail more than `budget`, of services that do not (those in `burning` are told already).
    pub fn above(
        &self,
        end: Timestamp,
        budget: f64,
        failures_min: u64,
        burning: &FxHashSet<Name>,
        names: &Names,
    ) -> Vec<PoolAbove> {
        let told = |key: &PoolKey| match key {
            PoolKey::Route(service, _) => burning.contains(service),
            // A version or a customer has no service of its own: one that burns explains it.
            PoolKey::Version(..) | PoolKey::Subscription(_) => !burning.is_empty(),
        };
        let mut above: Vec<PoolAbove> = self
            .pools
            .iter()
            .filter(|(key, _)| !told(key))
            .filter_map(|(key, pool)| {
                let burn = above_budget(&pool.sums, end, budget, failures_min)?;
                let alone = matches!(key, PoolKey::Subscription(_));
                let large = burn.sums.requests >= REQUESTS_ALONE_MIN;
                (large || !alone).then(|| PoolAbove { labels: key.labels(names), burn, note: note(pool, alone) })
            })
            .collect();
        above.sort_by(|a, b| a.labels.cmp(&b.labels));
        above
    }

    /// The route of a burning service that makes most of its failures while the rest fails far less; of the only service
    /// there is also the version or customer. `all` is what the service did in the `span_ms` before `end`. Of several the
    /// one with the fewest requests is told, of equals the first by name.
    pub fn narrower(
        &self,
        (service, is_only): (Name, bool),
        all: Sums,
        (end, span_ms): (Timestamp, DurationMs),
        names: &Names,
    ) -> Option<Cause> {
        let of_service = |key: &PoolKey| match key {
            PoolKey::Route(of, _) => *of == service,
            PoolKey::Version(..) | PoolKey::Subscription(_) => is_only,
        };
        let explains = |own: &Sums| {
            let failures = all.failures.saturating_sub(own.failures);
            let requests = all.requests.saturating_sub(own.requests);
            let others = wilson_upper(failures, requests, INTERVAL_Z);
            requests > 0
                && ratio(own.failures, all.failures) >= EXPLANATORY_POWER_MIN
                && wilson_lower(own.failures, own.requests, INTERVAL_Z) >= RISK_RATIO_MIN * others
        };
        let told = self
            .pools
            .iter()
            .filter(|(key, _)| of_service(key))
            .map(|(key, pool)| (key, pool.sums.sums(end, span_ms)))
            .filter(|(_, own)| explains(own));
        let (key, own) = told.min_by_key(|(key, own)| (own.requests, key.labels(names)))?;
        let mut dimensions = key.labels(names);
        dimensions.0.remove(&Dimension::Service);
        let share = ratio(own.failures, all.failures);
        let rest = ratio(all.failures.saturating_sub(own.failures), all.requests.saturating_sub(own.requests));
        Some(Cause {
            dimensions,
            share: rounded(share),
            confidence: Confidence::Medium,
            evidence: format!(
                "{} of the failures; {} of its requests fail, {} of all others",
                percent(share),
                percent(ratio(own.failures, own.requests)),
                percent(rest)
            ),
        })
    }

    /// Requests of pools that found no place.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

fn note(pool: &Pool, alone: bool) -> String {
    if alone {
        return "; this customer makes enough requests to be judged alone".to_owned();
    }
    let small = pool.customers.values().filter(|requests| **requests < REQUESTS_ALONE_MIN).count();
    let all = pool.customers.len();
    let most = if all >= POOL_CUSTOMERS_MAX { " or more" } else { "" };
    format!("; pooled over {all}{most} customers, {small} of them too small to be judged alone (under 12,000 requests)")
}
