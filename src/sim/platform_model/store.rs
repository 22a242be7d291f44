//! A key-value store with a network: memory follows live keys, drops follow what is above the ceiling.

use crate::sim::expiring::Expiring;
use crate::sim::plan::{bytes, micros};
use crate::sim::schedule::Micros;

use super::spec::PlatformStoreSpec;

/// Bytes of one dropped packet.
const PACKET_BYTES: f64 = 1_448.0;

/// State of a store.
#[derive(Debug)]
pub(super) struct StoreState {
    keys: Expiring,
    pub operations_total: u64,
    pub network_bytes_total: f64,
    pub dropped_packets_total: u64,
    /// Bytes that want through in this second.
    wanted_bytes: f64,
    /// Share of the last second's bytes that were dropped.
    pub drop_share: f64,
}

impl StoreState {
    pub(super) fn new(spec: &PlatformStoreSpec) -> Self {
        Self {
            keys: Expiring::new(micros(spec.ttl)),
            operations_total: 0,
            network_bytes_total: 0.0,
            dropped_packets_total: 0,
            wanted_bytes: 0.0,
            drop_share: 0.0,
        }
    }

    pub(super) fn memory_bytes(&mut self, spec: &PlatformStoreSpec, now_us: Micros) -> u64 {
        bytes(spec.memory_idle).saturating_add(self.keys.total(now_us))
    }

    /// One request's reads and writes; false when there is no room for its keys.
    pub(super) fn write(&mut self, spec: &PlatformStoreSpec, payload: f64, now_us: Micros) -> bool {
        self.operations_total += spec.operations_per_request;
        self.wanted_bytes += spec.network.map_or(0.0, |network| network.bytes_per_request * payload);
        let key_bytes = (spec.bytes_per_request as f64 * payload) as u64;
        if self.memory_bytes(spec, now_us).saturating_add(key_bytes) > bytes(spec.memory_limit) {
            return false;
        }
        self.keys.add(now_us, key_bytes);
        true
    }

    /// Ends a second: what is above the ceiling is dropped.
    pub(super) fn end_second(&mut self, spec: &PlatformStoreSpec, load_factor: f64) {
        let Some(network) = spec.network else { return };
        let wanted = self.wanted_bytes + network.background_bytes_per_second * load_factor;
        let dropped = (wanted - network.bytes_per_second_max).max(0.0);
        self.network_bytes_total += wanted - dropped;
        self.dropped_packets_total += (dropped / PACKET_BYTES) as u64;
        self.drop_share = if wanted > 0.0 { dropped / wanted } else { 0.0 };
        self.wanted_bytes = 0.0;
    }
}
