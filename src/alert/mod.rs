//! Alerts: rule files and the state machine are pure; `notify` tells the world and is part of the shell.

pub mod notify;
mod rule_set;
mod rules;
mod slos;
mod state;
pub mod yaml;

pub use rule_set::{RuleChanges, RuleSet};
pub use rules::{Annotations, Detect, Rule, RuleGroup, RuleKey, RuleLabels, Rules, RulesError};
pub use slos::{Slo, Slos, SlosError};
pub use state::{AlertChange, AlertKey, AlertStates};
