//! Pools of connections, sessions, workers: exhausted, or leaking.

mod pool_evidence;
mod pool_exhaustion;
mod pool_leak;
mod stranded;

pub(super) use pool_exhaustion::is_full;
pub use pool_exhaustion::{PoolExhaustion, PoolExhaustionSpec};
pub use pool_leak::{PoolLeak, PoolLeakSpec};
