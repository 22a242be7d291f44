//! Two pipelines, a thread each, fed with the same events.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::{Page, Pages};
use crate::flow::StreamId;
use crate::model::{Event, Summary};
use crate::pipeline::{Pipeline, Settings};

/// Events handed over at once.
pub const EVENTS_A_BATCH: usize = 8_192;
/// Batches that may wait for the slower side.
const BATCHES_WAITING_MAX: usize = 8;

/// What a rule set made of the past.
#[derive(Debug)]
pub struct Side {
    /// What fired, in order.
    pub pages: Vec<Page>,
    /// Alerts beyond the bound, counted only.
    pub overflowed: u64,
    /// Counts.
    pub summary: Summary,
}

/// A thread of a backtest has panicked.
#[derive(Debug, thiserror::Error)]
#[error("a rule set's thread ended early")]
pub struct TwinsGone;

/// A rule set's thread, and the way to it.
type Runner = (SyncSender<Arc<Vec<Event>>>, JoinHandle<Side>);

/// The old rules and the new.
pub struct Twins {
    sides: [Runner; 2],
    batch: Vec<Event>,
}

impl Twins {
    /// Starts both.
    #[must_use]
    pub fn start(old: &Settings, new: &Settings) -> Self {
        let start = |settings: &Settings| {
            let (sender, receiver) = sync_channel(BATCHES_WAITING_MAX);
            let pipeline = Pipeline::new(settings);
            (sender, std::thread::spawn(move || run(pipeline, &receiver)))
        };
        Self { sides: [start(old), start(new)], batch: Vec::with_capacity(EVENTS_A_BATCH) }
    }

    /// Hands an event to both; waits while the slower one is behind.
    ///
    /// # Errors
    /// One of them is gone.
    pub fn apply(&mut self, event: Event) -> Result<(), TwinsGone> {
        self.batch.push(event);
        if self.batch.len() < EVENTS_A_BATCH { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), TwinsGone> {
        let batch = Arc::new(std::mem::replace(&mut self.batch, Vec::with_capacity(EVENTS_A_BATCH)));
        self.sides.iter().try_for_each(|(sender, _)| sender.send(Arc::clone(&batch)).map_err(|_| TwinsGone))
    }

    /// The log has ended: what the old rules made of it, and the new.
    ///
    /// # Errors
    /// One of them is gone.
    pub fn finish(mut self) -> Result<(Side, Side), TwinsGone> {
        self.flush()?;
        let [old, new] = self.sides.map(|(sender, thread)| {
            drop(sender);
            thread
        });
        Ok((old.join().map_err(|_| TwinsGone)?, new.join().map_err(|_| TwinsGone)?))
    }
}

fn run(mut pipeline: Pipeline, batches: &Receiver<Arc<Vec<Event>>>) -> Side {
    let mut pages = Pages::default();
    for batch in batches {
        for event in batch.iter() {
            pipeline.apply(StreamId(0), event).iter().for_each(|output| pages.take(output));
        }
    }
    pipeline.finish().iter().for_each(|output| pages.take(output));
    Side { overflowed: pages.overflowed(), pages: pages.into_pages(), summary: pipeline.summary(0) }
}
