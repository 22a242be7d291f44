//! The ordered end: hand open batches over, wait for storage, commit, leave the group. Everything under one deadline.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use super::ShutdownReport;
use super::partitions::Key;
use super::worker::Worker;

/// How long one wait for storage's answer or its room lasts before the deadline is looked at again.
const PATIENCE: Duration = Duration::from_millis(20);

impl Worker {
    /// Ends reading. Partitions that are behind keep their place: the next start reads from what is committed.
    pub(super) fn shut_down(&mut self) -> ShutdownReport {
        let deadline_ms = self.now_ms() + i64::try_from(self.shell.drain_timeout.as_millis()).unwrap_or(i64::MAX / 2);
        self.hand_all_on();
        let keys: Vec<Key> = self.partitions.by_key.keys().copied().collect();
        while self.now_ms() < deadline_ms {
            self.letters.serve(self.now_ms());
            self.take_answers();
            self.partitions.by_key.values_mut().for_each(|partition| partition.lane.seal());
            if self.partitions.by_key.values().any(|partition| partition.lane.waits_for_note())
                && !self.commit_now(&keys)
            {
                break;
            }
            if !self.is_draining() || !self.wait_for_storage() {
                break;
            }
        }
        self.take_answers();
        let committed = self.commit_now(&keys);
        let batches_unconfirmed = self.partitions.by_key.values().map(|p| p.lane.offsets().in_flight()).sum();
        let commits_failed = if committed { 0 } else { self.partitions.by_key.len() };
        // Revocations are agreed to at once from here on: there is nothing left to commit.
        self.consumer.context().close();
        self.consumer.unsubscribe();
        tracing::info!(batches_unconfirmed, commits_failed, "reading has ended");
        ShutdownReport { batches_unconfirmed, commits_failed }
    }

    fn is_draining(&self) -> bool {
        self.partitions.by_key.values().any(|p| p.lane.is_waiting() || p.lane.offsets().in_flight() > 0)
    }

    /// Hands a batch over if there is one and room for it, or waits for an answer; false when storage is gone.
    fn wait_for_storage(&mut self) -> bool {
        let acknowledged = self.letters.acknowledged();
        let ready = self.partitions.by_key.values_mut().find(|partition| partition.lane.has_batch(acknowledged));
        let (runtime, lanes) = (&self.shell.runtime, &mut self.lanes);
        let Some(partition) = ready else {
            let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, lanes.stored.recv()).await });
            return match answer {
                Ok(Some(stored)) => {
                    self.partitions.stored(&stored);
                    true
                }
                Ok(None) => false,
                Err(_) => true,
            };
        };
        match runtime.block_on(async { tokio::time::timeout(PATIENCE, lanes.store.reserve()).await }) {
            Ok(Ok(permit)) => {
                if let Some(batch) = partition.lane.hand_over(&partition.topic_partition) {
                    permit.send(batch);
                }
                true
            }
            Ok(Err(_)) => false,
            Err(_) => true,
        }
    }
}
