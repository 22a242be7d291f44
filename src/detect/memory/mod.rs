//! Memory that climbs or leaks, and what restarts because of it.

mod memory_climb;
mod memory_exhaustion;
mod memory_leak;
mod restart_loop;

pub use memory_exhaustion::{MemoryExhaustion, MemoryExhaustionSpec};
pub use memory_leak::{MemoryLeak, MemoryLeakSpec};
pub use restart_loop::{RestartLoop, RestartLoopSpec};
