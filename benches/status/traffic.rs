//! Simulated requests of the present, into Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use floodmark::clock;
use floodmark::config::KafkaConfig;
use floodmark::ingest::EventProducer;
use floodmark::model::Event;
use floodmark::sim::ScenarioFile;

/// Requests that are sent again and again, with the time at which they are.
const REQUESTS: usize = 20_000;
/// So many are sent at a time; then the pace is looked at.
const BATCH: usize = 100;
/// Pauses between batches, in milliseconds.
pub const SLOWLY: u64 = 1_000;
pub const AS_FAST_AS_IT_GOES: u64 = 0;
const STOPPED: u64 = u64::MAX;

/// A thread that sends.
pub struct Feed {
    pause_ms: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Connects, and sends slowly.
    pub fn start(kafka: &KafkaConfig) -> Result<Self> {
        let scenario = ScenarioFile::load("kameleo-retry-storm", None)?;
        let events = scenario.events(scenario.seed())?;
        let mut requests: Vec<Event> =
            events.filter(|event| matches!(event, Event::Request(_))).take(REQUESTS).collect();
        let mut producer = EventProducer::new(kafka, None)?;
        let pause_ms = Arc::new(AtomicU64::new(SLOWLY));
        let pause = Arc::clone(&pause_ms);
        let send = move || {
            let mut places = (0..requests.len()).cycle();
            loop {
                for place in places.by_ref().take(BATCH) {
                    if let Event::Request(request) = &mut requests[place] {
                        request.timestamp = clock::now();
                    }
                    // At the bound of what is in flight it waits; the broker goes at the end.
                    let _ = producer.send_event(&requests[place]);
                }
                match pause.load(Ordering::Relaxed) {
                    STOPPED => return,
                    AS_FAST_AS_IT_GOES => {}
                    pause_ms => {
                        let _ = producer.flush();
                        std::thread::sleep(Duration::from_millis(pause_ms));
                    }
                }
            }
        };
        Ok(Self { pause_ms, thread: Some(std::thread::spawn(send)) })
    }

    /// How long it pauses after each hundred.
    pub fn pace(&self, pause_ms: u64) {
        self.pause_ms.store(pause_ms, Ordering::Relaxed);
    }

    /// Sends no more.
    pub fn stop(&mut self) {
        self.pace(STOPPED);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}
