//! Alerts: rule files and the state machine are pure.

mod rules;
mod state;

pub use rules::{Annotations, Detect, Rule, RuleGroup, RuleLabels, Rules, RulesError};
pub use state::{AlertChange, AlertKey, AlertStates};
