//! Counters of work done, near the ceiling of what can be done.

mod ceiling;
mod saturation;
mod throughput_view;

pub use saturation::{Saturation, SaturationSpec};
