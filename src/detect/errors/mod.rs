//! Error budgets: burnt fast, or slowly over thirty days.

#[cfg(test)]
mod cause_tests;
mod error_budget_burn;
mod objective;
#[cfg(test)]
mod objective_tests;
mod outcome_sums;
#[cfg(test)]
mod silence_tests;
mod slow_burn;
mod slow_burn_pools;
#[cfg(test)]
mod slow_burn_tests;

pub use error_budget_burn::{BurnWindows, ErrorBudgetBurn, ErrorBudgetBurnSpec};
pub use objective::ObjectiveSelector;
pub use slow_burn::{SlowBurn, SlowBurnSpec};
