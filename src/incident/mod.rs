//! Incidents: alerts grouped by cause, causes ranked, red herrings refused. Pure.
//!
//! An incident is one cause with its symptoms. A finding that names who does it opens an incident, or becomes the cause
//! of one that had only symptoms; a symptom joins the incident near in time; a ticket about one customer stays alone
//! unless that customer is among the culprits.

mod adoption;
mod attribution;
mod changes;
pub mod lattice;
mod open;
mod ranked;
mod relation;
mod report;
mod ruled_out;
mod sample_queries;
mod sample_requests;
mod timeline;
mod tracker;

pub use adoption::Adoption;
pub use open::Incident;
pub use ranked::{Counted, ranked_causes};
pub use tracker::{Incidents, View};
