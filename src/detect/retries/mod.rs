//! Retries: who repeats failed requests, and load kept up by its own failures.

mod dispersion;
mod feedback_loop;
#[cfg(test)]
mod feedback_tests;
mod feedback_words;
mod onset_demand;
mod retry_amplification;
mod retry_groups;
mod retry_scores;
mod retry_words;
#[cfg(test)]
mod shown_version_tests;
mod work_done;

pub use feedback_loop::{FeedbackLoop, FeedbackLoopSpec};
pub use retry_amplification::{RetryAmplification, RetryAmplificationSpec};
