//! Backtests: two rule sets over the same past, and how their pages differ.
//!
//! Both run in one pass, each through a `Pipeline` of its own on a thread of its own: exactly what would have run live.

mod diff;
mod pages;
mod twins;

pub use diff::{Change, Diff, diff};
pub use pages::{Page, Pages};
pub use twins::{EVENTS_A_BATCH, Side, Twins, TwinsGone};
