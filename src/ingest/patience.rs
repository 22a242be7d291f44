//! When reading may wait for storage. Pure.
//!
//! While old records are worked off, waiting a moment for a storage that keeps storing is better than falling behind and
//! reading everything twice: what is read is late anyway. Detection must never wait for a storage that is away or slow,
//! nor when what is read is fresh.

/// Records younger than this are fresh: somebody may have to be woken because of them.
const FRESH_MS: i64 = 5_000;
/// A storage that has stored nothing for this long is not waited for.
const STORED_WITHIN_MS: i64 = 1_000;
/// Over this long reading must have come closer to now, or storage is too slow to be waited for.
const PROGRESS_WITHIN_MS: i64 = 30_000;

/// Decides it, from what was read and stored.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    /// How old the newest record was when it was read, at the last look.
    age_ms: i64,
    stored_ms: Option<i64>,
    /// When progress was last measured, and the age then.
    measured: Option<(i64, i64)>,
    impatient_until_ms: i64,
}

impl Patience {
    /// A record was read `age_ms` after it had been written to Kafka.
    pub fn read(&mut self, age_ms: i64, now_ms: i64) {
        self.age_ms = age_ms;
        if age_ms < FRESH_MS {
            self.measured = None;
            return;
        }
        let (since_ms, age_then_ms) = *self.measured.get_or_insert((now_ms, age_ms));
        if now_ms - since_ms >= PROGRESS_WITHIN_MS {
            if age_ms >= age_then_ms {
                self.impatient_until_ms = now_ms + PROGRESS_WITHIN_MS;
            }
            self.measured = Some((now_ms, age_ms));
        }
    }

    /// Storage has stored a batch.
    pub fn stored(&mut self, now_ms: i64) {
        self.stored_ms = Some(now_ms);
    }

    /// Whether reading may wait for storage now.
    #[must_use]
    pub fn may_wait(&self, now_ms: i64) -> bool {
        self.age_ms >= FRESH_MS
            && now_ms >= self.impatient_until_ms
            && self.stored_ms.is_some_and(|stored_ms| now_ms - stored_ms < STORED_WITHIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_that_keeps_storing_is_waited_for_while_old_records_are_read() {
        let mut patience = Patience::default();
        patience.read(60_000, 0);
        assert!(!patience.may_wait(0), "nothing was stored yet");
        patience.stored(100);
        assert!(patience.may_wait(1_000));
        assert!(!patience.may_wait(1_100), "storage is away");
    }

    #[test]
    fn nothing_waits_while_records_are_fresh() {
        let mut patience = Patience::default();
        patience.stored(0);
        patience.read(4_999, 0);
        assert!(!patience.may_wait(1));
    }

    #[test]
    fn a_storage_that_is_slower_than_what_comes_is_not_waited_for() {
        let mut patience = Patience::default();
        for now_ms in (0..40_000).step_by(100) {
            patience.read(60_000 + now_ms / 10, now_ms);
            patience.stored(now_ms);
        }
        assert!(!patience.may_wait(40_000));
        let mut patience = Patience::default();
        for now_ms in (0..40_000).step_by(100) {
            patience.read(60_000 - now_ms, now_ms);
            patience.stored(now_ms);
        }
        assert!(patience.may_wait(40_000), "it comes closer");
    }
}
