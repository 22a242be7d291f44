//! What of a server SQL cannot change, and should be otherwise: told with every plan.

use std::collections::BTreeSet;

use serde::Serialize;

use super::check::read_slots;
use super::state::{Existing, Server};
use super::{Desired, GuardPolicy};

/// One thing to change in the server's own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The setting, or what it is about.
    pub subject: String,
    /// As it is.
    pub is: String,
    /// What would be better.
    pub better: String,
    /// Why.
    pub why: String,
}

fn advice(subject: &str, is: impl Into<String>, better: impl Into<String>, why: &str) -> Advice {
    Advice { subject: subject.to_owned(), is: is.into(), better: better.into(), why: why.to_owned() }
}

/// Looks at the server's own settings, and at what others have made there.
#[must_use]
pub fn advise(policy: &GuardPolicy, desired: &Desired, server: &Server, existing: &Existing) -> Vec<Advice> {
    let mut all = server_settings(policy, server);
    let held: BTreeSet<&str> = desired.users.keys().map(String::as_str).chain(["ALL"]).collect();
    for (quota, applies_to) in &existing.client_keyed_quotas {
        if applies_to.split(", ").any(|user| held.contains(user)) {
            let why = "the client chooses the key, and each key is a new budget: it holds nobody";
            all.push(advice(&format!("quota {quota}"), "keyed by client_key", "keyed by user_name", why));
        }
    }
    all
}

fn server_settings(policy: &GuardPolicy, server: &Server) -> Vec<Advice> {
    let mut all = Vec::new();
    let number = |name: &str| server.settings.get(name).and_then(|value| value.parse::<f64>().ok());
    if number("throw_on_unknown_workload") == Some(0.0) {
        let why = "a query that names a workload that does not exist takes no slot; users of the guard cannot name one, others can";
        all.push(advice("throw_on_unknown_workload", "0", "1 in config.xml", why));
    }
    let reads = read_slots(policy);
    match number("max_concurrent_select_queries") {
        Some(most) if most == 0.0 || most > f64::from(policy.server.slots) => {
            let why = "users that the guard does not hold could take every thread; workloads hold only the guard's";
            all.push(advice("max_concurrent_select_queries", most.to_string(), format!("{reads} in config.xml"), why));
        }
        _ => {}
    }
    if let Some(most) = number("max_concurrent_queries").filter(|most| *most > 0.0 && *most <= f64::from(reads)) {
        let why = "reads alone reach it, and inserts are refused with 202";
        let better = format!("0, or more than {reads}, in config.xml");
        all.push(advice("max_concurrent_queries", most.to_string(), better, why));
    }
    if let Some(ratio) = number("max_server_memory_usage_to_ram_ratio").filter(|ratio| *ratio > 0.9) {
        let why = "the kernel kills before ClickHouse refuses; 0.8 in a container, 0.9 on a machine of its own";
        all.push(advice("max_server_memory_usage_to_ram_ratio", ratio.to_string(), "0.9 in config.xml", why));
    }
    all
}
