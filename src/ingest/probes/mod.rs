//! Looks at other systems by itself, each on its own timer: Redis, Prometheus text endpoints, ClickHouse.
//!
//! What they tell becomes events like those that come through Kafka. A target that is away is no error of ours: it is
//! logged once, shown in [`ProbeStatus`], and looked at again.

mod clickhouse;
mod clickhouse_cursor;
mod clickhouse_rows;
mod error;
mod http;
mod prometheus;
mod prometheus_text;
mod redis;
mod redis_info;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::ProbesConfig;
use crate::model::{Attributes, Event, Signal, Text, Timestamp};
pub use error::ProbeError;
pub use status::{ProbeKind, ProbeState, ProbeStatus};

/// A probe cannot be made: one of its files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("probe {probe}: {source}")]
pub struct ProbeSetupError {
    /// `redis/main`.
    pub probe: String,
    /// Why.
    pub source: ProbeError,
}

/// What one look came to.
#[derive(Debug)]
pub struct Reading {
    /// What the target told.
    pub events: Vec<Event>,
    /// What could not be read, although the target answers.
    pub note: Option<String>,
}

/// All configured probes, not yet running.
#[derive(Debug)]
pub struct Probes {
    probes: Vec<Probe>,
    statuses: Arc<watch::Sender<Vec<ProbeStatus>>>,
}

#[derive(Debug)]
struct Probe {
    id: String,
    interval: Duration,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Redis(redis::RedisProbe),
    Prometheus(prometheus::PrometheusProbe),
    ClickHouse(Box<clickhouse::ClickHouseProbe>),
}

impl Target {
    async fn look(&mut self) -> Result<Reading, ProbeError> {
        let now = clock::now();
        match self {
            Self::Redis(probe) => probe.look(now).await,
            Self::Prometheus(probe) => probe.look(now).await,
            Self::ClickHouse(probe) => probe.look(now).await,
        }
    }
}

impl Probes {
    /// Makes the probes; reads the files that the configuration names, connects to nothing.
    ///
    /// # Errors
    /// A file of a secret or of certificate authorities cannot be used.
    pub fn new(config: &ProbesConfig) -> Result<Self, ProbeSetupError> {
        let now = clock::now();
        let (mut probes, mut statuses) = (Vec::new(), Vec::new());
        let mut add = |kind, name: &str, interval: crate::config::Span, target: Result<Target, ProbeError>| {
            let status = ProbeStatus::new(kind, name, now);
            let id = status.id();
            let target = target.map_err(|source| ProbeSetupError { probe: id.clone(), source })?;
            probes.push(Probe { id, interval: interval.0, target });
            statuses.push(status);
            Ok(())
        };
        for probe in &config.redis {
            add(ProbeKind::Redis, &probe.name, probe.interval, redis::RedisProbe::new(probe).map(Target::Redis))?;
        }
        for probe in &config.prometheus {
            let target = prometheus::PrometheusProbe::new(probe).map(Target::Prometheus);
            add(ProbeKind::Prometheus, &probe.name, probe.interval, target)?;
        }
        for probe in &config.clickhouse {
            let target = clickhouse::ClickHouseProbe::new(probe).map(|probe| Target::ClickHouse(Box::new(probe)));
            add(ProbeKind::Clickhouse, &probe.name, probe.interval, target)?;
        }
        Ok(Self { probes, statuses: Arc::new(watch::Sender::new(statuses)) })
    }

    /// Follows how every probe is doing, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Vec<ProbeStatus>> {
        self.statuses.subscribe()
    }

    /// Looks at every target, each on its own timer and from now on, until `stop`, or until nobody takes the events. What
    /// finds no room in `out` is dropped and counted: an old reading is worth less than the next one.
    pub async fn run(self, out: mpsc::Sender<Vec<Event>>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for (place, probe) in self.probes.into_iter().enumerate() {
            let reporter = Reporter { place, out: out.clone(), statuses: Arc::clone(&self.statuses) };
            tasks.spawn(watch_target(probe, reporter, stop.clone()));
        }
        drop(out);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    // A probe that panics is a mistake of ours: it must not go on missing unseen.
                    if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
                // A service without probes must not end for it.
                else => {
                    stop.cancelled().await;
                    break;
                }
            }
        }
        tasks.shutdown().await;
    }

    /// Looks at every target once, all at the same time: what would be sent, by probe, in the order of the configuration.
    pub async fn look_once(self) -> Vec<(String, Result<Reading, ProbeError>)> {
        let ids: Vec<String> = self.probes.iter().map(|probe| probe.id.clone()).collect();
        let mut tasks = JoinSet::new();
        for (place, mut probe) in self.probes.into_iter().enumerate() {
            tasks.spawn(async move { (place, probe.target.look().await) });
        }
        let mut looks = tasks.join_all().await;
        looks.sort_by_key(|(place, _)| *place);
        ids.into_iter().zip(looks.into_iter().map(|(_, look)| look)).collect()
    }
}

/// Where one probe says what it found, and how it is.
struct Reporter {
    place: usize,
    out: mpsc::Sender<Vec<Event>>,
    statuses: Arc<watch::Sender<Vec<ProbeStatus>>>,
}

async fn watch_target(mut probe: Probe, reporter: Reporter, stop: CancellationToken) {
    // The timer takes no 0; a configuration that was checked has at least a second.
    let mut ticks = tokio::time::interval(probe.interval.max(Duration::from_millis(1)));
    // After a stall one look is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let look = tokio::select! {
            () = stop.cancelled() => return,
            look = probe.target.look() => look,
        };
        if !reporter.report(&probe.id, look) {
            return;
        }
    }
}

impl Reporter {
    /// Sends a reading and notes how it went; tells whether anybody still listens.
    fn report(&self, probe: &str, look: Result<Reading, ProbeError>) -> bool {
        let (events, result) = match look {
            Ok(reading) => (reading.events, Ok(reading.note)),
            Err(error) => (Vec::new(), Err(error.to_string())),
        };
        let count = events.len() as u64;
        let sent = if events.is_empty() { Ok(()) } else { self.out.try_send(events) };
        let listening = !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)));
        self.statuses.send_modify(|statuses| {
            let Some(status) = statuses.get_mut(self.place) else { return };
            if sent.is_ok() {
                status.events += count;
            } else {
                status.events_dropped += count;
            }
            let (changed, noted) = status.update(result.as_ref().map_err(Clone::clone), clock::now());
            match &result {
                Ok(_) if changed => tracing::info!(probe, "probe target answers"),
                Err(error) if changed => tracing::warn!(probe, error, "probe target cannot be read"),
                Ok(_) | Err(_) => {}
            }
            if noted {
                tracing::warn!(probe, note = status.note, "probe target can be read in part");
            }
        });
        listening
    }
}

fn signal(timestamp: Timestamp, source: &str, metric: &str, value: f64) -> Event {
    let (source, metric) = (Text::from(source), Text::from(metric));
    Event::Signal(Signal { timestamp, source, metric, value, attributes: Attributes::default() })
}
