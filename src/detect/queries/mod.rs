//! ClickHouse queries whose memory, reads or time are out of their own usual.

mod query_blowup;
#[cfg(test)]
mod query_blowup_tests;
mod query_blowup_words;
mod query_history;
mod query_nodes;
mod query_regression;
#[cfg(test)]
mod query_regression_tests;
mod query_series;

pub use query_blowup::{QueryBlowup, QueryBlowupSpec};
pub use query_regression::{QueryRegression, QueryRegressionSpec};
