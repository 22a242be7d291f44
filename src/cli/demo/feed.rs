//! The demo's traffic: a simulation, paced, into Kafka, on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::event_sink::{EventSink, KafkaSink};
use crate::cli::simulate::Speed;
use crate::config::{FlowConfig, KafkaConfig};
use crate::model::{Event, Timestamp};
use crate::sim::{Pace, ScenarioFile};

/// Waits shorter than this are not worth it.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// Records among the traffic that nobody can read: the dead-letter topic has to account for them.
pub const BROKEN_RECORDS: u64 = 5;
/// One of them after every so many events.
const EVENTS_A_BROKEN_RECORD: u64 = 1_000;

/// What was fed, acknowledged by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Produced {
    /// Records: events and broken ones.
    pub records: u64,
    /// Of these, broken on purpose.
    pub broken: u64,
    /// Watermarks: promises, not records.
    pub watermarks: u64,
}

/// How far the feed is.
#[derive(Debug)]
pub enum Progress {
    /// Under way.
    Feeding {
        /// Event time reached.
        at: Timestamp,
        /// Events sent.
        events: u64,
    },
    /// Over.
    Done(anyhow::Result<Produced>),
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    at_ms: AtomicI64,
    events: AtomicU64,
    done: Mutex<Option<Result<Produced, String>>>,
}

/// The feeding thread. It ends by itself, or soon after [`Feed::stop`].
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

impl Feed {
    /// Starts feeding.
    ///
    /// # Errors
    /// The scenario cannot be simulated, or the broker does not answer.
    pub fn start(
        scenario: &ScenarioFile,
        seed: Option<u64>,
        speed: Speed,
        kafka: &KafkaConfig,
        flow: &FlowConfig,
    ) -> anyhow::Result<Self> {
        let traffic = scenario.events(seed.unwrap_or(scenario.seed()))?;
        let mut sink = KafkaSink::new(kafka, flow)?;
        let shared = Arc::new(Shared { at_ms: AtomicI64::new(scenario.start().as_millis()), ..Shared::default() });
        let pace = Pace::new(scenario.start(), speed.0);
        let requests = kafka.topics.requests.clone();
        let thread = Arc::clone(&shared);
        std::thread::Builder::new().name("feed".to_owned()).spawn(move || {
            let fed = feed(traffic, pace, &mut sink, &requests, &thread);
            let fed = fed.map_err(|error| format!("{error:#}"));
            *thread.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(fed);
        })?;
        Ok(Self { shared })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        match &*self.shared.done.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(done) => Progress::Done(done.clone().map_err(anyhow::Error::msg)),
            None => Progress::Feeding {
                at: Timestamp::from_millis(self.shared.at_ms.load(Ordering::Relaxed)),
                events: self.shared.events.load(Ordering::Relaxed),
            },
        }
    }

    /// Asks it to end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn feed(
    traffic: impl Iterator<Item = Event>,
    pace: Pace,
    sink: &mut KafkaSink,
    requests: &str,
    shared: &Shared,
) -> anyhow::Result<Produced> {
    let began = now();
    let (mut events, mut broken) = (0, 0);
    for event in traffic {
        let timestamp = event.timestamp();
        let wait = pace.due(timestamp).saturating_sub(began.elapsed());
        if wait >= WAIT_MIN {
            std::thread::sleep(wait);
        }
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        sink.send(&event)?;
        events += 1;
        shared.events.store(events, Ordering::Relaxed);
        shared.at_ms.fetch_max(timestamp.as_millis(), Ordering::Relaxed);
        if broken < BROKEN_RECORDS && events % EVENTS_A_BROKEN_RECORD == 0 {
            sink.send_raw(requests, &torn(&event)?)?;
            broken += 1;
        }
    }
    sink.finish()?;
    let counts = sink.counts();
    Ok(Produced { records: counts.acknowledged - counts.watermarks, broken, watermarks: counts.watermarks })
}

/// Half an event: what a full disk or a killed log shipper leaves behind.
fn torn(event: &Event) -> anyhow::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(event)?;
    bytes.truncate(bytes.len() / 2);
    Ok(bytes)
}

// Pacing needs a clock.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
