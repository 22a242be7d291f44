//! Integration tests: one binary, a file a behaviour. Engines are real and started by the tests themselves.

mod clickhouse_engine;
mod purity;
mod store;
mod support;
