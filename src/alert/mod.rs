//! Alerts: rule files and the state machine are pure; `notify` tells the world and is part of the shell.

pub mod notify;
mod rules;
mod state;

pub use rules::{Annotations, Detect, Rule, RuleGroup, RuleLabels, Rules, RulesError};
pub use state::{AlertChange, AlertKey, AlertStates};
