//! How well the shipped rules do on scenarios whose truth is known: recall, precision, delay, causes, false pages.
//!
//! A scenario runs through the same core as the live service, in virtual time, and what comes out is held against the truth
//! block of its file. Nothing here knows threads, clocks or files.

mod aims;
mod onset;
mod picture;
mod poisson;
mod report;
mod run;
mod score;
mod summary;
#[cfg(test)]
mod tests;

pub use aims::{Aim, aims};
pub use picture::{Minute, Trace, picture};
pub use poisson::upper_bound;
pub use report::{HEADS, report, row};
pub use run::{Case, CaseOutcome, cases, run};
pub use score::{ExpectedScore, FalsePage, RunScore, Trouble, score};
pub use summary::{Group, Ratio, Summary, summarise};
