//! Questions to the stored tables: named queries and ad-hoc SQL, asked for people and programs who are not trusted with
//! ClickHouse itself. The HTTP API and the console ask here.
//!
//! A question of SQL goes: text looked at (`fence`), tree looked at as ClickHouse parses it, cost estimated (`EXPLAIN
//! ESTIMATE`), admitted or refused by the guard's gate (`gatekeeper`), asked with `readonly` and limits beside the text,
//! passed on as it comes (`answer`).

mod answer;
mod desk;
mod error;
mod estimate;
mod fence;
mod format;
mod gatekeeper;
mod restriction;
mod shares;
mod tables;
mod tally;

pub use answer::{Answer, AnswerBroken};
pub use desk::{Asker, QueryDesk, Row};
pub(crate) use desk::{OwnText, rows_of};
pub use error::QueryError;
pub use estimate::{Decision, Estimate, Explanation, TableEstimate};
pub use fence::FenceError;
pub use format::ResultFormat;
pub use tables::{TABLES, Table};
