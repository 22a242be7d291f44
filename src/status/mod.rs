//! What the public is told: components with states that are measured, incidents that people word, feeds and a page made
//! of both. Pure but for what is said so below.
//!
//! Closed windows of event time become counts by component, counts a state, states uptime. Incidents are drafted from states
//! and published by people or by policy. What is public at a moment is a [`Board`]; everything that is served is made of one
//! ([`render`]).
//!
//! No name from an event is ever in a board: components are named by the configuration, words are those of templates here or
//! of a person, and a person's are looked through for names.

mod board;
mod change;
mod component_state;
mod history;
pub mod incidents;
mod level;
mod machine;
mod measured;
mod meter;
mod public_text;
pub mod render;
#[cfg(test)]
mod samples;
pub mod schedule;
mod state;
mod statements;
pub mod uptime;
pub mod words;

pub use board::{
    Authority, Board, ComponentView, DAYS_SHOWN, DayView, Freshness, IncidentUpdate, LatencyPoint, Maintenance,
    MaintenanceStage, PageInfo, PublicIncident,
};
pub use change::{ComponentChange, Figures};
pub use component_state::{ComponentState, Impact, IncidentStatus};
pub use measured::{Measured, MeasuredState, Overlay};
pub use meter::{ComponentCounts, Meter, StatusWindow};
pub use public_text::{PublicName, PublicText};
pub use state::{StatusState, StoredStatus};
pub use statements::{ACTS_MAX, Act, KEY_BYTES_MAX, KEYS_MAX, Statements, WHO_BYTES_MAX};
pub use uptime::StateSpan;
