//! False refusals: 5,000 ordinary queries of a working day in shadow mode, and how many of them would be refused.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::tests::{LIMIT_BYTES, at, policy};
use super::trial::{Job, run};
use super::{Ask, Gate, GateInput, QueryNumber};

/// Most of them that may be refused.
const REFUSED_SHARE_MAX: f64 = 0.005;

/// A kind of ordinary query: who asks, how heavy it is, how it grows over the days.
struct Kind {
    tenant: &'static str,
    fingerprints: u64,
    rows: f64,
    memory_bytes: f64,
    duration_ms: f64,
    limit: bool,
    /// Out of 100.
    weight: u64,
}

const KINDS: [Kind; 6] = [
    kind("grafana", 60, [2e7, 60e6, 300.0], false, 66),
    kind("grafana", 10, [1e8, 500e6, 1_500.0], false, 8),
    kind("ann", 200, [1e8, 400e6, 900.0], false, 10),
    kind("bob", 50, [2e6, 20e6, 60.0], true, 9),
    kind("bob", 40, [5e8, 1_500e6, 3_000.0], false, 4),
    kind("etl", 6, [2e9, 4e9, 40_000.0], false, 3),
];

/// `usual`: rows, memory in bytes, duration in milliseconds.
const fn kind(tenant: &'static str, fingerprints: u64, usual: [f64; 3], limit: bool, weight: u64) -> Kind {
    let [rows, memory_bytes, duration_ms] = usual;
    Kind { tenant, fingerprints, rows, memory_bytes, duration_ms, limit, weight }
}

struct Mix(ChaCha8Rng);

impl Mix {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Lognormal with median 1.
    fn spread(&mut self, sigma: f64) -> f64 {
        // A sum of twelve uniforms is normal enough here.
        libm::exp(sigma * ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0))
    }

    fn job(&mut self, number: QueryNumber, at_ms: i64, day: f64) -> Job {
        let mut pick = self.below(100);
        let kind = KINDS
            .iter()
            .find(|kind| {
                let is_it = pick < kind.weight;
                pick = pick.saturating_sub(kind.weight);
                is_it
            })
            .unwrap_or(&KINDS[0]);
        // Tables grow 1 % a day; a tenth of the queries look at seven times the usual range.
        let range = if self.below(10) == 0 { 7.0 } else { 1.0 } * libm::pow(1.01, day);
        let rows = (kind.rows * range * self.spread(0.4)).min(4e9) as u64;
        let memory = kind.memory_bytes * libm::sqrt(range) * self.spread(0.35);
        let ask = Ask {
            number,
            tenant: kind.tenant.to_owned(),
            fingerprint: format!("{} {}", kind.rows, self.below(kind.fingerprints)),
            estimated_rows: Some(if kind.limit { 20_000_000_000 } else { rows }),
            limit_trap: kind.limit,
            ..Ask::default()
        };
        Job {
            ask,
            at_ms,
            duration_ms: (kind.duration_ms * libm::sqrt(range) * self.spread(0.4)) as i64,
            memory_bytes: memory as u64,
            read_rows: if kind.limit { 5_000 } else { rows },
            read_bytes: if kind.limit { 1_000_000 } else { rows * 8 },
            ..Job::default()
        }
    }
}

/// A day of `count` queries: dashboards in bursts of panels, the rest at random, three quarters of it in ten busy minutes of
/// each hour.
fn ordinary_day(seed: u64, count: u64, day: f64) -> Vec<Job> {
    let mut mix = Mix(ChaCha8Rng::seed_from_u64(seed));
    let mut jobs: Vec<Job> = (0..count)
        .map(|number| {
            let hour = mix.below(10) as i64 * 3_600_000;
            let within = if mix.below(4) > 0 { mix.below(600_000) } else { mix.below(3_600_000) } as i64;
            let mut job = mix.job(number, hour + within, day);
            if job.ask.tenant == "grafana" {
                // Panels of a dashboard are asked together, eight at a time.
                job.at_ms -= job.at_ms % 15_000;
            }
            job
        })
        .collect();
    jobs.sort_by_key(|job| (job.at_ms, job.ask.number));
    for i in (0..jobs.len()).step_by(7) {
        let used = LIMIT_BYTES / 5 + mix.below(LIMIT_BYTES / 5);
        jobs[i].event = Some(GateInput::Memory { used_bytes: used, limit_bytes: LIMIT_BYTES });
    }
    jobs
}

#[test]
fn ordinary_queries_are_not_refused() {
    for seed in 0..5 {
        let mut gate = Gate::new(policy(false), LIMIT_BYTES).with_cores(32);
        let jobs = ordinary_day(seed, 5_000, seed as f64 * 10.0);
        let fate = run(&mut gate, &jobs, false);
        let status = gate.status(at(100_000_000));
        assert_eq!(status.counts.asks, 5_000);
        assert_eq!(fate.refused.len() as u64, status.counts.refused.values().sum::<u64>());
        println!("seed {seed}: {:.2} % refused, {:?}", status.refused_share * 100.0, status.counts);
        // Those that would fail at their caps are held against the policy as well.
        let capped_share = status.counts.would_be_capped as f64 / status.counts.asks as f64;
        assert!(status.refused_share + capped_share <= REFUSED_SHARE_MAX, "seed {seed}: {:?}", status.counts);
    }
}

#[test]
fn a_day_with_a_flood_is_refused() {
    let mut gate = Gate::new(policy(false), LIMIT_BYTES).with_cores(32);
    let mut jobs = ordinary_day(1, 1_000, 0.0);
    for job in jobs.iter_mut().filter(|job| job.ask.tenant == "ann") {
        job.memory_bytes = LIMIT_BYTES / 10;
        job.ask.fingerprint = "flood".to_owned();
    }
    run(&mut gate, &jobs, false);
    let status = gate.status(at(100_000_000));
    assert!(status.refused_share > 6.0 * REFUSED_SHARE_MAX, "a gate that never refuses: {:?}", status.counts);
}
