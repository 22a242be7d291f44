//! What the notifier keeps on disk: hands changes to the thread that writes, and says how far the disk is.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::journal::{Record, Restored};
use super::keeper::{Keeper, Progress, StateError};
use super::moment::Moment;
use super::receiver::Receiver;
use super::sleep_until;
use crate::metrics::Metrics;

/// A file is rewritten when this much, and twice what it held, was appended: until then rewriting costs more.
const APPENDED_BYTES_MIN: usize = 1_024 * 1_024;
/// After the disk refused, all is written anew this much later.
const MEND_AFTER: Duration = Duration::from_secs(5);
/// Batches whose pages are not safe yet; further pages count with the last of them.
const BATCHES_MAX: usize = 1_024;

/// How much a file holds.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    rewritten: usize,
    appended: usize,
}

/// The files of all receivers, if there are any.
#[derive(Debug)]
pub(super) struct Storage {
    keeper: Option<Keeper>,
    sizes: Vec<Size>,
    seen: Progress,
    mend_at: Option<Instant>,
    pages: u64,
    /// Numbers of batches, and how many pages are safe with each.
    unsafe_pages: VecDeque<(u64, u64)>,
    pages_safe: watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

impl Storage {
    /// Takes over what the directory holds for these receivers.
    pub fn open(
        directory: Option<&Path>,
        receivers: &mut [Receiver],
        metrics: &Arc<Metrics>,
        moment: Moment,
    ) -> Result<Self, StateError> {
        let mut storage = Self {
            keeper: None,
            sizes: vec![Size::default(); receivers.len()],
            seen: Progress::default(),
            mend_at: None,
            pages: 0,
            unsafe_pages: VecDeque::new(),
            pages_safe: watch::Sender::new(0),
            metrics: Arc::clone(metrics),
        };
        // Without receivers nothing is to be kept, and the directory is left to those who have some.
        let Some(directory) = directory.filter(|_| !receivers.is_empty()) else { return Ok(storage) };
        let names: Vec<String> = receivers.iter().map(|receiver| receiver.identity.name.clone()).collect();
        let (keeper, restored) = Keeper::open(directory, &names)?;
        for (receiver, restored) in receivers.iter_mut().zip(restored) {
            restore(receiver, restored, moment);
        }
        storage.keeper = Some(keeper);
        // Every file begins anew, without what was done and what was torn.
        storage.rewrite_all(receivers);
        Ok(storage)
    }

    pub fn pages_safe(&self) -> watch::Receiver<u64> {
        self.pages_safe.subscribe()
    }

    /// Number of the batch that changes go to now; 0 where nothing is kept.
    pub fn batch(&self) -> u64 {
        self.keeper.as_ref().map_or(0, Keeper::number)
    }

    /// Batches up to this one are on disk.
    pub fn safe(&self) -> u64 {
        self.seen.safe
    }

    pub fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// A page was taken in.
    pub fn add_page(&mut self) {
        self.pages += 1;
    }

    /// Hands over what has changed.
    pub fn keep(&mut self, receivers: &mut [Receiver]) {
        self.gather(receivers);
        let Some(keeper) = &mut self.keeper else {
            self.pages_safe.send_if_modified(|safe| std::mem::replace(safe, self.pages) != self.pages);
            return;
        };
        let covered = self.unsafe_pages.back().map_or_else(|| *self.pages_safe.borrow(), |(_, pages)| *pages);
        if self.pages > covered {
            // Also those that changed no file: their receivers have them, or nobody wants them.
            let with = (keeper.number(), self.pages);
            let is_full = self.unsafe_pages.len() >= BATCHES_MAX;
            match self.unsafe_pages.back_mut() {
                Some(last) if last.0 == with.0 || is_full => *last = with,
                _ => self.unsafe_pages.push_back(with),
            }
            keeper.touch();
        }
        if !keeper.hand_over() {
            tracing::error!("the disk is too slow for the outboxes: they are written anew when it can");
            self.rewrite_all(receivers);
        }
    }

    /// Waits until the disk has moved on, or it is time to mend what it refused.
    pub async fn moves(&mut self) {
        let mend_at = self.mend_at;
        match &mut self.keeper {
            Some(keeper) => tokio::select! {
                changed = keeper.progress.changed() => if changed.is_err() { std::future::pending().await },
                () = sleep_until(mend_at) => {}
            },
            None => std::future::pending().await,
        }
    }

    /// What is wrong with the disk, if anything is.
    pub fn trouble(&self) -> Option<String> {
        self.seen.failure.as_ref().map(|why| format!("outboxes are in memory only: {why}"))
    }

    /// Writes the last of it.
    pub async fn close(mut self, receivers: &mut [Receiver]) {
        self.gather(receivers);
        if let Some(keeper) = self.keeper.take() {
            keeper.close().await;
        }
    }

    fn gather(&mut self, receivers: &mut [Receiver]) {
        for (file, receiver) in receivers.iter_mut().enumerate() {
            let (records, letters) = receiver.take_changes();
            let Some(keeper) = &mut self.keeper else { continue };
            self.metrics.add_notification_dead_letters(receiver.identity.kind, letters.len() as u64);
            letters.into_iter().for_each(|letter| keeper.dead_letter(letter));
            if records.is_empty() {
                continue;
            }
            let lines = lines(&records);
            let size = &mut self.sizes[file];
            size.appended += lines.len();
            if size.appended > APPENDED_BYTES_MIN.max(2 * size.rewritten) {
                *size = rewrite(keeper, file, receiver);
            } else {
                keeper.append(file, lines);
            }
        }
    }

    /// Takes in how far the disk is. What comes after this wakes [`Storage::moves`].
    pub fn look(&mut self, receivers: &[Receiver], now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        let progress = keeper.progress.borrow_and_update().clone();
        if progress.failures > self.seen.failures {
            let why = progress.failure.as_deref().unwrap_or("mended");
            tracing::error!(why, "outboxes cannot be written: what waits is gone if the process dies now");
            self.metrics.add_outbox_failure();
            self.mend_at = Some(now + MEND_AFTER);
        }
        if progress.failure.is_none() {
            self.mend_at = None;
        }
        while let Some((_, pages)) = self.unsafe_pages.pop_front_if(|(number, _)| *number <= progress.safe) {
            self.pages_safe.send_replace(pages);
        }
        self.seen = progress;
        if self.mend_at.is_some_and(|mend_at| mend_at <= now) {
            self.mend_at = Some(now + MEND_AFTER);
            self.rewrite_all(receivers);
        }
    }

    fn rewrite_all(&mut self, receivers: &[Receiver]) {
        let Some(keeper) = &mut self.keeper else { return };
        for (file, receiver) in receivers.iter().enumerate() {
            self.sizes[file] = rewrite(keeper, file, receiver);
        }
    }
}

fn rewrite(keeper: &mut Keeper, file: usize, receiver: &Receiver) -> Size {
    let lines = lines(&receiver.records());
    let size = Size { rewritten: lines.len(), appended: 0 };
    keeper.rewrite(file, lines);
    size
}

fn lines(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(Record::line).collect()
}

fn restore(receiver: &mut Receiver, restored: Restored, moment: Moment) {
    let Restored { records, bytes_cut, damaged, unknown } = restored;
    let receiver_name = receiver.shown();
    if damaged > 0 {
        tracing::error!(
            receiver = %receiver_name,
            damaged,
            bytes_cut,
            "the outbox was damaged: these lines are left out; a copy of the file is beside it (.log.damaged)"
        );
    } else if bytes_cut > 0 || unknown > 0 {
        tracing::warn!(receiver = %receiver_name, bytes_cut, unknown, "the outbox was not whole: what was torn is left out");
    }
    records.into_iter().for_each(|record| receiver.restore(record, moment));
    let waiting = receiver.waiting();
    if waiting > 0 {
        tracing::info!(receiver = %receiver_name, waiting, "notifications of before the restart are delivered now");
    }
}
