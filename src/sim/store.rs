//! The key-value store (Redis): memory follows live keys, operations follow attempts.

use super::expiring::Expiring;
use super::plan::{bytes, micros};
use super::scenario::StoreSpec;
use super::schedule::Micros;

/// State of the store.
#[derive(Debug)]
pub(super) struct Store {
    pub spec: StoreSpec,
    keys: Expiring,
    pub operations_total: u64,
}

impl Store {
    pub(super) fn new(spec: &StoreSpec) -> Self {
        Self { spec: spec.clone(), keys: Expiring::new(micros(spec.ttl)), operations_total: 0 }
    }

    pub(super) fn memory_bytes(&mut self, now_us: Micros) -> u64 {
        bytes(self.spec.memory_idle).saturating_add(self.keys.total(now_us))
    }

    /// Writes an attempt's keys; false when there is no room, as with `maxmemory-policy noeviction`.
    pub(super) fn write(&mut self, now_us: Micros, key_bytes: u64, operations: u64) -> bool {
        self.operations_total += operations;
        if self.memory_bytes(now_us).saturating_add(key_bytes) > bytes(self.spec.memory_limit) {
            return false;
        }
        self.keys.add(now_us, key_bytes);
        true
    }
}
