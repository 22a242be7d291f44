//! Pools of connections, sessions, workers: exhausted, or leaking.

mod pool_evidence;
mod pool_exhaustion;
mod pool_leak;

pub use pool_exhaustion::{PoolExhaustion, PoolExhaustionSpec};
pub use pool_leak::{PoolLeak, PoolLeakSpec};
