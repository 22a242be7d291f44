//! Local engines, for `run`, `demo` and the tests: a real ClickHouse in a child process of this binary, and the demo
//! broker.
//!
//! The engine never runs inside the service's own process: a crash or an out-of-memory kill of the engine must not
//! take the service along.

pub mod broker;
mod clickhouse;
mod clickhouse_child;
pub mod clickhouse_engine;
mod clickhouse_files;
mod clickhouse_supervisor;
mod error;
mod users;

pub use clickhouse::{LocalClickHouse, LocalClickHouseOptions, LocalGuard};
pub use clickhouse_supervisor::EngineState;
pub use error::LocalError;
pub use users::{Credentials, Users, random_password};
