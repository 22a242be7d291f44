//! Alerts: rule files, the state machine and `paging` are pure; `notify` tells the world and is part of the shell.

pub mod notify;
pub mod paging;
mod rules;
mod state;

pub use rules::{Annotations, Detect, Rule, RuleGroup, RuleLabels, Rules, RulesError};
pub use state::{AlertChange, AlertKey, AlertStates};
