//! What types cannot say about a scenario of the platform model; every problem with its key path.

use crate::config::{Problem, Span};
use crate::sim::scenario::{DURATION_MAX, LIFE_MAX, RetrySpec, ServiceTimeSpec};

use super::references::References;
use super::spec::{EffectKind, GroupSpec, PlatformScenario};

/// A customer takes memory for the whole run.
const SUBSCRIPTIONS_MAX: u64 = 2_000_000;

struct Problems(Vec<Problem>);

impl Problems {
    fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push(Problem { key: key.to_owned(), message: message.to_owned() });
        }
    }

    fn number(&mut self, value: f64, least: f64, most: f64, key: &str) {
        self.require((least..=most).contains(&value), key, &format!("must lie between {least} and {most}"));
    }

    fn within(&mut self, value: Span, least: Span, most: Span, key: &str) {
        self.require((least..=most).contains(&value), key, &format!("must lie between {least} and {most}"));
    }

    fn time(&mut self, time: &ServiceTimeSpec, key: &str) {
        self.within(time.median, Span::from_millis(1), Span::from_secs(3_600), &format!("{key}.median"));
        self.number(time.sigma, 0.0, 3.0, &format!("{key}.sigma"));
    }
}

impl PlatformScenario {
    /// Checks what types cannot say, references between sections included.
    ///
    /// # Errors
    /// All problems, each with its key path.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems(References::problems(self));
        let second = Span::from_secs(1);
        problems.within(self.duration, second, DURATION_MAX, "duration");
        problems.within(self.signals_interval, second, Span::from_secs(3_600), "signals_interval");
        let whole_seconds = self.signals_interval.as_millis().rem_euclid(1_000) == 0;
        problems.require(whole_seconds, "signals_interval", "must be whole seconds");
        let subscriptions: u64 = self.groups.iter().map(|group| u64::from(group.subscriptions)).sum();
        problems.require(subscriptions <= SUBSCRIPTIONS_MAX, "groups", "must have at most 2000000 subscriptions");
        problems.number(self.load.weekend_factor, 0.0, 100.0, "load.weekend_factor");
        if let Some(daily) = self.load.daily {
            problems.number(daily.amplitude, 0.0, 1.0, "load.daily.amplitude");
            problems.number(daily.peak_hour, 0.0, 24.0, "load.daily.peak_hour");
        }
        self.check_customers(&mut problems);
        self.check_platform(&mut problems);
        self.check_resources(&mut problems);
        for (i, effect) in self.effects.iter().enumerate() {
            check_effect(&mut problems, &effect.what, &format!("effects[{i}].what"));
        }
        for (i, disturbance) in self.disturbances.iter().enumerate() {
            problems.number(disturbance.share, 0.0, 1.0, &format!("disturbances[{i}].share"));
            let delay = disturbance.delay.unwrap_or(second);
            problems.within(delay, Span::from_secs(0), Span::from_secs(3_600), &format!("disturbances[{i}].delay"));
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }

    fn check_customers(&self, problems: &mut Problems) {
        for (i, version) in self.versions.iter().enumerate() {
            let key = format!("versions[{i}]");
            problems.number(version.persistent_failure_share, 0.0, 1.0, &format!("{key}.persistent_failure_share"));
            match version.retry {
                RetrySpec::None => {}
                RetrySpec::Bounded { attempts, base, cap } => {
                    problems.number(f64::from(attempts), 1.0, 100.0, &format!("{key}.retry.attempts"));
                    problems.within(base, Span::from_millis(1), cap, &format!("{key}.retry.base"));
                    problems.within(cap, base, Span::from_secs(3_600), &format!("{key}.retry.cap"));
                }
                // Without a wait an instant refusal would be repeated in no simulated time, without end.
                RetrySpec::Unlimited { delay } => {
                    problems.within(delay, Span::from_millis(10), Span::from_secs(3_600), &format!("{key}.retry.delay"))
                }
            }
        }
        for (i, group) in self.groups.iter().enumerate() {
            check_group(problems, group, &format!("groups[{i}]"));
        }
    }

    fn check_platform(&self, problems: &mut Problems) {
        let timeout_max = Span::from_secs(600);
        for (i, service) in self.services.iter().enumerate() {
            let key = format!("services[{i}]");
            problems.number(service.capacity_per_second, 0.001, 1e6, &format!("{key}.capacity_per_second"));
            problems.within(service.queue_max, Span::from_secs(0), timeout_max, &format!("{key}.queue_max"));
            problems.within(service.timeout, Span::from_millis(1), timeout_max, &format!("{key}.timeout"));
            problems.number(service.background_failure_share, 0.0, 1.0, &format!("{key}.background_failure_share"));
            problems.number(f64::from(service.replicas), 1.0, 1_000.0, &format!("{key}.replicas"));
            if let Some(memory) = service.memory {
                problems.require(memory.idle < memory.limit, &format!("{key}.memory.idle"), "must be below the limit");
                let restart = memory.restart_duration;
                problems.within(restart, Span::from_secs(1), timeout_max, &format!("{key}.memory.restart_duration"));
            }
        }
        for (i, route) in self.routes.iter().enumerate() {
            let key = format!("routes[{i}]");
            problems.time(&route.service_time, &format!("{key}.service_time"));
            problems.number(route.work, 0.0, 1e6, &format!("{key}.work"));
            for (j, call) in route.calls.iter().enumerate() {
                problems.number(call.times, 0.0, 100.0, &format!("{key}.calls[{j}].times"));
                problems.number(f64::from(call.attempts), 1.0, 10.0, &format!("{key}.calls[{j}].attempts"));
            }
        }
    }

    fn check_resources(&self, problems: &mut Problems) {
        for (i, cache) in self.caches.iter().enumerate() {
            problems.number(cache.hit_ratio, 0.0, 1.0, &format!("caches[{i}].hit_ratio"));
            problems.number(cache.warming_lookups, 1.0, 1e9, &format!("caches[{i}].warming_lookups"));
        }
        for (i, pool) in self.pools.iter().enumerate() {
            problems.number(f64::from(pool.size), 1.0, 1e6, &format!("pools[{i}].size"));
            problems.time(&pool.used_for, &format!("pools[{i}].used_for"));
        }
        for (i, store) in self.stores.iter().enumerate() {
            problems.within(store.ttl, Span::from_secs(1), LIFE_MAX, &format!("stores[{i}].ttl"));
            if let Some(network) = store.network {
                problems.number(
                    network.bytes_per_second_max,
                    1.0,
                    1e12,
                    &format!("stores[{i}].network.bytes_per_second_max"),
                );
            }
        }
        for (i, query) in self.queries.iter().enumerate() {
            let key = format!("queries[{i}]");
            problems.time(&query.run_time, &format!("{key}.run_time"));
            problems.number(query.per_minute, 0.0, 60_000.0, &format!("{key}.per_minute"));
            problems.number(f64::from(query.attempts), 1.0, 1_000.0, &format!("{key}.attempts"));
            let named = query.query.is_some() || query.fingerprint.is_some();
            problems.require(named, &format!("{key}.query"), "must have a text or a fingerprint");
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let ordered = node.memory_idle < node.memory_limit && node.memory_limit <= node.machine_memory;
            problems.require(ordered, &format!("nodes[{i}]"), "memory_idle < memory_limit ≤ machine_memory must hold");
        }
    }
}

fn check_group(problems: &mut Problems, group: &GroupSpec, key: &str) {
    problems.require(group.subscriptions > 0, &format!("{key}.subscriptions"), "must be at least 1");
    problems.require(group.concurrency > 0, &format!("{key}.concurrency"), "must be at least 1");
    problems.number(group.requests_per_minute, 0.000_1, 1e6, &format!("{key}.requests_per_minute"));
    problems.number(group.zipf, 0.0, 5.0, &format!("{key}.zipf"));
    problems.number(group.fano, 1.0, 1_000.0, &format!("{key}.fano"));
    problems.within(group.batch_spread, Span::from_millis(1), Span::from_secs(3_600), &format!("{key}.batch_spread"));
    problems.number(group.clock_ahead_seconds, -3_600.0, 3_600.0, &format!("{key}.clock_ahead_seconds"));
    for (name, weights) in [("routes", &group.routes), ("versions", &group.versions)] {
        let fit = weights.values().all(|weight| weight.is_finite() && *weight >= 0.0);
        problems.require(
            fit && weights.values().sum::<f64>() > 0.0,
            &format!("{key}.{name}"),
            "must hold weights of 0 or more with a sum above 0",
        );
    }
}

fn check_effect(problems: &mut Problems, effect: &EffectKind, key: &str) {
    match effect {
        EffectKind::Surge { factor, .. }
        | EffectKind::Slow { factor, .. }
        | EffectKind::Payload { factor, .. }
        | EffectKind::Capacity { factor, .. }
        | EffectKind::Calls { factor, .. }
        | EffectKind::PoolSlow { factor, .. } => problems.number(*factor, 0.0, 10_000.0, &format!("{key}.factor")),
        EffectKind::Fail { share, status, .. } => {
            problems.number(*share, 0.0, 1.0, &format!("{key}.share"));
            problems.number(f64::from(*status), 400.0, 599.0, &format!("{key}.status"));
        }
        EffectKind::Install { share, .. } | EffectKind::PoolLeak { share, .. } => {
            problems.number(*share, 0.0, 1.0, &format!("{key}.share"));
        }
        EffectKind::CacheLoss { hit_ratio, .. } => problems.number(*hit_ratio, 0.0, 1.0, &format!("{key}.hit_ratio")),
        EffectKind::Query { memory_factor, work_factor, .. } => {
            problems.number(*memory_factor, 0.001, 10_000.0, &format!("{key}.memory_factor"));
            problems.number(*work_factor, 0.001, 10_000.0, &format!("{key}.work_factor"));
        }
        EffectKind::ReplicaLeak { .. } | EffectKind::GaugeLeak { .. } | EffectKind::Deploy { .. } => {}
    }
}
