//! ClickHouse as memory: schema, columnar inserts, and the task that keeps trying until a batch is stored.

mod client;
mod error;
pub mod history;
mod incidents;
pub mod limit_history;
mod migrate;
pub mod named_queries;
pub mod native_format;
mod plans;
mod retention;
mod rollup;
mod rows;
mod schema;
mod takeover;
mod task;
mod writer;

pub use client::{ByteStream, ClickHouse, Endpoint};
pub use error::StoreError;
pub use incidents::{incident_alerts, incident_history, incident_records};
pub use migrate::{MigrationError, check_schema, migrate};
pub use plans::answer_plans;
pub use retention::apply_retention;
pub use schema::{MIGRATIONS, Migration};
pub use takeover::{Takeover, close_unknown_incidents};
pub use task::{StoreHealth, StoreTask};
pub use writer::{Writer, Written};
