//! Calls between services, and the caches in front of them.

mod cache_collapse;
mod request_amplification;

pub use cache_collapse::{CacheCollapse, CacheCollapseSpec};
pub use request_amplification::{RequestAmplification, RequestAmplificationSpec};
