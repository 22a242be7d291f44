//! Policy as code: what each class of query and each tenant may take of a ClickHouse server.
//!
//! `file` reads it, `check` finds its holes, `compile` makes of it what there should be on a server, `state` reads what
//! there is, `plan` compares, `apply` and `xml` bring it there.

mod advice;
mod apply;
mod check;
mod check_classes;
mod check_tenants;
mod compile;
mod desired;
mod file;
mod guarded;
pub(in crate::guard) use guarded::guarded_settings;
mod objects;
mod passwords;
mod plan;
mod rows;
mod server_access;
mod setting;
mod state;
mod statements;
#[cfg(test)]
mod tests;
mod xml;

pub use advice::{Advice, advise};
pub use apply::{ApplyError, Target, apply};
pub use check::{Findings, Hole, check, holes_in_words, read_slots};
pub use compile::compile;
pub use desired::{Desired, PREFIX, Quota, ServerFacts, User, Workload};
pub use file::{
    BlackBoxPolicy, BreakerPolicy, ClassPolicy, GuardPolicy, PolicyError, ProxyPolicy, SafeModePolicy, ServerPolicy,
    TenantPolicy, WatchdogPolicy,
};
pub use objects::{Attributes, Kind, Objects};
pub use plan::{Action, Change, Difference, Plan, PlanOptions, Way, plan};
pub use server_access::ServerAccessError;
pub use setting::{Setting, SettingPolicy, SettingRange, SettingValue, Writability};
pub use state::{Existing, Server, read_existing, read_server};
pub use statements::{Statement, statements};
pub use xml::write_private_file;
