//! Rule files: Prometheus' shape with a typed `detect` block, and what is wrong with them.

mod annotation;
mod check;
mod detect;
mod file;
mod load;
mod lookup;
mod parameters;
mod rule;
mod shipped;

pub(in crate::alert) use check::RULES_MAX;
pub use detect::Detect;
pub use file::RuleGroup;
pub use load::{Rules, RulesError};
pub use rule::{Annotations, Rule, RuleKey, RuleLabels};
