//! A scenario with its names resolved to indices and its spans to microseconds: what the simulation runs on.

use crate::config::{ByteCount, Problem, Span};
use crate::model::Text;

use super::scenario::{CohortSpec, RetrySpec, RouteSpec, Scenario, SurgeSpec};
use super::schedule::Micros;

/// A route, resolved.
#[derive(Debug)]
pub(super) struct Route {
    pub spec: RouteSpec,
    pub service: usize,
    pub rate_limited: bool,
}

/// A client version.
#[derive(Debug)]
pub(super) struct Version {
    pub client: Text,
    pub version: Text,
    pub retry: RetrySpec,
    pub persistent_failure_share: f64,
}

/// A workflow, resolved.
#[derive(Debug)]
pub(super) struct Workflow {
    pub steps: Vec<usize>,
    pub think_time_us: Micros,
}

/// A cohort, resolved. Weights are cumulative.
#[derive(Debug)]
pub(super) struct Cohort {
    pub subscriptions: u32,
    pub workflows_per_second: f64,
    pub zipf: f64,
    pub concurrency: u32,
    pub burst_mean: f64,
    pub workflows: Vec<usize>,
    pub workflow_weights: Vec<f64>,
    pub versions: Vec<usize>,
    pub version_weights: Vec<f64>,
    pub persistent_failure_scale: f64,
    pub switches: Vec<Switch>,
    pub surges: Vec<SurgeSpec>,
}

/// A cohort's move to another version.
#[derive(Debug)]
pub(super) struct Switch {
    pub at_us: Micros,
    pub over_us: Micros,
    pub version: usize,
}

/// Everything resolved.
#[derive(Debug)]
pub(super) struct Plan {
    pub routes: Vec<Route>,
    pub versions: Vec<Version>,
    pub workflows: Vec<Workflow>,
    pub cohorts: Vec<Cohort>,
}

pub(super) fn micros(span: Span) -> Micros {
    i64::try_from(span.0.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn bytes(count: ByteCount) -> u64 {
    count.0.as_u64()
}

/// Looks names up and collects those that nothing has.
struct Resolver<'a> {
    scenario: &'a Scenario,
    problems: Vec<Problem>,
}

impl Plan {
    /// Resolves every name of the scenario.
    ///
    /// # Errors
    /// Each name that refers to nothing, with its key path.
    pub(super) fn build(scenario: &Scenario) -> Result<Self, Vec<Problem>> {
        let mut resolver = Resolver { scenario, problems: Vec::new() };
        let plan = Self {
            routes: resolver.routes(),
            versions: versions(scenario),
            workflows: resolver.workflows(),
            cohorts: scenario.cohorts.iter().enumerate().map(|(i, cohort)| resolver.cohort(i, cohort)).collect(),
        };
        resolver.refuse_duplicates();
        if resolver.problems.is_empty() { Ok(plan) } else { Err(resolver.problems) }
    }
}

fn versions(scenario: &Scenario) -> Vec<Version> {
    let resolve = |spec: &super::scenario::VersionSpec| Version {
        client: spec.client.clone(),
        version: spec.version.clone(),
        retry: spec.retry,
        persistent_failure_share: spec.persistent_failure_share,
    };
    scenario.versions.iter().map(resolve).collect()
}

impl Resolver<'_> {
    /// The index if there is one; else 0, and a problem that keeps the plan from being used.
    fn found(&mut self, index: Option<usize>, key: &str, what: &str, name: &str) -> usize {
        index.unwrap_or_else(|| {
            self.problems.push(Problem { key: key.to_owned(), message: format!("there is no {what} named {name:?}") });
            0
        })
    }

    fn route(&mut self, key: &str, name: &str) -> usize {
        let index = self.scenario.routes.iter().position(|route| route.name == name);
        self.found(index, key, "route", name)
    }

    fn version(&mut self, key: &str, client: &str, version: &str) -> usize {
        let index = self.scenario.versions.iter().position(|v| v.client == client && v.version == version);
        self.found(index, key, &format!("version of {client}"), version)
    }

    fn routes(&mut self) -> Vec<Route> {
        let scenario = self.scenario;
        let limited = scenario.rate_limit.as_ref().map_or(&[][..], |limit| &limit.routes);
        for (i, name) in limited.iter().enumerate() {
            self.route(&format!("rate_limit.routes[{i}]"), name);
        }
        let mut routes = Vec::new();
        for (i, spec) in scenario.routes.iter().enumerate() {
            let index = scenario.services.iter().position(|service| service.name == spec.service);
            let service = self.found(index, &format!("routes[{i}].service"), "service", &spec.service);
            routes.push(Route { spec: spec.clone(), service, rate_limited: limited.contains(&spec.name) });
        }
        routes
    }

    fn workflows(&mut self) -> Vec<Workflow> {
        let mut workflows = Vec::new();
        for (name, spec) in &self.scenario.workflows {
            let steps = spec.steps.iter().enumerate();
            let steps = steps.map(|(i, step)| self.route(&format!("workflows.{name}.steps[{i}]"), step)).collect();
            workflows.push(Workflow { steps, think_time_us: micros(spec.think_time) });
        }
        workflows
    }

    fn cohort(&mut self, i: usize, spec: &CohortSpec) -> Cohort {
        let key = format!("cohorts[{i}]");
        let mut workflows = Vec::new();
        for name in spec.workflows.keys() {
            let index = self.scenario.workflows.keys().position(|other| other == name);
            workflows.push(self.found(index, &format!("{key}.workflows"), "workflow", name));
        }
        let mut versions = Vec::new();
        for version in spec.versions.keys() {
            versions.push(self.version(&format!("{key}.versions"), &spec.client, version));
        }
        let mut switches = Vec::new();
        for (j, switch) in spec.switches.iter().enumerate() {
            let version = self.version(&format!("{key}.switches[{j}].version"), &spec.client, &switch.version);
            switches.push(Switch { at_us: micros(switch.at), over_us: micros(switch.over), version });
        }
        Cohort {
            subscriptions: spec.subscriptions,
            workflows_per_second: spec.workflows_per_minute / 60.0,
            zipf: spec.zipf,
            concurrency: spec.concurrency,
            burst_mean: spec.burst_mean,
            workflows,
            workflow_weights: cumulative(spec.workflows.values().copied()),
            versions,
            version_weights: cumulative(spec.versions.values().copied()),
            persistent_failure_scale: spec.persistent_failure_scale,
            switches,
            surges: spec.surges.clone(),
        }
    }

    /// Names are how sections refer to each other: twice the same one would hide the second.
    fn refuse_duplicates(&mut self) {
        let scenario = self.scenario;
        let services = scenario.services.iter().map(|service| service.name.to_string()).collect();
        let routes = scenario.routes.iter().map(|route| route.name.to_string()).collect();
        let versions = scenario.versions.iter().map(|v| format!("{} {}", v.client, v.version)).collect();
        for (key, mut names) in [("services", services), ("routes", routes), ("versions", versions)] {
            let names: &mut Vec<String> = &mut names;
            names.sort_unstable();
            for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
                let message = format!("{:?} stands there twice", pair[0]);
                self.problems.push(Problem { key: key.to_owned(), message });
            }
        }
    }
}

pub(super) fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
