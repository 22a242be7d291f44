//! The tests of the shipped rules, built into the binary.

use super::file::{TestFile, TestFileError};
use super::survivors::Survivors;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("alerts/tests/", $name), include_str!(concat!("../../alerts/tests/", $name)))),*]
    };
}

/// A file a rule.
const SHIPPED: &[(&str, &str)] = embedded![
    "cache-collapse.yaml",
    "data-delayed.yaml",
    "error-budget-burn-critical.yaml",
    "error-budget-burn-warning.yaml",
    "feedback-loop.yaml",
    "latency-regression.yaml",
    "memory-exhaustion-critical.yaml",
    "memory-exhaustion-warning.yaml",
    "pool-exhaustion-critical.yaml",
    "pool-leak-critical.yaml",
    "pool-leak-warning.yaml",
    "query-blowup-critical.yaml",
    "query-blowup-warning.yaml",
    "query-regression.yaml",
    "rate-limit-exceeded.yaml",
    "request-amplification-critical.yaml",
    "request-amplification-warning.yaml",
    "restart-loop.yaml",
    "retry-amplification-critical.yaml",
    "retry-amplification-warning.yaml",
    "rule-evaluation-failed.yaml",
    "saturation-critical.yaml",
    "saturation-warning.yaml",
    "traffic-surge.yaml",
];

const SURVIVORS: &str = include_str!("../../alerts/tests/survivors.yaml");

/// The tests of the shipped rules.
///
/// # Errors
/// Never, unless the binary was built from a broken file; a test reads them.
pub fn shipped_tests() -> Result<Vec<TestFile>, TestFileError> {
    SHIPPED.iter().map(|(name, text)| TestFile::parse(name, text)).collect()
}

/// Mutants of the shipped rules that may survive.
///
/// # Errors
/// Never, as above.
pub fn shipped_survivors() -> Result<Survivors, TestFileError> {
    Survivors::parse("alerts/tests/survivors.yaml", SURVIVORS)
}
