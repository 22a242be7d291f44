//! The pure core, whole: events in, transitions and incidents out. Live, replay and backtest run exactly this.
//!
//! `apply` takes one event at a time; how events are batched, and the order of events inside the allowed lateness, never
//! shows in what comes out.

use crate::alert::{AlertChange, AlertKey, AlertStates, Judgement, Rule, RuleChanges, RuleSet, Rules};
use crate::config::{FlowConfig, StatusConfig};
use crate::detect::{Detector, Finding, Limits, Role, Scene};
use crate::flow::{
    Assembler, CellKey, ClosedWindow, FlowCounts, Name, Recent, RunningQueries, SignalHistory, StreamId, Traffic,
    TrafficSteps,
};
use crate::incident::Incidents;
use crate::model::{
    AlertName, Dimension, Dimensions, Event, IncidentReport, Output, Summary, Timestamp, Transition, TransitionEvent,
};
use crate::status::{Meter, StatusWindow};

/// Everything the core is told at the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Windows, lateness and bounds.
    pub flow: FlowConfig,
    /// Rules, each with a detector of its own.
    pub rules: Rules,
    /// Request limits.
    pub limits: Limits,
}

/// The core's state. One owner; no clock, no I/O.
#[derive(Debug)]
pub struct Pipeline {
    assembler: Assembler,
    recent: Recent,
    signals: SignalHistory,
    running: RunningQueries,
    rules: RuleSet,
    states: AlertStates,
    incidents: Incidents,
    fired_total: u64,
    /// Only where somebody looks on.
    traffic: Option<Traffic>,
    /// Only where the public is told of components.
    components: Option<Meter>,
}

impl Pipeline {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            assembler: Assembler::new(&settings.flow),
            recent: Recent::default(),
            signals: SignalHistory::default(),
            running: RunningQueries::default(),
            rules: RuleSet::new(&settings.rules, &settings.limits),
            states: AlertStates::default(),
            incidents: Incidents::default(),
            fired_total: 0,
            traffic: None,
            components: None,
        }
    }

    /// The same, keeping the last hours of traffic for people who look on. It changes nothing that is said.
    #[must_use]
    pub fn with_traffic(self) -> Self {
        Self { traffic: Some(Traffic::default()), ..self }
    }

    /// The same, counting windows by component for the status page. It changes nothing that is said.
    #[must_use]
    pub fn with_components(self, config: &StatusConfig) -> Self {
        Self { components: Some(Meter::new(config)), ..self }
    }

    /// Puts other rules and limits in force, from the next window on. A rule that looks for the same keeps what its
    /// detector has seen; an alert of a rule that is gone resolves at once, as of what is decided.
    pub fn replace_rules(&mut self, rules: &Rules, limits: &Limits) -> (RuleChanges, Vec<Output>) {
        let before: Vec<Rule> = self.rules.iter().map(|(rule, _)| rule.clone()).collect();
        let changes = self.rules.replace(rules, limits);
        let at = self.assembler.decided_until().unwrap_or_default();
        let kept = self.rules.keys();
        let gone = self.states.remove_unless(&|key| kept.iter().any(|rule| key.is_of(rule)));
        let mut outputs = Vec::new();
        for change in gone {
            let runbook = before.iter().find(|rule| change.key.is_of(&rule.key())).map(Rule::runbook);
            let resolved = self.incidents.resolve(&change, at, &runbook.unwrap_or_default());
            outputs.push(Output::Transition(resolved));
        }
        self.incidents.keep_active(&|key| self.states.is_active(key));
        (changes, outputs)
    }

    /// A stream exists; it holds the watermark until it has events or is idle.
    pub fn add_stream(&mut self, stream: StreamId) {
        self.assembler.watermark_mut().add(stream);
    }

    /// A stream is gone. What was waiting for it is decided.
    pub fn remove_stream(&mut self, stream: StreamId) -> Vec<Output> {
        self.assembler.watermark_mut().remove(stream);
        self.close_windows()
    }

    /// A stream is read to its end and silent. What was waiting for it is decided.
    pub fn set_idle(&mut self, stream: StreamId) -> Vec<Output> {
        self.assembler.watermark_mut().set_idle(stream);
        self.close_windows()
    }

    /// Takes one event of a stream in and gives what it made certain.
    pub fn apply(&mut self, stream: StreamId, event: &Event) -> Vec<Output> {
        self.assembler.apply(stream, event);
        self.close_windows()
    }

    /// The log has ended: decides what is left and reports what is open.
    pub fn finish(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(window) = self.assembler.finish_next() {
            self.decide(&window, &mut outputs);
        }
        outputs.extend(self.incidents.finish());
        outputs
    }

    fn close_windows(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(window) = self.assembler.close_next() {
            self.decide(&window, &mut outputs);
        }
        outputs
    }

    fn decide(&mut self, window: &ClosedWindow, outputs: &mut Vec<Output>) {
        let at = window.end;
        outputs.extend(self.incidents.tick(window.start));
        self.recent.push(window);
        self.signals.push(window, self.assembler.names());
        let names = self.assembler.names();
        if let Some(traffic) = &mut self.traffic {
            traffic.push(window, names);
        }
        if let Some(components) = &mut self.components {
            components.push(window, names);
        }
        self.running.push(window);
        let sources = self.signals.sorted(names);
        let scene = Scene {
            window,
            recent: &self.recent,
            signals: &self.signals,
            sources: &sources,
            running: &self.running,
            query_texts: self.assembler.query_texts(),
            changes: self.assembler.changes(),
            names,
        };
        self.incidents.push(&scene);
        let judge = |key: &AlertKey, role: Role| judge(key, role, &scene);
        for (rule, detector) in self.rules.iter_mut() {
            let mut findings = detector.observe(&scene);
            findings.iter_mut().for_each(Finding::say_where_nothing_is_narrower);
            let known = |gone| if gone { Judgement::Gone } else { Judgement::Unknown };
            let judge = |key: &AlertKey, role: Role| {
                detector.judged(&key.labels, &scene).map_or_else(|| judge(key, role), known)
            };
            let changes = self.states.step(rule, at, findings, &judge);
            for change in changes {
                self.fired_total += u64::from(change.event == TransitionEvent::Firing);
                let log = self.assembler.changes();
                let transition = self.incidents.apply(&change, &scene, log, &rule.runbook());
                outputs.push(Output::Transition(transition));
            }
        }
        for active in self.states.firing_causes() {
            self.incidents.observe(&active, &scene, self.assembler.changes());
        }
        self.incidents.keep_active(&|key| self.states.is_active(key));
        outputs.extend(self.incidents.tick(at));
    }

    /// Alerts that fire now, then those that are pending, each worst first, as their transition would say it; no more than
    /// `max`.
    pub fn alerts(&self, max: usize) -> Vec<Transition> {
        let at = self.assembler.decided_until().unwrap_or_default();
        let runbook = |change: &AlertChange| {
            let of_alert = |(rule, _): &&(Rule, Box<dyn Detector>)| change.key.is_of(&rule.key());
            self.rules.iter().find(of_alert).map(|(rule, _)| rule.runbook()).unwrap_or_default()
        };
        self.states.active(max).map(|change| self.incidents.describe(&change, at, &runbook(&change))).collect()
    }

    /// Incidents that are not over.
    #[must_use]
    pub fn open_incidents(&self) -> Vec<IncidentReport> {
        self.incidents.view().open
    }

    /// The last hours of traffic; empty unless they are kept.
    pub fn traffic(&mut self) -> TrafficSteps {
        let names = self.assembler.names();
        self.traffic.as_mut().map(|traffic| traffic.steps(names)).unwrap_or_default()
    }

    /// Windows by component that were closed since the last time, the oldest first; none unless they are counted.
    pub fn take_status_windows(&mut self) -> Vec<StatusWindow> {
        self.components.as_mut().map(Meter::take).unwrap_or_default()
    }

    /// Windows by component that nobody took in time: gaps of what the public is told.
    #[must_use]
    pub fn status_windows_lost(&self) -> u64 {
        self.components.as_ref().map_or(0, Meter::lost)
    }

    /// Event time up to which everything is decided.
    #[must_use]
    pub fn watermark(&self) -> Option<Timestamp> {
        self.assembler.decided_until()
    }

    /// What went through.
    #[must_use]
    pub fn counts(&self) -> FlowCounts {
        let counts = self.assembler.counts();
        let overflowed = counts.overflowed
            + self.rules.overflowed()
            + self.signals.overflowed()
            + self.running.overflowed()
            + self.states.overflowed();
        FlowCounts { overflowed, ..counts }
    }

    /// The last line of a replay, given how many records the decoder refused.
    #[must_use]
    pub fn summary(&self, rejected: u64) -> Summary {
        let counts = self.counts();
        Summary {
            event: "summary",
            events: counts.events,
            rejected,
            late: counts.late,
            watermark: self.watermark(),
            alerts: self.fired_total,
            incidents: self.incidents.fired_total(),
        }
    }
}

/// What the window says of an alert whose condition was not found in it: absent data is not zero.
fn judge(key: &AlertKey, role: Role, scene: &Scene<'_>) -> Judgement {
    let labels = &key.labels;
    let gone_if = |known: bool| if known { Judgement::Gone } else { Judgement::Unknown };
    if labels.get(Dimension::Fingerprint).or(labels.get(Dimension::Node)).is_some() {
        // Queries come when they come: their detectors remember for how long one counts.
        return Judgement::Gone;
    }
    if let Some(source) = labels.get(Dimension::Source) {
        let history = scene.names.known(source).and_then(|name| scene.signals.get(name));
        // A source that is forgotten was removed: its alerts end.
        return gone_if(history.is_none_or(|history| history.is_current(scene.window.end)));
    }
    if scene.window.total.requests == 0 {
        return Judgement::Unknown;
    }
    // Who stops doing harm has stopped. Who stops answering is not well, whether it failed fast or slowly.
    let is_symptom = role == Role::Symptom || key.alert == AlertName::ErrorBudgetBurn;
    if is_symptom && !has_requests(labels, scene) { Judgement::Silent } else { Judgement::Gone }
}

/// What a dimension is of a request's key.
type Part = fn(&CellKey) -> Name;

/// Whether the window has a request that fits the labels.
fn has_requests(labels: &Dimensions, scene: &Scene<'_>) -> bool {
    let part: fn(Dimension) -> Option<Part> = |dimension| match dimension {
        Dimension::Subscription => Some(|key| key.subscription),
        Dimension::Client => Some(|key| key.client),
        Dimension::ClientVersion => Some(|key| key.client_version),
        Dimension::Service => Some(|key| key.service),
        Dimension::Caller => Some(|key| key.caller),
        Dimension::Route => Some(|key| key.route),
        _ => None,
    };
    let wanted = labels.0.iter().filter_map(|(dimension, value)| Some((part(*dimension)?, scene.names.known(value))));
    let wanted: Vec<(Part, Option<Name>)> = wanted.collect();
    let fits = |key: &CellKey| wanted.iter().all(|(part, name)| *name == Some(part(key)));
    scene.window.cells.iter().any(|(key, cell)| cell.requests > 0 && fits(key))
}
