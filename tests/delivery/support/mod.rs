//! Apache Kafka instead of the demo broker; the rest as the integration tests have it.

pub mod broker;
// Parts that only the integration tests use.
#[allow(dead_code)]
#[path = "../../it/support/clickhouse.rs"]
pub mod clickhouse;
pub mod kafka;
pub mod process;
#[allow(dead_code)]
#[path = "../../it/support/service.rs"]
pub mod service;
#[path = "../../it/support/topics.rs"]
pub mod topics;
