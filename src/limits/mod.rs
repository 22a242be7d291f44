//! Limits on requests: what one would have done in the past, and those there are as a gateway reads them.
//!
//! Pure, but for [`stored`]: requests (or counts by minute) in the order of time go into [`WhatIf`], a [`Report`] comes out.

mod buckets;
mod curve;
mod customers;
pub mod export;
mod finish;
mod incidents;
mod keys;
mod limiter;
mod rate;
mod report;
mod retries;
mod rollup;
mod spec;
pub mod stored;
mod sweep;
#[cfg(test)]
mod tests;
mod what_if;
pub mod words;

pub use curve::curve_svg;
pub use incidents::{PastIncident, culprits};
pub use keys::{By, Described};
pub use limiter::{Algorithm, Limiter};
pub use rate::{ParseRateError, Rate, RateRange};
pub use report::{
    CustomerEffect, IncidentEffect, Interval, LimitAsked, Load, Outside, Part, PeakEffect, PlanProposal, Proposal,
    Report, SourceFacts, SourceKind, Sweep, SweepPoint, Traffic,
};
pub use spec::{Precision, Question, Retries, Spec, SpecError};
pub use stored::{History, WhatIfError, what_if};
pub use what_if::{MinuteCell, WhatIf};
