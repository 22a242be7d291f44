//! Holes of tenants: without class, password or databases, or as somebody whom the guard must not hold.

use std::collections::BTreeMap;

use super::check::{Findings, listed, name};
use super::{GuardPolicy, TenantPolicy};
use crate::model::did_you_mean;

pub(super) fn tenants(policy: &GuardPolicy, findings: &mut Findings) {
    let mut users: BTreeMap<&str, &str> = BTreeMap::new();
    for (tenant_name, tenant) in &policy.tenants {
        let key = format!("tenants.{tenant_name}");
        name("tenants", tenant_name, findings);
        class_of(&key, tenant, policy, findings);
        let user = user_of(tenant_name, tenant);
        if tenant.user.is_some() {
            name(&format!("{key}.user"), user, findings);
        }
        if let Some(other) = users.insert(user, tenant_name) {
            let why = "they would share one password, one quota and the caps of one class: the last one wins";
            let problem = format!("user `{user}` is tenant `{other}`'s already");
            findings.hole(format!("{key}.user"), problem, why, "a user for each tenant");
        }
        if user == policy.server.user || user == "default" {
            let why = "the guard, or the server's own sessions, would be held by the policy and locked out";
            findings.hole(
                format!("{key}.user"),
                format!("`{user}` is not a tenant's"),
                why,
                "a user of the tenant's own",
            );
        }
        access(&key, tenant, findings);
    }
}

/// The ClickHouse user of a tenant.
pub(super) fn user_of<'a>(tenant_name: &'a str, tenant: &'a TenantPolicy) -> &'a str {
    tenant.user.as_deref().unwrap_or(tenant_name)
}

fn class_of(key: &str, tenant: &TenantPolicy, policy: &GuardPolicy, findings: &mut Findings) {
    if policy.classes.contains_key(&tenant.class) {
        return;
    }
    let key = format!("{key}.class");
    let there_are = format!("one of {}", listed(&policy.classes));
    let why = "without a class nothing holds its queries";
    if tenant.class.is_empty() {
        return findings.hole(key, "is missing", why, &there_are);
    }
    let problem = match did_you_mean(&tenant.class, policy.classes.keys().map(String::as_str)) {
        Some(meant) => format!("there is no class `{}`: did you mean `{meant}`?", tenant.class),
        None => format!("there is no class `{}`", tenant.class),
    };
    findings.hole(key, problem, why, &there_are);
}

fn access(key: &str, tenant: &TenantPolicy, findings: &mut Findings) {
    if tenant.password.is_none() && tenant.password_file.is_none() {
        let why = "anybody could ask in its name, and use up what is its";
        findings.hole(format!("{key}.password_file"), "is missing", why, "the path of a file that holds its password");
    }
    if tenant.databases.is_empty() {
        let why = "it could read nothing, or, with a grant made elsewhere, more than this file says";
        findings.hole(
            format!("{key}.databases"),
            "is empty",
            why,
            "databases or tables, like [\"shop\", \"web.requests\"]",
        );
    }
    for place in tenant.databases.iter().filter(|place| !is_place(place)) {
        let why = "it becomes a GRANT; only plain names can be told from patterns and from SQL";
        findings.hole(format!("{key}.databases"), format!("`{place}` is no place"), why, "database or database.table");
    }
    if tenant.weight == Some(0) {
        findings.hole(format!("{key}.weight"), "is 0", "it would never have its turn", "at least 1");
    }
    let quotas = [
        ("queries_per_hour_max", tenant.queries_per_hour_max),
        ("read_bytes_per_hour_max", tenant.read_bytes_per_hour_max.map(|bytes| bytes.0.as_u64())),
    ];
    for (what, _) in quotas.iter().filter(|(_, most)| *most == Some(0)) {
        findings.hole(
            format!("{key}.{what}"),
            "is 0",
            "ClickHouse takes 0 for unlimited",
            "a number above 0, or nothing",
        );
    }
}

/// `database` or `database.table`, of letters, digits and `_`.
fn is_place(place: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match place.split_once('.') {
        Some((database, table)) => plain(database) && plain(table),
        None => plain(place),
    }
}
