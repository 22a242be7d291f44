//! Memory of something that is not otherwise in the model: it follows the load, grows, and may be killed.

use crate::sim::plan::bytes;
use crate::sim::random::Stream;
use crate::sim::schedule::{Micros, SECOND_US};

use super::spec::GaugeSpec;

const DAY_SECONDS: f64 = 86_400.0;

/// State of a gauge.
#[derive(Debug, Default)]
pub(super) struct GaugeState {
    grown_bytes: f64,
    load: f64,
    pub up_since_us: Micros,
    pub restarts_total: u64,
}

impl GaugeState {
    /// A second passes; `leak` is what effects add, in bytes a second.
    pub(super) fn grow(&mut self, spec: &GaugeSpec, leak: f64, load: f64, now_us: Micros) {
        self.load = load;
        self.grown_bytes += leak + spec.growth_per_day.map_or(0.0, |growth| bytes(growth) as f64 / DAY_SECONDS);
        if spec.restarts && self.memory(spec) >= bytes(spec.memory_limit) as f64 {
            self.grown_bytes = 0.0;
            self.restarts_total += 1;
            self.up_since_us = now_us;
        }
    }

    fn memory(&self, spec: &GaugeSpec) -> f64 {
        let with_load = spec.with_load.map_or(0.0, |most| bytes(most) as f64 * self.load);
        bytes(spec.memory_at_start) as f64 + with_load + self.grown_bytes
    }

    /// A reading.
    pub(super) fn read(&self, spec: &GaugeSpec, stream: &mut Stream) -> f64 {
        let noise = bytes(spec.noise) as f64 * stream.normal();
        (self.memory(spec) + noise).clamp(0.0, bytes(spec.memory_limit) as f64)
    }

    pub(super) fn uptime_seconds(&self, now_us: Micros) -> i64 {
        (now_us - self.up_since_us).div_euclid(SECOND_US)
    }
}
