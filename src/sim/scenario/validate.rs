//! What types cannot say about a scenario; every problem with its key path.

use crate::config::{Problem, Span};
use crate::sim::plan::Plan;

use super::{CohortSpec, RetrySpec, RouteSpec, Scenario, ServiceSpec, VersionSpec};

/// A simulation keeps one entry for each request in work and each workflow that runs: this bounds both.
const CONCURRENCY_MAX: u64 = 1_000_000;
/// Longest scenario.
pub(in crate::sim) const DURATION_MAX: Span = Span::from_days(400);
/// Longest life of a key or connection: one counter a second is kept.
pub(in crate::sim) const LIFE_MAX: Span = Span::from_days(2);

/// Keys of one attempt, in bytes.
const STORE_BYTES_MAX: u64 = 64 << 20;
/// Store operations of one attempt.
const STORE_OPERATIONS_MAX: u64 = 1_000_000;

struct Problems(Vec<Problem>);

impl Problems {
    fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push(Problem { key: key.to_owned(), message: message.to_owned() });
        }
    }

    fn share(&mut self, value: f64, key: &str) {
        self.require((0.0..=1.0).contains(&value), key, "must be a share from 0 to 1");
    }

    fn within(&mut self, value: Span, min: Span, max: Span, key: &str) {
        self.require((min..=max).contains(&value), key, &format!("must lie between {min} and {max}"));
    }
}

impl Scenario {
    /// Checks what types cannot say, references between sections included.
    ///
    /// # Errors
    /// All problems, each with its key path.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems(Vec::new());
        self.check_top(&mut problems);
        for (i, service) in self.services.iter().enumerate() {
            check_service(&mut problems, service, &format!("services[{i}]"));
        }
        for (i, route) in self.routes.iter().enumerate() {
            check_route(&mut problems, route, &format!("routes[{i}]"));
        }
        if let Some(store) = &self.store {
            problems.within(store.ttl, Span::from_secs(1), LIFE_MAX, "store.ttl");
        }
        for (i, version) in self.versions.iter().enumerate() {
            check_version(&mut problems, version, &format!("versions[{i}]"));
        }
        for (name, workflow) in &self.workflows {
            let key = format!("workflows.{name}");
            problems.require(!workflow.steps.is_empty(), &format!("{key}.steps"), "must name at least one route");
            problems.within(
                workflow.think_time,
                Span::from_secs(0),
                Span::from_secs(3_600),
                &format!("{key}.think_time"),
            );
        }
        for (i, cohort) in self.cohorts.iter().enumerate() {
            check_cohort(&mut problems, cohort, &format!("cohorts[{i}]"));
        }
        if let Err(references) = Plan::build(self) {
            problems.0.extend(references);
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }

    fn check_top(&self, problems: &mut Problems) {
        let second = Span::from_secs(1);
        problems.within(self.duration, second, DURATION_MAX, "duration");
        problems.within(self.warm_up, Span::from_secs(0), LIFE_MAX, "warm_up");
        problems.within(self.signals_interval, second, Span::from_secs(3_600), "signals_interval");
        problems.require(!self.services.is_empty(), "services", "must name at least one");
        problems.require(!self.routes.is_empty(), "routes", "must name at least one");
        problems.require(!self.cohorts.is_empty(), "cohorts", "must name at least one");
        let workflows = self.cohorts.iter().map(|c| u64::from(c.subscriptions) * u64::from(c.concurrency));
        let running = workflows.fold(0_u64, u64::saturating_add);
        problems.require(
            running <= CONCURRENCY_MAX,
            "cohorts",
            "subscriptions × concurrency must be at most 1000000 in all: each running workflow takes memory",
        );
        if let Some(daily) = self.daily {
            problems.share(daily.amplitude, "daily.amplitude");
            problems.require((0.0..24.0).contains(&daily.peak_hour), "daily.peak_hour", "must lie between 0 and 24");
        }
        if let Some(limit) = &self.rate_limit {
            problems.require(limit.requests_per_minute > 0, "rate_limit.requests_per_minute", "must be at least 1");
        }
    }
}

fn check_service(problems: &mut Problems, service: &ServiceSpec, key: &str) {
    let positive = [("containers", service.containers), ("workers", service.workers)];
    for (name, value) in positive {
        problems.require((1..=1_000).contains(&value), &format!("{key}.{name}"), "must lie between 1 and 1000");
    }
    problems.require(service.queue_max <= 100_000, &format!("{key}.queue_max"), "must be at most 100000");
    let timeout_max = Span::from_secs(600);
    problems.within(service.connect_timeout, Span::from_millis(1), timeout_max, &format!("{key}.connect_timeout"));
    problems.within(service.timeout, Span::from_millis(1), timeout_max, &format!("{key}.timeout"));
    problems.require(
        matches!(service.timeout_status, 503 | 504),
        &format!("{key}.timeout_status"),
        "must be 503 or 504: what a gateway answers when the service does not",
    );
    problems.share(service.background_failure_share, &format!("{key}.background_failure_share"));
    problems.within(
        service.restart_duration,
        Span::from_secs(1),
        Span::from_secs(3_600),
        &format!("{key}.restart_duration"),
    );
    let memory = &service.memory;
    problems.require(memory.idle < memory.limit, &format!("{key}.memory.idle"), "must be below the limit");
    problems.within(memory.connection_life, Span::from_secs(1), LIFE_MAX, &format!("{key}.memory.connection_life"));
}

fn check_route(problems: &mut Problems, route: &RouteSpec, key: &str) {
    let (min, max) = (Span::from_millis(1), Span::from_secs(600));
    problems.within(route.service_time.median, min, max, &format!("{key}.service_time.median"));
    problems.require(
        (0.0..=3.0).contains(&route.service_time.sigma),
        &format!("{key}.service_time.sigma"),
        "must lie between 0 and 3",
    );
    problems.require(
        route.store_bytes <= STORE_BYTES_MAX,
        &format!("{key}.store_bytes"),
        "must be at most 67108864 (64 MiB)",
    );
    problems.require(
        route.store_operations <= STORE_OPERATIONS_MAX,
        &format!("{key}.store_operations"),
        "must be at most 1000000",
    );
}

fn check_version(problems: &mut Problems, version: &VersionSpec, key: &str) {
    problems.share(version.persistent_failure_share, &format!("{key}.persistent_failure_share"));
    match version.retry {
        RetrySpec::None => {}
        RetrySpec::Bounded { attempts, base, cap } => {
            problems.require(
                (1..=100).contains(&attempts),
                &format!("{key}.retry.attempts"),
                "must lie between 1 and 100",
            );
            problems.require(base <= cap, &format!("{key}.retry.base"), "must be at most the cap");
            problems.within(cap, Span::from_secs(0), Span::from_secs(3_600), &format!("{key}.retry.cap"));
        }
        RetrySpec::Unlimited { delay } => {
            // Without a wait an instant refusal would be repeated in no simulated time, without end.
            let (min, max) = (Span::from_millis(10), Span::from_secs(3_600));
            problems.within(delay, min, max, &format!("{key}.retry.delay"));
        }
    }
}

fn check_cohort(problems: &mut Problems, cohort: &CohortSpec, key: &str) {
    problems.require(cohort.subscriptions > 0, &format!("{key}.subscriptions"), "must be at least 1");
    problems.require(cohort.concurrency > 0, &format!("{key}.concurrency"), "must be at least 1");
    problems.require(
        cohort.workflows_per_minute > 0.0 && cohort.workflows_per_minute <= 1e7,
        &format!("{key}.workflows_per_minute"),
        "must be above 0 and at most 10000000",
    );
    problems.require((0.0..=5.0).contains(&cohort.zipf), &format!("{key}.zipf"), "must lie between 0 and 5");
    problems.require(
        (1.0..=1_000.0).contains(&cohort.burst_mean),
        &format!("{key}.burst_mean"),
        "must lie between 1 and 1000",
    );
    problems.share(cohort.persistent_failure_scale, &format!("{key}.persistent_failure_scale"));
    for (name, weights) in [("workflows", &cohort.workflows), ("versions", &cohort.versions)] {
        let all_fit = weights.values().all(|weight| weight.is_finite() && *weight >= 0.0);
        problems.require(
            all_fit && weights.values().sum::<f64>() > 0.0,
            &format!("{key}.{name}"),
            "must hold weights of 0 or more with a sum above 0",
        );
    }
    for (i, switch) in cohort.switches.iter().enumerate() {
        problems.within(switch.at, Span::from_secs(0), DURATION_MAX, &format!("{key}.switches[{i}].at"));
        problems.within(switch.over, Span::from_secs(0), DURATION_MAX, &format!("{key}.switches[{i}].over"));
    }
    for (i, surge) in cohort.surges.iter().enumerate() {
        let surge_key = format!("{key}.surges[{i}]");
        problems.within(surge.at, Span::from_secs(0), DURATION_MAX, &format!("{surge_key}.at"));
        problems.within(surge.lasts, Span::from_secs(0), DURATION_MAX, &format!("{surge_key}.lasts"));
        problems.require(
            (0.0..=10_000.0).contains(&surge.factor),
            &format!("{surge_key}.factor"),
            "must lie between 0 and 10000",
        );
    }
}
