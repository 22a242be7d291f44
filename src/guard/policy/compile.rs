//! From a policy without holes to the state of a server in which it holds. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Findings, read_slots};
use super::check_tenants::user_of;
use super::desired::{
    DEFAULT_WORKLOAD, Desired, PREFIX, Quota, READS_WORKLOAD, ROOT_WORKLOAD, ServerFacts, User, Workload,
};
use super::guarded::{Danger, GUARDED};
use super::setting::{Setting, SettingPolicy, Writability};
use super::{ClassPolicy, GuardPolicy, Hole, TenantPolicy, check};
use crate::config::Secret;

/// Half-filled hash tables of queries before are not allocated again at once beyond this many keys: a GROUP BY that once
/// had 3 million would take 1 GiB before its first row (measured).
const PREALLOCATED_KEYS_MAX: u64 = 10_000_000;
/// ClickHouse's default: whoever is this many bytes above others is stopped first when memory runs out.
const OVERCOMMIT_DENOMINATOR: u64 = 1 << 30;
/// ClickHouse's default: memory that a thread takes before it is counted.
const UNTRACKED_BYTES_MAX: u64 = 4 << 20;

/// Compiles a policy.
///
/// # Errors
/// Its holes, all of them.
pub fn compile(
    policy: &GuardPolicy,
    passwords: &BTreeMap<String, Secret>,
    facts: &ServerFacts,
) -> Result<Desired, Vec<Hole>> {
    let mut findings = check(policy);
    let mut desired =
        Desired { workloads: workloads(policy, facts), slots: !facts.foreign_slots, ..Desired::default() };
    for (name, class) in &policy.classes {
        let profile = profile(name, class, facts, &mut findings);
        desired.profiles.insert(format!("{PREFIX}{name}"), profile);
    }
    for (name, tenant) in &policy.tenants {
        let writes = policy.classes.get(&tenant.class).is_some_and(|class| class.writes);
        let role = format!("{PREFIX}{name}");
        let user = user_of(name, tenant).to_owned();
        let quota = quota(&role, &user, tenant);
        let Some(password) = passwords.get(name).cloned() else {
            let why = "a user without a password is anybody";
            findings.hole(format!("tenants.{name}.password_file"), "gives no password", why, "a file with a password");
            continue;
        };
        desired.roles.insert(role.clone(), grants(tenant, writes));
        let user_state = User {
            role: role.clone(),
            profile: format!("{PREFIX}{}", tenant.class),
            quota: quota.as_ref().map(|_| role.clone()),
            password,
        };
        desired.quotas.extend(quota.map(|quota| (role, quota)));
        desired.users.insert(user, user_state);
    }
    if findings.holes.is_empty() {
        desired.warnings = findings.warnings;
        Ok(desired)
    } else {
        Err(findings.holes)
    }
}

fn profile(name: &str, class: &ClassPolicy, facts: &ServerFacts, findings: &mut Findings) -> BTreeMap<String, Setting> {
    let mut profile = BTreeMap::new();
    let mut set = |name: &str, setting: Setting| {
        profile.insert(name.to_owned(), setting);
    };
    set("workload", Setting::fixed(format!("{PREFIX}{name}").as_str()));
    if class.writes {
        // 0: never chosen to be stopped when memory runs out. What a write loses is data, what a read loses is a retry.
        set("memory_overcommit_ratio_denominator", Setting::fixed(0));
        set("memory_overcommit_ratio_denominator_for_user", Setting::fixed(0));
    } else {
        held(class, facts, &mut set);
        set("max_threads", Setting::cap(u64::from(threads(name, class, facts, findings))));
        set("log_comment", Setting::free());
        for free in &class.settings_changeable {
            set(free, Setting::free());
        }
    }
    for (name, policy) in &class.settings {
        set(name, from_policy(policy, class.writes));
    }
    if let Some(known) = &facts.settings {
        drop_unknown(name, class, known, &mut profile, findings);
    }
    profile
}

/// What holds a class that reads.
fn held(class: &ClassPolicy, facts: &ServerFacts, set: &mut impl FnMut(&str, Setting)) {
    let bytes = |share: f64| share_of(facts.memory_bytes_max, share);
    set("readonly", Setting::fixed(1));
    set("cancel_http_readonly_queries_on_client_close", Setting::fixed(1));
    set("memory_overcommit_ratio_denominator", Setting::fixed(OVERCOMMIT_DENOMINATOR));
    set("memory_overcommit_ratio_denominator_for_user", Setting::fixed(OVERCOMMIT_DENOMINATOR));
    set("max_untracked_memory", Setting::fixed(UNTRACKED_BYTES_MAX));
    set("max_size_to_preallocate_for_aggregation", Setting::fixed(PREALLOCATED_KEYS_MAX));
    set("max_size_to_preallocate_for_joins", Setting::fixed(PREALLOCATED_KEYS_MAX));
    for (name, _) in GUARDED.iter().filter(|(_, danger)| *danger == Danger::ThrowOnly) {
        set(name, Setting::fixed("throw"));
    }
    if let Some(share) = class.query_memory_share_max {
        set("max_memory_usage", Setting::cap(bytes(share)));
    }
    if let Some(share) = class.user_memory_share_max {
        // Not lower for one query: it counts all queries of the user.
        set("max_memory_usage_for_user", Setting::fixed(bytes(share)));
    }
    if let Some(share) = class.spill_share_min {
        set("max_bytes_before_external_group_by", Setting::cap(bytes(share)));
        set("max_bytes_before_external_sort", Setting::cap(bytes(share)));
    }
    if let Some(most) = class.read_rows_max {
        // ClickHouse checks rows before a query starts and so refuses `… LIMIT 10` over a large table. Where bytes hold
        // the class as well, rows are only bounded: the proxy sets them for queries that are no such trap.
        let is_held_by_bytes = class.read_bytes_max.is_some();
        set("max_rows_to_read", if is_held_by_bytes { Setting::bound(most) } else { Setting::cap(most) });
    }
    let counts = [
        ("max_temporary_data_on_disk_size_for_query", class.temporary_bytes_max.map(|bytes| bytes.0.as_u64())),
        ("max_bytes_to_read", class.read_bytes_max.map(|bytes| bytes.0.as_u64())),
        ("max_result_rows", class.result_rows_max),
        ("max_execution_time", class.duration_max.map(|span| span.0.as_secs())),
    ];
    for (name, most) in counts {
        if let Some(most) = most {
            set(name, Setting::cap(most));
        }
    }
}

/// At least a byte: 0 would be unlimited.
fn share_of(bytes: u64, share: f64) -> u64 {
    // Both are far below 2^53, and the product is no more than `bytes`.
    ((bytes as f64 * share) as u64).max(1)
}

/// Half of the cores unless the policy says; more is allowed, and worth a word.
fn threads(name: &str, class: &ClassPolicy, facts: &ServerFacts, findings: &mut Findings) -> u32 {
    let half = (facts.cores / 2).max(1);
    match class.threads_max {
        Some(threads) if threads > half => {
            let problem = format!("{threads} is more than half of the server's {} cores", facts.cores);
            let why = "two such queries take every core, and memory of a GROUP BY grows with its threads";
            findings.warning(format!("classes.{name}.threads_max"), problem, why, &format!("{half}"));
            threads
        }
        Some(threads) => threads,
        None => half,
    }
}

fn from_policy(policy: &SettingPolicy, writes: bool) -> Setting {
    match policy {
        SettingPolicy::Fixed(value) => {
            Setting { value: Some(value.clone()), min: None, max: None, writability: Writability::Const }
        }
        SettingPolicy::Range(range) => Setting {
            value: Some(range.value.clone()),
            min: range.min.clone(),
            max: range.max.clone(),
            writability: if writes { Writability::Writable } else { Writability::ChangeableInReadonly },
        },
    }
}

/// A setting that the server does not know would have the whole profile refused. One of the guard's own is left out, with
/// a word; one of the policy's is a hole.
fn drop_unknown(
    class_name: &str,
    class: &ClassPolicy,
    known: &BTreeSet<String>,
    profile: &mut BTreeMap<String, Setting>,
    findings: &mut Findings,
) {
    profile.retain(|setting, _| {
        if known.contains(setting) {
            return true;
        }
        let key = format!("classes.{class_name}.settings.{setting}");
        if class.settings.contains_key(setting) || class.settings_changeable.contains(setting) {
            let meant = crate::model::did_you_mean(setting, known.iter().map(String::as_str));
            let write = meant
                .map_or_else(|| "a setting of system.settings".to_owned(), |name| format!("did you mean `{name}`?"));
            findings.hole(key, "is no setting of this server", "it would refuse the whole profile", &write);
        } else {
            let why = "it is older than the setting, or newer: what it holds is not held";
            findings.warning(
                key,
                "is no setting of this server, and is left out",
                why,
                "nothing; an upgrade brings it",
            );
        }
        false
    });
}

fn grants(tenant: &TenantPolicy, writes: bool) -> BTreeSet<String> {
    let places = tenant.databases.iter().map(|place| match place.contains('.') {
        true => place.clone(),
        false => format!("{place}.*"),
    });
    let of_place = |place: String| {
        let read = format!("SELECT ON {place}");
        if writes { vec![read, format!("INSERT ON {place}")] } else { vec![read] }
    };
    places.flat_map(of_place).collect()
}

fn quota(role: &str, user: &str, tenant: &TenantPolicy) -> Option<Quota> {
    let read_bytes_max = tenant.read_bytes_per_hour_max.map(|bytes| bytes.0.as_u64());
    let is_limited = tenant.queries_per_hour_max.is_some() || read_bytes_max.is_some();
    is_limited.then(|| Quota {
        role: role.to_owned(),
        user: user.to_owned(),
        queries_max: tenant.queries_per_hour_max,
        read_bytes_max,
    })
}

/// The root and writes have no limit, so that neither inserts nor the guard itself ever wait; reads have one together.
/// `default` is there for whoever names no workload: without it such queries are refused once slots exist.
fn workloads(policy: &GuardPolicy, facts: &ServerFacts) -> Vec<Workload> {
    let plain = |name: &str, parent: Option<&str>| Workload {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        settings: BTreeMap::new(),
    };
    let mut workloads = vec![plain(ROOT_WORKLOAD, facts.foreign_root.as_deref())];
    if !facts.foreign_default {
        workloads.push(plain(DEFAULT_WORKLOAD, Some(ROOT_WORKLOAD)));
    }
    let mut reads = plain(READS_WORKLOAD, Some(ROOT_WORKLOAD));
    reads.settings.insert("max_concurrent_queries", u64::from(read_slots(policy)));
    workloads.push(reads);
    for (name, class) in &policy.classes {
        let parent = if class.writes { ROOT_WORKLOAD } else { READS_WORKLOAD };
        let mut workload = plain(&format!("{PREFIX}{name}"), Some(parent));
        if let Some(slots) = class.slots {
            workload.settings.insert("max_concurrent_queries", u64::from(slots));
        }
        if let Some(waiting) = class.waiting_max {
            workload.settings.insert("max_waiting_queries", u64::from(waiting));
        }
        workloads.push(workload);
    }
    workloads
}
