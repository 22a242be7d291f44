//! Hand-made traffic between services, for the tests of detectors: a random stream, requests, and a run of the core.

use crate::alert::Rules;
use crate::config::FlowConfig;
use crate::detect::Limits;
use crate::flow::StreamId;
use crate::model::{
    AlertName, Attributes, Event, IncidentReport, Output, Request, Severity, Signal, Text, Timestamp, Transition,
    TransitionEvent,
};
use crate::pipeline::{Pipeline, Settings};

/// A moment, in seconds of the log.
pub fn at(seconds: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation)]
    let ms = (seconds * 1_000.0) as i64;
    Timestamp::from_millis(1_772_352_000_000 + ms)
}

/// A small linear congruential generator: the tests must not depend on a crate's stream.
pub struct Lcg(pub u64);

impl Lcg {
    /// Uniform in 0..1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss)]
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.next()).ln()).sqrt() * (2.0 * std::f64::consts::PI * self.next()).cos()
    }

    /// Roughly standard normal, within six deviations: the sum of twelve.
    pub fn normal_of_twelve(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }

    /// Roughly Poisson: a whole number with this mean and variance.
    pub fn count(&mut self, mean: f64) -> f64 {
        (mean + mean.sqrt() * self.normal_of_twelve()).round().max(0.0)
    }

    /// Log-normal with this median and σ = 0.5.
    pub fn duration_ms(&mut self, median: f64) -> f64 {
        median * (0.5 * self.normal()).exp()
    }

    /// Moments of a Poisson process with a rate (a second) that depends on time, from `from` to `to` seconds.
    pub fn arrivals(&mut self, from: f64, to: f64, rate: impl Fn(f64) -> f64, rate_max: f64) -> Vec<f64> {
        let (mut time, mut times) = (from, Vec::new());
        loop {
            time += -(1.0 - self.next()).ln() / rate_max;
            if time >= to {
                return times;
            }
            if self.next() * rate_max < rate(time) {
                times.push(time);
            }
        }
    }

    /// A whole number below `count`, each as likely.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn below(&mut self, count: u32) -> u32 {
        (self.next() * f64::from(count)) as u32
    }

    /// A whole number with this mean: the fraction by chance.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn times(&mut self, mean: f64) -> u32 {
        let whole = mean.floor();
        whole as u32 + u32::from(self.next() < mean - whole)
    }
}

/// A request to a service; `caller` is empty at the edge.
pub fn request(seconds: f64, subscription: u32, (caller, service, route): (&str, &str, &str)) -> Request {
    Request {
        timestamp: at(seconds),
        subscription: Text::from(format!("tenant-{subscription}")),
        caller: (!caller.is_empty()).then(|| Text::from(caller)),
        service: Some(Text::from(service)),
        route: Text::from(route),
        status: 200,
        duration_ms: 20.0,
        ..Request::default()
    }
}

/// A reading.
pub fn signal(seconds: f64, source: &str, metric: &str, value: f64) -> Event {
    Event::Signal(Signal {
        timestamp: at(seconds),
        source: Text::from(source),
        metric: Text::from(metric),
        value,
        attributes: Attributes::default(),
    })
}

/// What came of a log.
pub struct Told {
    /// All transitions.
    pub transitions: Vec<Transition>,
    /// All incidents.
    pub incidents: Vec<IncidentReport>,
}

impl Told {
    /// Alerts of a name that fired.
    pub fn fired(&self, alert: AlertName) -> Vec<&Transition> {
        self.transitions.iter().filter(|t| t.event == TransitionEvent::Firing && t.alert == alert).collect()
    }

    /// Alerts of a name that wake a person.
    pub fn pages(&self, alert: AlertName) -> Vec<&Transition> {
        self.fired(alert).into_iter().filter(|t| t.severity == Severity::Critical).collect()
    }

    /// Whether anybody was woken, and by what.
    pub fn critical(&self) -> Vec<&str> {
        let fired = self.transitions.iter().filter(|t| t.event == TransitionEvent::Firing);
        fired.filter(|t| t.severity == Severity::Critical).map(|t| t.summary.as_str()).collect()
    }
}

/// Runs events, put in order of time, through the core with the shipped rules.
pub fn run(mut events: Vec<Event>) -> Told {
    events.sort_by_key(Event::timestamp);
    run_in_order(&events)
}

/// Runs events through the core as they come.
pub fn run_in_order(events: &[Event]) -> Told {
    run_with(Rules::shipped().unwrap(), events)
}

/// Runs events through a core with other rules.
pub fn run_with(rules: Rules, events: &[Event]) -> Told {
    let settings = Settings { flow: FlowConfig::default(), rules, limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut told = Told { transitions: Vec::new(), incidents: Vec::new() };
    let mut take = |outputs: Vec<Output>| {
        for output in outputs {
            match output {
                Output::Transition(transition) => told.transitions.push(transition),
                Output::Incident(incident) => told.incidents.push(incident),
            }
        }
    };
    for event in events {
        take(pipeline.apply(StreamId(0), event));
    }
    take(pipeline.finish());
    told
}
