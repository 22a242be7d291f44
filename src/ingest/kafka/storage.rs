//! The way to storage: answers in, batches out, commits. Nothing here waits.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;

use super::super::store_lane::Mode;
use super::partitions::{Key, Partition};
use super::worker::Worker;

/// Commits are cheap but not free: one every so often is enough, as a crash repeats no more than this.
const COMMIT_INTERVAL_MS: i64 = 200;

impl Worker {
    /// Takes storage's answers, hands batches over, commits.
    pub(super) fn serve_storage(&mut self) {
        self.take_answers();
        self.keep_within_memory();
        let now_ms = self.now_ms();
        self.partitions.by_key.values_mut().for_each(|partition| partition.lane.seal_when_due(now_ms));
        self.commit_when_due(now_ms);
        self.hand_over();
    }

    /// Takes the broker's answer, and asks it again when a batch waits for its note, or enough has been stored.
    fn commit_when_due(&mut self, now_ms: i64) {
        if let Some(answer) = self.committer.answer(Duration::ZERO) {
            let keys = std::mem::take(&mut self.committing);
            self.committed_or_not(&keys, answer);
        }
        if self.committer.is_asking() || now_ms < self.commit_again_ms {
            return;
        }
        let waits = self.partitions.by_key.values().any(|partition| partition.lane.waits_for_note());
        if waits || now_ms - self.committed_ms >= COMMIT_INTERVAL_MS {
            self.committed_ms = now_ms;
            let keys: Vec<Key> = self.partitions.by_key.keys().copied().collect();
            let commits = self.partitions.take_commits(keys.into_iter());
            if commits.count() > 0 {
                self.committing = self.partitions.keys(&commits);
                self.committer.ask(commits);
            }
        }
    }

    pub(super) fn committed_or_not(&mut self, keys: &[Key], answer: Result<(), KafkaError>) {
        self.partitions.answered(keys, answer.is_ok());
        if let Err(error) = answer {
            tracing::debug!(%error, "commit failed, will be repeated");
            self.status.counts.commits_failed += 1;
            self.commit_again_ms = self.now_ms() + COMMIT_INTERVAL_MS;
        }
    }

    pub(super) fn take_answers(&mut self) {
        self.take_plans();
        while let Ok(stored) = self.lanes.stored.try_recv() {
            self.note_stored(&stored);
        }
    }

    /// Gives waiting batches to storage while it has room; each partition is first in turn.
    pub(super) fn hand_over(&mut self) {
        let acknowledged = self.letters.acknowledged();
        let ready = |(key, partition): (&Key, &Partition)| partition.lane.has_batch(acknowledged).then_some(*key);
        let mut keys: Vec<Key> = self.partitions.by_key.iter().filter_map(ready).collect();
        if keys.is_empty() {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % keys.len();
        keys.rotate_left(first);
        for key in keys {
            let Ok(permit) = self.lanes.store.try_reserve() else { return };
            let Some(partition) = self.partitions.by_key.get_mut(&key) else { continue };
            if let Some(batch) = partition.lane.hand_over(&partition.topic_partition) {
                permit.send(batch);
                self.status.counts.batches += 1;
            }
        }
    }

    /// Seals early when memory fills up, and lets the fullest partitions fall behind when it is full.
    pub(super) fn keep_within_memory(&mut self) {
        let mut gathered = self.partitions.gathered_bytes();
        if gathered <= self.gathered_bytes_max / 2 {
            return;
        }
        self.partitions.by_key.values_mut().for_each(|partition| partition.lane.seal());
        self.hand_over();
        gathered = self.partitions.gathered_bytes();
        while gathered > self.gathered_bytes_max {
            let first_read = |partition: &&mut Partition| !matches!(partition.lane.mode(), Mode::Behind { .. });
            let level = self.partitions.by_key.values_mut().filter(first_read);
            let fullest = level.max_by_key(|p| p.lane.gathered_bytes()).filter(|p| p.lane.is_gathering());
            if let Some(fullest) = fullest {
                fullest.lane.forget();
                self.status.counts.fallen_behind += 1;
            } else if !self.forget_least_full() {
                return;
            }
            gathered = self.partitions.gathered_bytes();
        }
    }

    /// Of several partitions that are read again, the fullest goes on: parts of noted ranges cannot be handed over, and all
    /// of them together could fill the memory without one being whole. True when another one was forgotten.
    fn forget_least_full(&mut self) -> bool {
        let gathering = self.partitions.by_key.iter().filter(|(_, partition)| partition.lane.is_gathering());
        let sizes: Vec<(usize, Key)> = gathering.map(|(key, p)| (p.lane.gathered_bytes(), *key)).collect();
        let Some((_, key)) = sizes.iter().min().filter(|_| sizes.len() > 1).copied() else { return false };
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return false };
        partition.lane.forget();
        self.reread.remove(key, &partition.topic_partition);
        true
    }

    /// Commits what there is to commit and waits for the answer; true when nothing was refused.
    pub(super) fn commit_now(&mut self, keys: &[Key]) -> bool {
        if !self.settle_commit() {
            return false;
        }
        let commits = self.partitions.take_commits(keys.iter().copied());
        if commits.count() == 0 {
            return true;
        }
        let answer = self.consumer.commit(&commits, CommitMode::Sync);
        let is_taken = answer.is_ok();
        self.committed_or_not(&self.partitions.keys(&commits), answer);
        is_taken
    }
}
