//! Requests per time: above a limit, or above the usual.

mod limits;
mod rate_baseline;
mod rate_limit;
mod traffic_surge;

pub use limits::{Limit, Limits, LimitsError};
pub use rate_limit::{RateLimit, RateLimitSpec};
pub use traffic_surge::{TrafficSurge, TrafficSurgeSpec};
