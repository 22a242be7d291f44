//! What several tests need: real engines, started once for the whole binary.

pub mod broker;
pub mod clickhouse;
pub mod events;
