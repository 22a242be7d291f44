//! Everything there is to say of one incident: what was reported, what its alerts said, what traffic did around it, whom to
//! contact, what ended it. As a post-mortem draft with pictures, as CSV, as JSON. Pure.

mod customers;
mod dossier;
mod ending;
mod evidence;
mod figures;
mod markdown;
mod pictures;
mod record;
mod selection;
mod text;
mod traffic;

pub use customers::{CUSTOMERS_HELD_MAX, CustomerTraffic, Role, customers_csv};
pub use dossier::{Dossier, History};
pub use ending::Ending;
pub use evidence::{EvidenceQuery, evidence_queries};
pub use figures::Figures;
pub use markdown::{Files, markdown};
pub use pictures::{cause_chart, load_chart};
pub use record::{AlertRecord, IncidentRecord, MomentRecord};
pub use selection::{Selection, Span};
pub use text::{file_stem, plain};
pub use traffic::{TrafficCounter, TrafficPoint, filled_points};
