//! Probes that run in a test, and what they tell.

use std::time::Duration;

use floodmark::config::ProbesConfig;
use floodmark::ingest::probes::{ProbeState, ProbeStatus, Probes};
use floodmark::model::{Event, QueryRun};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::service::PATIENCE;

/// `[probes]` from TOML, with every interval as short as tests want it.
pub fn config(text: &str) -> ProbesConfig {
    let mut config: ProbesConfig = toml::from_str(text).unwrap();
    let interval = floodmark::config::Span(Duration::from_millis(100));
    config.redis.iter_mut().for_each(|probe| probe.interval = interval);
    config.prometheus.iter_mut().for_each(|probe| probe.interval = interval);
    config.clickhouse.iter_mut().for_each(|probe| probe.interval = interval);
    config
}

/// Running probes; they stop with the test.
pub struct RunningProbes {
    pub events: mpsc::Receiver<Vec<Event>>,
    pub status: watch::Receiver<Vec<ProbeStatus>>,
    _stop: DropGuard,
}

impl RunningProbes {
    /// Starts them, with room for `bound` readings.
    pub fn start(config: &ProbesConfig, bound: usize) -> Self {
        let probes = Probes::new(config).unwrap();
        let (sender, events) = mpsc::channel(bound);
        let (status, stop) = (probes.status(), CancellationToken::new());
        tokio::spawn(probes.run(sender, stop.clone()));
        Self { events, status, _stop: stop.drop_guard() }
    }

    /// Readings until one satisfies `enough`.
    pub async fn until<T>(&mut self, what: &str, mut enough: impl FnMut(&[Event]) -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let events = self.events.recv().await.expect("the probes run");
                if let Some(found) = enough(&events) {
                    return found;
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}: {:#?}", self.status.borrow()))
    }

    /// Waits for the first probe's status.
    pub async fn until_status(&mut self, what: &str, enough: impl Fn(&ProbeStatus) -> bool) -> ProbeStatus {
        let waited = tokio::time::timeout(PATIENCE, self.status.wait_for(|statuses| enough(&statuses[0])));
        let statuses = waited.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}")).unwrap();
        statuses[0].clone()
    }

    /// Waits until the first probe's target answers or does not.
    pub async fn until_state(&mut self, state: ProbeState) -> ProbeStatus {
        self.until_status(&format!("{state:?}"), |status| status.state == state).await
    }
}

/// The value of a signal.
pub fn value(events: &[Event], source: &str, metric: &str) -> Option<f64> {
    events.iter().find_map(|event| match event {
        Event::Signal(signal) if signal.source == source && signal.metric == metric => Some(signal.value),
        _ => None,
    })
}

/// The query events.
pub fn queries(events: &[Event]) -> impl Iterator<Item = &QueryRun> {
    events.iter().filter_map(|event| match event {
        Event::Query(run) => Some(&**run),
        _ => None,
    })
}
