//! The sample configurations.
