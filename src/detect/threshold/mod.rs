//! Thresholds of people's own on a fixed list of series, and on what named queries answer.

mod by_dimension;
mod key;
mod level;
mod query_rows;
mod query_spec;
#[cfg(test)]
mod query_tests;
mod series;
mod series_words;
mod signal_meter;
mod spec;
mod spec_check;
mod sums;
mod sums_meter;
#[cfg(test)]
mod tests;
mod threshold_detector;
mod told;

pub use by_dimension::{ByDimension, Texts};
pub use level::{Level, Op};
pub use query_rows::{QueryThreshold, RULE_ROWS_MAX};
pub use query_spec::{ParameterText, QueryRuleSpec};
pub use series::Series;
pub use spec::ThresholdSpec;
pub use spec_check::SpecProblem;
pub use threshold_detector::Threshold;
