//! Alerts: rule files, the state machine, the words of a page.
pub mod notify;
