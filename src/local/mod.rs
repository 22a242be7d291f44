//! The local engines: ClickHouse in a child process, the demo broker.

pub mod broker;
