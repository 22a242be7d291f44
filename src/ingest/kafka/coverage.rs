//! Whether all partitions of the inputs are ours. What another member of the group reads, detection here never sees.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use super::worker::Worker;

/// How often the broker is asked how many partitions there are, and how long it may take to answer.
const LOOK_INTERVAL_MS: i64 = 5_000;
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// What the last look has found.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    looked_ms: Option<i64>,
    /// Partitions that were not ours at the last look.
    not_ours: usize,
}

impl Worker {
    /// Counts the partitions that are not ours. While a group comes to an agreement nobody has some of them: only what is
    /// found twice in a row counts.
    pub(super) fn look_for_others(&mut self) {
        let now_ms = self.now_ms();
        let is_due = self.coverage.looked_ms.is_none_or(|looked_ms| now_ms - looked_ms >= LOOK_INTERVAL_MS);
        if !is_due || self.status.broker_reachable != Some(true) {
            return;
        }
        self.coverage.looked_ms = Some(now_ms);
        let Some(all) = self.partitions_there_are() else { return };
        let not_ours = all.saturating_sub(self.partitions.by_key.len());
        let before = std::mem::replace(&mut self.coverage.not_ours, not_ours);
        let elsewhere = not_ours.min(before);
        if elsewhere > 0 && self.status.partitions_elsewhere == 0 {
            tracing::error!(
                elsewhere,
                of = all,
                "another member of the consumer group reads some of the partitions: \
                detection here does not see them, and both may page for the same. Run one instance in a group"
            );
        } else if elsewhere == 0 && self.status.partitions_elsewhere > 0 {
            tracing::info!("all partitions are read here");
        }
        self.status.partitions_elsewhere = elsewhere;
    }

    /// Of all inputs that exist; nothing when the broker does not say.
    fn partitions_there_are(&self) -> Option<usize> {
        let mut all = 0;
        for topic in self.partitions.topic_names() {
            let metadata = self.consumer.fetch_metadata(Some(topic), LOOK_TIMEOUT).ok()?;
            all += metadata.topics().iter().map(|found| found.partitions().len()).sum::<usize>();
        }
        Some(all)
    }
}
