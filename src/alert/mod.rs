//! Alerts: rule files, the state machine and `paging` are pure; `notify` tells the world and is part of the shell.

pub mod notify;
pub mod paging;
mod rule_set;
mod rule_waits;
mod rules;
mod slos;
mod state;
pub mod yaml;

pub use rule_set::{RuleChanges, RuleSet};
pub use rule_waits::RuleWaits;
pub use rules::{Annotations, Detect, Rule, RuleGroup, RuleKey, RuleLabels, Rules, RulesError};
pub use slos::{Slo, Slos, SlosError};
pub use state::{AlertChange, AlertKey, AlertStates, Judgement};
