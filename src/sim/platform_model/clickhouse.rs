//! ClickHouse nodes: queries that run, their memory, refusals with code 241, and kills by the kernel.

use crate::model::{Attributes, Event, QueryRun, QueryState, Text, Timestamp};
use crate::sim::plan::{bytes, micros};
use crate::sim::random::Stream;
use crate::sim::schedule::{Micros, SECOND_US};

use super::conditions::QueryNow;
use super::outbox::Outbox;
use super::spec::{ClickHouseNodeSpec, PlatformScenario, QuerySpec};

/// Queries that run or wait for another attempt at a time; further ones are refused.
const QUERIES_MAX: usize = 10_000;
/// Spread of peak memory.
const MEMORY_SIGMA: f64 = 0.25;
/// A query that runs longer than this is seen while it runs, this often.
const SEEN_RUNNING_US: Micros = 10 * SECOND_US;
/// Wait before another attempt.
const RETRY_US: Micros = 5 * SECOND_US;
/// `MEMORY_LIMIT_EXCEEDED`.
const MEMORY_LIMIT_EXCEEDED: i32 = 241;
/// `NETWORK_ERROR`: the node is gone.
const NODE_GONE: i32 = 210;

/// A node.
#[derive(Debug)]
pub(super) struct NodeState {
    /// It is down before this moment.
    pub up_since_us: Micros,
    pub memory_bytes: f64,
    pub restarts_total: u64,
}

/// A query that runs.
#[derive(Debug)]
struct Running {
    /// One of every query asked.
    number: u64,
    query: usize,
    node: usize,
    began_us: Micros,
    ends_us: Micros,
    seen_us: Micros,
    peak_bytes: f64,
    work_factor: f64,
    version: Option<Text>,
    subscription: Option<Text>,
    attempt: u32,
}

impl Running {
    /// Memory grows evenly over the first four fifths of the run.
    fn memory_bytes(&self, now_us: Micros) -> f64 {
        let whole = (self.ends_us - self.began_us).max(1) as f64;
        self.peak_bytes * ((now_us - self.began_us) as f64 / (0.8 * whole)).clamp(0.0, 1.0)
    }
}

/// All nodes and what runs on them.
#[derive(Debug)]
pub(super) struct ClickHouse {
    start: Timestamp,
    pub nodes: Vec<NodeState>,
    running: Vec<Running>,
    /// Queries asked so far.
    asked: u64,
    /// Attempts to come: when, query, subscription, number.
    retries: Vec<(Micros, usize, Option<Text>, u32)>,
}

impl ClickHouse {
    pub(super) fn new(scenario: &PlatformScenario) -> Self {
        let node = |spec: &ClickHouseNodeSpec| NodeState {
            up_since_us: -86_400 * SECOND_US,
            memory_bytes: bytes(spec.memory_idle) as f64,
            restarts_total: 0,
        };
        Self {
            start: scenario.start,
            nodes: scenario.nodes.iter().map(node).collect(),
            running: Vec::new(),
            asked: 0,
            retries: Vec::new(),
        }
    }

    /// Queries that run or wait.
    pub(super) fn len(&self) -> usize {
        self.running.len() + self.retries.len()
    }

    /// Asks a query; gives how long it will take, or `None` when it is refused.
    pub(super) fn ask(
        &mut self,
        context: &mut Asking<'_>,
        query: usize,
        subscription: Option<&Text>,
        attempt: u32,
    ) -> Option<Micros> {
        let (spec, now) = (&context.scenario.queries[query], &context.queries[query]);
        let node = ((context.stream.unit() * self.nodes.len() as f64) as usize).min(self.nodes.len() - 1);
        let run_us = micros(spec.run_time.median) as f64 * now.work_factor;
        let run_us = context.stream.lognormal_us(run_us as Micros, spec.run_time.sigma).max(1_000);
        let peak_bytes = context.stream.lognormal(bytes(spec.memory) as f64 * now.memory_factor, MEMORY_SIGMA);
        self.asked += 1;
        let running = Running {
            number: self.asked,
            query,
            node,
            began_us: context.now_us,
            ends_us: context.now_us + run_us,
            seen_us: context.now_us,
            peak_bytes,
            work_factor: now.work_factor,
            version: now.version.clone(),
            subscription: subscription.cloned(),
            attempt,
        };
        let (state, node_spec) = (&self.nodes[node], &context.scenario.nodes[node]);
        let code = if state.up_since_us > context.now_us || self.len() >= QUERIES_MAX {
            Some(NODE_GONE)
        } else {
            (state.memory_bytes > bytes(node_spec.memory_limit) as f64).then_some(MEMORY_LIMIT_EXCEEDED)
        };
        if let Some(code) = code {
            self.fail(context, &running, code);
            return None;
        }
        self.running.push(running);
        Some(run_us)
    }

    /// A second passes: queries end, nodes fill up and die, retries are due.
    pub(super) fn advance(&mut self, context: &mut Asking<'_>) {
        if self.nodes.is_empty() {
            return;
        }
        self.end_queries(context);
        for node in 0..self.nodes.len() {
            self.weigh(context, node);
        }
        let due: Vec<_> = self.retries.extract_if(.., |(at_us, ..)| *at_us <= context.now_us).collect();
        for (_, query, subscription, attempt) in due {
            self.ask(context, query, subscription.as_ref(), attempt);
        }
    }

    fn end_queries(&mut self, context: &mut Asking<'_>) {
        let now_us = context.now_us;
        let ended: Vec<Running> = self.running.extract_if(.., |running| running.ends_us <= now_us).collect();
        for running in &ended {
            let event = self.event(context, running, QueryState::Finished, running.ends_us, None);
            context.outbox.push(running.ends_us, event);
        }
        for index in 0..self.running.len() {
            if now_us - self.running[index].seen_us >= SEEN_RUNNING_US {
                self.running[index].seen_us = now_us;
                let event = self.event(context, &self.running[index], QueryState::Running, now_us, None);
                context.outbox.push(now_us, event);
            }
        }
    }

    fn weigh(&mut self, context: &mut Asking<'_>, node: usize) {
        let spec = &context.scenario.nodes[node];
        let now_us = context.now_us;
        let idle = bytes(spec.memory_idle) as f64;
        if self.nodes[node].up_since_us > now_us {
            self.nodes[node].memory_bytes = idle;
            return;
        }
        let here = self.running.iter().filter(|running| running.node == node);
        let queries: f64 = here.map(|running| running.memory_bytes(now_us)).sum();
        self.nodes[node].memory_bytes = idle + queries;
        if idle + queries <= bytes(spec.machine_memory) as f64 {
            return;
        }
        self.nodes[node].restarts_total += 1;
        self.nodes[node].up_since_us = now_us + micros(spec.restart_duration);
        self.nodes[node].memory_bytes = idle;
        let killed: Vec<Running> = self.running.extract_if(.., |running| running.node == node).collect();
        for running in &killed {
            self.fail(context, running, NODE_GONE);
        }
    }

    fn fail(&mut self, context: &mut Asking<'_>, running: &Running, code: i32) {
        let at_us = context.now_us.max(running.began_us) + 1_000;
        let event = self.event(context, running, QueryState::Failed, at_us, Some(code));
        context.outbox.push(at_us, event);
        let attempts = context.scenario.queries[running.query].attempts;
        if running.attempt < attempts && self.len() < QUERIES_MAX {
            self.retries.push((at_us + RETRY_US, running.query, running.subscription.clone(), running.attempt + 1));
        }
    }

    fn event(
        &self,
        context: &Asking<'_>,
        running: &Running,
        state: QueryState,
        at_us: Micros,
        exception_code: Option<i32>,
    ) -> Event {
        let spec: &QuerySpec = &context.scenario.queries[running.query];
        let done = match state {
            QueryState::Finished => 1.0,
            _ => ((at_us - running.began_us) as f64 / (running.ends_us - running.began_us).max(1) as f64).min(1.0),
        };
        let mut attributes = Attributes::default();
        attributes.insert("query_id", &format!("q-{}", running.number));
        let read = |whole: u64| Some((whole as f64 * running.work_factor * done) as u64);
        Event::Query(Box::new(QueryRun {
            timestamp: self.start.plus(at_us.div_euclid(1_000)),
            node: context.scenario.nodes[running.node].name.clone(),
            query: spec.query.clone(),
            fingerprint: spec.fingerprint.clone(),
            user: Some(spec.user.clone()),
            origin: Some(spec.origin.clone()),
            version: running.version.clone(),
            subscription: running.subscription.clone(),
            state: Some(state),
            duration_ms: Some((at_us - running.began_us).div_euclid(1_000) as f64),
            memory_bytes: Some(running.memory_bytes(at_us) as u64),
            read_rows: read(spec.read_rows),
            read_bytes: read(spec.read_bytes),
            exception_code,
            attributes,
        }))
    }
}

/// What asking a query needs of the rest.
pub(super) struct Asking<'a> {
    pub scenario: &'a PlatformScenario,
    pub queries: &'a [QueryNow],
    pub stream: &'a mut Stream,
    pub outbox: &'a mut Outbox,
    pub now_us: Micros,
}
