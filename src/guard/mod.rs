//! The query guard: keeps ClickHouse alive under its own users. Policy as code, a proxy that admits queries, a watchdog
//! that kills the one that would take the server down, a black box that remembers it, and a gate for CI.

pub mod black_box;
pub mod gate;
pub mod policy;
pub mod preflight;
pub mod proxy;
pub mod sql;
pub mod trial;
pub mod watch;
pub mod watchdog;
