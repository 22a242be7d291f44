//! Detectors of signals through the whole core, with the shipped rules, on hand-made logs.

mod memory;
mod pools;
mod restarts;
mod saturation;

use super::test_traffic::{Lcg, at};
use crate::alert::Rules;
use crate::config::FlowConfig;
use crate::detect::Limits;
use crate::flow::StreamId;
use crate::model::{
    AlertName, Attributes, Dimension, Event, IncidentReport, Output, Request, Severity, Signal, Text, Transition,
    TransitionEvent,
};
use crate::pipeline::{Pipeline, Settings};

/// Events in the making.
#[derive(Default)]
pub(super) struct Log {
    pub events: Vec<Event>,
}

impl Log {
    pub(super) fn signal(&mut self, seconds: f64, source: &str, metric: &str, value: f64) {
        self.events.push(Event::Signal(Signal {
            timestamp: at(seconds),
            source: Text::from(source),
            metric: Text::from(metric),
            value,
            attributes: Attributes::default(),
        }));
    }

    /// Requests at the edge from `from` on, by rate a second, share that fails and time to answer, each by second.
    pub(super) fn requests(
        &mut self,
        seconds: f64,
        per_second: impl Fn(f64) -> f64,
        failing: impl Fn(f64) -> f64,
        duration_ms: impl Fn(f64) -> f64,
    ) {
        let mut random = Lcg(99);
        let mut time = 0.0;
        while time < seconds {
            time += -(1.0 - random.next()).ln() / per_second(time).max(0.01);
            let failed = random.next() < failing(time);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let subscription = (random.next() * 30.0) as u32;
            self.events.push(Event::Request(Request {
                timestamp: at(time),
                subscription: Text::from(format!("org-{subscription}")),
                service: Some(Text::from("gateway")),
                route: Text::from("GET /v1/things"),
                status: if failed { 503 } else { 200 },
                duration_ms: duration_ms(time) * (0.5 + random.next()),
                ..Request::default()
            }));
        }
    }

    /// As many requests as `load` says, at one moment.
    pub(super) fn requests_at(&mut self, seconds: f64, load: f64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        for _ in 0..load as u32 {
            self.events.push(Event::Request(Request {
                timestamp: at(seconds),
                subscription: Text::from("org-1"),
                service: Some(Text::from("gateway")),
                route: Text::from("GET /v1/things"),
                status: 200,
                duration_ms: 50.0,
                ..Request::default()
            }));
        }
    }

    pub(super) fn run(mut self) -> Outcome {
        self.events.sort_by_key(Event::timestamp);
        run(&self.events)
    }
}

/// What came out.
pub(super) struct Outcome {
    pub transitions: Vec<Transition>,
    pub incidents: Vec<IncidentReport>,
}

pub(super) fn run(events: &[Event]) -> Outcome {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    let mut outcome = Outcome { transitions: Vec::new(), incidents: Vec::new() };
    for output in outputs {
        match output {
            Output::Transition(transition) => outcome.transitions.push(transition),
            Output::Incident(incident) => outcome.incidents.push(incident),
        }
    }
    outcome
}

impl Outcome {
    /// Alerts that fired, in order.
    pub(super) fn fired(&self, alert: AlertName, severity: Severity) -> Vec<&Transition> {
        let matches =
            |t: &&Transition| t.event == TransitionEvent::Firing && t.alert == alert && t.severity == severity;
        self.transitions.iter().filter(matches).collect()
    }

    /// The first firing, with its source checked; and how many seconds after the log's beginning.
    pub(super) fn first(&self, alert: AlertName, severity: Severity, source: &str) -> (&Transition, f64) {
        let fired = self.fired(alert, severity);
        let first = fired.first().unwrap_or_else(|| panic!("no {alert}: {}", self.told()));
        assert_eq!(first.labels.get(Dimension::Source), Some(source), "{first:#?}");
        assert_eq!(first.causes[0].dimensions.get(Dimension::Source), Some(source), "{first:#?}");
        #[allow(clippy::cast_precision_loss)]
        let seconds = first.at.since(at(0.0)) as f64 / 1_000.0;
        (first, seconds)
    }

    /// Everything that fired, for messages.
    pub(super) fn told(&self) -> String {
        let line = |t: &Transition| {
            format!("{} {} {} {}: {}", t.at, t.event.as_str(), t.severity.as_str(), t.alert, t.summary)
        };
        self.transitions.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn pages(&self) -> Vec<&Transition> {
        self.transitions
            .iter()
            .filter(|t| t.event == TransitionEvent::Firing && t.severity == Severity::Critical)
            .collect()
    }

    #[track_caller]
    pub(super) fn assert_nobody_is_woken(&self) {
        assert!(self.pages().is_empty(), "{}", self.told());
    }

    /// Nothing fires; slow requests may be called slow.
    #[track_caller]
    pub(super) fn assert_silent(&self) {
        let fires = |t: &Transition| t.event == TransitionEvent::Firing && t.alert != AlertName::LatencyRegression;
        assert!(!self.transitions.iter().any(fires), "{}", self.told());
    }
}
