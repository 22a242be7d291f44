//! A trial by load: the Kameleoon incident on a real ClickHouse. Dashboards and inserts as usual, then a release whose
//! reports take abnormal memory and are asked again at once when they fail. Run with and without the guard.

mod container;
mod guarded;
mod load;
mod tally;

pub use container::{Container, ContainerReport};
pub use guarded::{TrialPolicy, TrialPolicyError};
pub use load::{Access, Account, Load, LoadOptions, TrialError, prepare};
pub use tally::{Share, Tally};
