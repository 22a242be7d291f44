//! Policy as code: what each class of query and each tenant may take of a ClickHouse server.

mod file;

pub use file::{
    BlackBoxPolicy, BreakerPolicy, ClassPolicy, GuardPolicy, PolicyError, ProxyPolicy, SafeModePolicy, ServerPolicy,
    TenantPolicy, WatchdogPolicy,
};
