//! What several tests need: real engines, started once for the whole binary.

pub mod clickhouse;
pub mod events;
