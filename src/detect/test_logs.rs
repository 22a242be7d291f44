//! Query traffic for tests: patterns with lognormal sizes on some nodes, through the real pipeline with the shipped rules.

pub use super::test_traffic::{Lcg, at};
use crate::alert::Rules;
use crate::config::FlowConfig;
use crate::detect::Limits;
use crate::flow::StreamId;
use crate::model::{
    AlertName, Attributes, Change, ChangeKind, Event, IncidentReport, Output, QueryRun, QueryState, Severity, Signal,
    Text, Transition, TransitionEvent,
};
use crate::pipeline::{Pipeline, Settings};

pub const GIB: f64 = 1_073_741_824.0;

/// Version, and factors of memory, duration and rows.
pub type Factors = (Option<&'static str>, f64, f64, f64);

/// One pattern's runs.
#[derive(Clone)]
pub struct Pattern {
    pub name: &'static str,
    pub origin: Option<&'static str>,
    pub per_minute: fn(f64) -> f64,
    pub memory_bytes: f64,
    pub sigma: f64,
    pub duration_ms: f64,
    pub rows: f64,
    /// Version and the factors of memory, duration and rows, by second and a number from 0 to 1.
    pub at: fn(f64, f64) -> Factors,
}

impl Pattern {
    pub fn new(name: &'static str, origin: &'static str) -> Self {
        Self {
            name,
            origin: Some(origin),
            per_minute: |_| 20.0,
            memory_bytes: 0.2 * GIB,
            sigma: 0.5,
            duration_ms: 2_000.0,
            rows: 1e6,
            at: |_, _| (Some("1.0"), 1.0, 1.0, 1.0),
        }
    }

    pub fn run(&self, seconds: f64, random: &mut Lcg) -> QueryRun {
        let (version, memory, duration, rows) = (self.at)(seconds, random.next());
        let spread = (self.sigma * random.normal_of_twelve()).exp();
        let size = |value: f64| -> Option<u64> {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let value = (value * spread) as u64;
            Some(value)
        };
        QueryRun {
            timestamp: at(seconds),
            node: Text::from(["ch-1", "ch-2"][usize::from(random.next() > 0.5)]),
            query: None,
            fingerprint: Some(Text::from(self.name)),
            user: Some(Text::from("web")),
            origin: self.origin.map(Text::from),
            version: version.map(Text::from),
            subscription: None,
            state: Some(QueryState::Finished),
            duration_ms: Some(self.duration_ms * duration * spread),
            memory_bytes: size(self.memory_bytes * memory),
            read_rows: size(self.rows * rows),
            read_bytes: size(self.rows * rows * 40.0),
            exception_code: None,
            attributes: Attributes::default(),
        }
    }
}

/// Runs of all patterns for `minutes`, in the order of time.
pub fn runs(patterns: &[Pattern], minutes: f64, seed: u64) -> Vec<Event> {
    let mut random = Lcg(seed);
    let mut events = Vec::new();
    for pattern in patterns {
        let mut seconds = 0.0;
        loop {
            seconds += -(1.0 - random.next()).ln() * 60.0 / (pattern.per_minute)(seconds).max(1e-3);
            if seconds > minutes * 60.0 {
                break;
            }
            events.push(Event::Query(Box::new(pattern.run(seconds, &mut random))));
        }
    }
    sorted(events)
}

pub fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(Event::timestamp);
    events
}

pub fn signal(seconds: f64, source: &str, metric: &str, value: f64) -> Event {
    Event::Signal(Signal {
        timestamp: at(seconds),
        source: Text::from(source),
        metric: Text::from(metric),
        value,
        attributes: Attributes::default(),
    })
}

/// Memory of both nodes every ten seconds: `used` and the limit, in GiB.
pub fn memory(minutes: f64, limit: f64, used: impl Fn(f64) -> f64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut seconds = 0.0;
    while seconds <= minutes * 60.0 {
        for source in ["clickhouse/ch-1", "clickhouse/ch-2"] {
            events.push(signal(seconds, source, "memory_used_bytes", used(seconds) * GIB));
            events.push(signal(seconds, source, "memory_limit_bytes", limit * GIB));
        }
        seconds += 10.0;
    }
    events
}

pub fn change(seconds: f64, kind: ChangeKind, service: &str, version: Option<&str>) -> Event {
    Event::Change(Change {
        timestamp: at(seconds),
        kind,
        service: Text::from(service),
        version: version.map(Text::from),
        title: None,
        url: None,
        attributes: Attributes::default(),
    })
}

pub fn replay(events: &[Event]) -> (Vec<Transition>, Vec<IncidentReport>) {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    let (mut transitions, mut incidents) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Transition(transition) => transitions.push(transition),
            Output::Incident(incident) => incidents.push(incident),
        }
    }
    (transitions, incidents)
}

pub fn firing(transitions: &[Transition], alert: AlertName) -> Vec<&Transition> {
    transitions.iter().filter(|t| t.event == TransitionEvent::Firing && t.alert == alert).collect()
}

pub fn pages(transitions: &[Transition]) -> Vec<&Transition> {
    transitions.iter().filter(|t| t.event == TransitionEvent::Firing && t.severity == Severity::Critical).collect()
}
