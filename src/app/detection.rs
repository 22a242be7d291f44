//! The task that owns the core: inputs in, outputs to everybody who wants them. It waits for no one but its input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::open_reports::{self, OpenReports};
use super::paging::Decision;
use super::reload::Replacement;
use super::status;
use crate::api::{self, Component, ComponentStatus, Health, View};
use crate::clock;
use crate::config::{StatusConfig, TopicsConfig};
use crate::flow::{FlowCounts, StreamId};
use crate::metrics::{Input, Metrics};
use crate::model::{
    AlertName, Chunk, Dimensions, FlowInput, IncidentReport, Output, Severity, TopicPartition, Transition,
    TransitionEvent,
};
use crate::pipeline::{Pipeline, Settings};
use crate::store::Takeover;

/// Without a transition the view is published this often at most.
const VIEW_PAUSE: Duration = Duration::from_millis(200);

/// Ended incidents that wait for the status page.
const ENDED_WAITING_MAX: usize = 1_000;

/// Where outputs go.
#[derive(Debug)]
pub struct Outlets {
    /// To receivers; never full for long.
    pub pages: mpsc::Sender<Arc<Transition>>,
    /// To ClickHouse; what does not fit is counted.
    pub store: mpsc::Sender<Output>,
    /// To ClickHouse too, once: what is known of incidents when this process is where the one before it was.
    pub takeover: Option<oneshot::Sender<Takeover>>,
    /// To the pager; it takes what comes at once.
    pub paging: mpsc::Sender<Decision>,
    /// To the API.
    pub view: watch::Sender<Arc<View>>,
    /// To the status page, where there is one.
    pub status: Option<mpsc::Sender<status::Note>>,
    /// To whoever looks on.
    pub observer: Option<mpsc::Sender<Output>>,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
}

/// What is decided again of the log that is read again after a start: it was told before, so only the pager hears of it,
/// which knows what it has said. What still fires at the end of it is told to all.
#[derive(Debug, Default)]
struct Again {
    /// Partitions of which nothing new was read yet.
    partitions: BTreeSet<TopicPartition>,
    /// How alerts came to fire that still do.
    firing: BTreeMap<(AlertName, Dimensions, Severity), Transition>,
}

impl Again {
    /// Takes in where a partition stands.
    fn note(&mut self, input: &FlowInput) {
        match input {
            FlowInput::Warm(chunk) => {
                self.partitions.insert(chunk.topic_partition.clone());
            }
            FlowInput::Chunk(chunk) => {
                self.partitions.remove(&chunk.topic_partition);
            }
            FlowInput::Idle(partition) | FlowInput::Revoked(partition) => {
                self.partitions.remove(partition);
            }
            FlowInput::Assigned(_) | FlowInput::Active(_) => {}
        }
    }

    fn keep(&mut self, transition: &Transition) {
        let key = (transition.alert, transition.labels.clone(), transition.severity);
        match transition.event {
            TransitionEvent::Pending => {}
            TransitionEvent::Firing => drop(self.firing.insert(key, transition.clone())),
            TransitionEvent::Resolved => drop(self.firing.remove(&key)),
        }
    }
}

/// The core and its surroundings.
#[derive(Debug)]
pub struct Detection {
    pipeline: Pipeline,
    topics: TopicsConfig,
    streams: BTreeMap<TopicPartition, StreamId>,
    again: Again,
    open_reports: OpenReports,
    /// Incidents that ended and that the status page has not heard of.
    ended: Vec<IncidentReport>,
    view: View,
    rejected: u64,
    counted: FlowCounts,
    outlets: Outlets,
}

impl Detection {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(
        settings: &Settings,
        topics: &TopicsConfig,
        components: Option<&StatusConfig>,
        outlets: Outlets,
    ) -> Self {
        let pipeline = Pipeline::new(settings).with_traffic();
        let pipeline = match components {
            Some(components) => pipeline.with_components(components),
            None => pipeline,
        };
        Self {
            pipeline,
            topics: topics.clone(),
            streams: BTreeMap::new(),
            again: Again::default(),
            open_reports: OpenReports::default(),
            ended: Vec::new(),
            view: View::default(),
            rejected: 0,
            counted: FlowCounts::default(),
            outlets,
        }
    }

    /// Detects until ingest has ended.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<FlowInput>,
        mut replacements: mpsc::Receiver<Replacement>,
        health: &Health,
    ) {
        health.set(Component::Detection, ComponentStatus::Ok, "", clock::now());
        let mut published = Instant::now();
        loop {
            let outputs = tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.again.note(&input);
                        self.end_again().await;
                        self.apply(&input)
                    }
                    None => break,
                },
                Some(replacement) = replacements.recv() => self.replace_rules(replacement),
            };
            let news = !outputs.is_empty();
            for output in &outputs {
                self.hand_out(output).await;
            }
            if news || published.elapsed() >= VIEW_PAUSE || inputs.is_empty() {
                let view = self.publish();
                decide(&self.outlets.paging, Decision { outputs, view }).await;
                published = Instant::now();
            }
        }
        self.publish();
    }

    fn apply(&mut self, input: &FlowInput) -> Vec<Output> {
        match input {
            FlowInput::Assigned(partition) => {
                let stream = self.stream(partition);
                self.pipeline.add_stream(stream);
                Vec::new()
            }
            FlowInput::Revoked(partition) => {
                let stream = self.stream(partition);
                self.pipeline.remove_stream(stream)
            }
            FlowInput::Idle(partition) => {
                let stream = self.stream(partition);
                self.pipeline.set_idle(stream)
            }
            // Its next event ends the idleness.
            FlowInput::Active(_) => Vec::new(),
            FlowInput::Chunk(chunk) => {
                if let Some(input) = Input::of(&self.topics, &chunk.topic_partition.topic) {
                    self.outlets.metrics.add_chunk(input, chunk);
                }
                self.rejected += chunk.rejections.len() as u64;
                self.apply_chunk(chunk)
            }
            // Counted by the process that read them first.
            FlowInput::Warm(chunk) => self.apply_chunk(chunk),
        }
    }

    fn replace_rules(&mut self, replacement: Replacement) -> Vec<Output> {
        let Replacement { rules, limits, done } = replacement;
        let (changes, outputs) = self.pipeline.replace_rules(&rules, &limits);
        // Who asked may have gone.
        let _ = done.send(changes);
        outputs
    }

    fn apply_chunk(&mut self, chunk: &Chunk) -> Vec<Output> {
        let stream = self.stream(&chunk.topic_partition);
        let mut outputs = Vec::new();
        for positioned in &chunk.events {
            outputs.extend(self.pipeline.apply(stream, &positioned.event));
        }
        outputs
    }

    /// Streams are numbered as they come; a partition keeps its number.
    fn stream(&mut self, partition: &TopicPartition) -> StreamId {
        let next = StreamId(u32::try_from(self.streams.len()).unwrap_or(u32::MAX));
        *self.streams.entry(partition.clone()).or_insert(next)
    }

    /// Once all partitions are where they were, what still fires is told.
    async fn end_again(&mut self) {
        if !self.again.partitions.is_empty() {
            return;
        }
        for transition in std::mem::take(&mut self.again.firing).into_values() {
            let _ = self.outlets.pages.send(Arc::new(transition)).await;
        }
    }

    async fn hand_out(&mut self, output: &Output) {
        match output {
            Output::Transition(transition) if !self.again.partitions.is_empty() => self.again.keep(transition),
            Output::Transition(transition) => {
                log(transition);
                self.outlets.metrics.add_transition(transition);
                // The notifier takes at once whatever comes; it is gone only when the service stops.
                let _ = self.outlets.pages.send(Arc::new(transition.clone())).await;
            }
            Output::Incident(incident) => {
                tracing::info!(incident = %incident.incident, summary = incident.summary, "incident ended");
                self.view.end_incident(incident);
                self.open_reports.ended(incident);
                self.end_for_public(incident);
            }
        }
        if let Some(observer) = &self.outlets.observer {
            let _ = observer.try_send(output.clone());
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outlets.store.try_send(output.clone()) {
            self.outlets.metrics.add_outputs_not_stored(1);
        }
    }

    /// Reports of open incidents go to history too. What storage has no room for is not waited for: a later report says
    /// more. Of a log that is read again nothing is told: what it tells of may have ended long ago.
    fn store_open(&mut self, open: &[IncidentReport]) {
        let store = &self.outlets.store;
        let room = open_reports::WAITING_MAX.saturating_sub(store.max_capacity() - store.capacity());
        let Some(watermark) = self.pipeline.watermark().filter(|_| self.again.partitions.is_empty()) else { return };
        if let Some(takeover) = self.outlets.takeover.take() {
            let known = open.iter().map(|report| report.incident.clone()).collect();
            // It is gone only when the service stops.
            let _ = takeover.send(Takeover { known, watermark, at: clock::now() });
        }
        for report in self.open_reports.due(open, watermark, Instant::now(), room) {
            let _ = store.try_send(Output::Incident(report));
        }
    }

    /// The status page is to hear of the end of an incident; at the bound of the oldest it does not.
    fn end_for_public(&mut self, incident: &IncidentReport) {
        if self.outlets.status.is_some() {
            self.ended.push(incident.clone());
            if self.ended.len() > ENDED_WAITING_MAX {
                self.ended.remove(0);
            }
        }
    }

    /// What was measured since goes to the status page. Without room it waits in the pipeline, which is bounded.
    fn note_status(&mut self, open: &[IncidentReport]) {
        let Some(status) = &self.outlets.status else { return };
        if let Ok(permit) = status.try_reserve() {
            let windows = self.pipeline.take_status_windows();
            let mut reports = std::mem::take(&mut self.ended);
            if !windows.is_empty() || !reports.is_empty() {
                reports.extend(open.iter().cloned());
                permit.send(status::Note { windows, reports });
            }
        }
        let lost = self.pipeline.status_windows_lost();
        self.outlets.metrics.set_status_windows_lost(lost);
    }

    fn publish(&mut self) -> Arc<View> {
        let open = self.pipeline.open_incidents();
        self.store_open(&open);
        self.note_status(&open);
        let counts = self.pipeline.counts();
        let metrics = &self.outlets.metrics;
        metrics.add_late(counts.late - self.counted.late);
        metrics.add_windows_closed(counts.windows_closed - self.counted.windows_closed);
        metrics.add_indistinct(counts.overflowed.saturating_sub(self.counted.overflowed));
        self.counted = counts;
        self.view.watermark = self.pipeline.watermark();
        self.view.traffic = self.pipeline.traffic();
        self.view.counts = api::Counts { events: counts.events, rejected: self.rejected, late: counts.late };
        self.view.set_active(self.pipeline.alerts(api::ALERTS_MAX + 1), open);
        if let Some(watermark) = self.view.watermark {
            metrics.set_watermark(watermark);
        }
        metrics.set_alerts_firing(self.view.firing());
        metrics.set_incidents_open(self.view.incidents_open());
        let view = Arc::new(self.view.clone());
        self.outlets.view.send_replace(Arc::clone(&view));
        view
    }
}

/// Tells the pager. It must hear every output; of time alone the next decision tells as well.
async fn decide(paging: &mpsc::Sender<Decision>, decision: Decision) {
    if decision.outputs.is_empty() {
        let _ = paging.try_send(decision);
    } else {
        // It is gone only when the service stops.
        let _ = paging.send(decision).await;
    }
}

fn log(transition: &Transition) {
    let (alert, severity) = (transition.alert.as_str(), transition.severity.as_str());
    let (labels, at) = (transition.labels.to_string(), transition.at.to_string());
    let summary = transition.summary.as_str();
    match transition.event {
        TransitionEvent::Firing => tracing::warn!(alert, severity, labels, at, summary, "alert fires"),
        TransitionEvent::Resolved => tracing::info!(alert, severity, labels, at, summary, "alert resolved"),
        TransitionEvent::Pending => tracing::debug!(alert, severity, labels, at, summary, "alert pending"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn what_was_decided_again_is_told_only_where_it_still_fires() {
        let partition = |number| TopicPartition { topic: "requests".into(), partition: number };
        let chunk = |number| {
            let (events, rejections) = (Vec::new(), Vec::new());
            Arc::new(Chunk {
                topic_partition: partition(number),
                start: 0,
                end: 1,
                messages: 1,
                bytes: 0,
                events,
                rejections,
            })
        };
        let mut again = Again::default();
        again.note(&FlowInput::Warm(chunk(0)));
        again.note(&FlowInput::Warm(chunk(1)));
        again.note(&FlowInput::Chunk(chunk(0)));
        assert!(!again.partitions.is_empty(), "the other one is still read again");
        let said = |version: &str, event| Transition { event, ..samples::transition_of(version) };
        again.keep(&said("3.9.0", TransitionEvent::Firing));
        again.keep(&said("4.0.0", TransitionEvent::Firing));
        again.keep(&said("3.9.0", TransitionEvent::Resolved));
        again.keep(&said("4.1.0", TransitionEvent::Pending));
        again.note(&FlowInput::Idle(partition(1)));
        assert!(again.partitions.is_empty());
        assert_eq!(again.firing.into_values().collect::<Vec<_>>(), [said("4.0.0", TransitionEvent::Firing)]);
    }
}
