//! Holes of classes: limits that are missing, that do not hold, or that add up to more than there is.

use super::check::{Findings, name, read_slots};
use super::guarded::{Danger, danger_of};
use super::setting::{SettingPolicy, SettingRange};
use super::{ClassPolicy, GuardPolicy};

/// Spilling that begins above this share of the query's cap comes too late: buffers grow by doubling (measured).
pub(super) const SPILL_OF_CAP_MAX: f64 = 0.25;
/// Shares are written with few digits: 0.0075 of 0.03 is a quarter, whatever binary fractions say.
const ROUNDING: f64 = 1e-9;
/// Names of workloads that no class can have, because the hierarchy above the classes has them.
const NAMES_TAKEN: [&str; 3] = ["reads", "query", "default"];
/// Settings that keys of the class stand for.
const BY_KEY: [(&str, &str); 10] = [
    ("max_bytes_before_external_group_by", "spill_share_min"),
    ("max_bytes_before_external_sort", "spill_share_min"),
    ("max_bytes_to_read", "read_bytes_max"),
    ("max_execution_time", "duration_max"),
    ("max_memory_usage", "query_memory_share_max"),
    ("max_memory_usage_for_user", "user_memory_share_max"),
    ("max_result_rows", "result_rows_max"),
    ("max_rows_to_read", "read_rows_max"),
    ("max_temporary_data_on_disk_size_for_query", "temporary_bytes_max"),
    ("max_threads", "threads_max"),
];

pub(super) fn classes(policy: &GuardPolicy, findings: &mut Findings) {
    for (class_name, class) in &policy.classes {
        let key = format!("classes.{class_name}");
        name("classes", class_name, findings);
        if NAMES_TAKEN.contains(&class_name.as_str()) {
            let why = "the workloads above the classes have it";
            findings.hole(&*key, "is a name that is taken", why, "another name");
        }
        if class.writes {
            writer(&key, class, findings);
        } else {
            reader(&key, class, findings);
        }
        settings(&key, class, findings);
    }
    slots_together(policy, findings);
    memory_together(policy, findings);
}

fn writer(key: &str, class: &ClassPolicy, findings: &mut Findings) {
    let caps = [
        ("query_memory_share_max", class.query_memory_share_max.is_some()),
        ("user_memory_share_max", class.user_memory_share_max.is_some()),
        ("spill_share_min", class.spill_share_min.is_some()),
        ("temporary_bytes_max", class.temporary_bytes_max.is_some()),
        ("read_rows_max", class.read_rows_max.is_some()),
        ("read_bytes_max", class.read_bytes_max.is_some()),
        ("result_rows_max", class.result_rows_max.is_some()),
        ("duration_max", class.duration_max.is_some()),
        ("threads_max", class.threads_max.is_some()),
        ("slots", class.slots.is_some()),
        ("waiting_max", class.waiting_max.is_some()),
        ("wait_max", class.wait_max.is_some()),
    ];
    for (cap, _) in caps.iter().filter(|(_, given)| *given) {
        let why = "a class that writes has no caps: an insert that is refused or killed is lost data";
        findings.hole(format!("{key}.{cap}"), "holds nobody", why, "nothing here, or a class of its own for reads");
    }
    if class.expendable {
        let why = "the watchdog never kills a query that writes";
        findings.hole(format!("{key}.expendable"), "is set for a class that writes", why, "expendable = false");
    }
}

fn reader(key: &str, class: &ClassPolicy, findings: &mut Findings) {
    memory(key, class, findings);
    reading(key, class, findings);
    let unlimited = "ClickHouse takes 0 for unlimited";
    match class.duration_max {
        None => {
            let why = "without it a query holds its slot and its memory for as long as it likes";
            findings.hole(format!("{key}.duration_max"), "is missing", why, "for example \"30s\"");
        }
        Some(span) if span.0.as_secs() == 0 => {
            let why = "ClickHouse counts whole seconds, and takes 0 for unlimited";
            findings.hole(format!("{key}.duration_max"), format!("is {span}"), why, "at least \"1s\"");
        }
        Some(span) if span.0.subsec_nanos() > 0 => {
            let why = "ClickHouse counts whole seconds: the server would end what the proxy still lets run";
            let write = format!("\"{}s\" or \"{}s\"", span.0.as_secs(), span.0.as_secs() + 1);
            findings.hole(format!("{key}.duration_max"), format!("is {span}"), why, &write);
        }
        Some(_) => {}
    }
    if class.threads_max == Some(0) {
        let why = "0 is every core: memory of a GROUP BY grows with its threads";
        findings.hole(format!("{key}.threads_max"), "is 0", why, "half of the server's cores, or nothing");
    }
    for (what, count) in [("slots", class.slots), ("waiting_max", class.waiting_max)] {
        let at = format!("{key}.{what}");
        match (what, count) {
            ("slots", None) => {
                let why = "without it one class takes the slots of all others";
                findings.hole(at, "is missing", why, "how many of its queries may run at once, for example 4");
            }
            ("waiting_max", None) => {
                let why = "without it the queue in front of the slots grows without bound";
                findings.hole(at, "is missing", why, "twice the slots");
            }
            (_, Some(0)) => findings.hole(at, "is 0", unlimited, "at least 1"),
            _ => {}
        }
    }
}

fn memory(key: &str, class: &ClassPolicy, findings: &mut Findings) {
    let (query_key, user_key) = (format!("{key}.query_memory_share_max"), format!("{key}.user_memory_share_max"));
    match class.query_memory_share_max {
        None => {
            let why = "ClickHouse's default is unlimited: one query can take the whole server";
            findings.hole(&*query_key, "is missing", why, "for example 0.05: 5 % of S");
        }
        Some(share) => findings.share(&*query_key, share, 1.0, "it is the share of S that one query may take"),
    }
    match (class.user_memory_share_max, class.query_memory_share_max) {
        (None, _) => {
            let why = "many small queries of one user together take the whole server";
            findings.hole(&*user_key, "is missing", why, "for example 0.2: 20 % of S");
        }
        (Some(user), Some(query)) if user + ROUNDING < query => {
            let why = "no query could ever reach the cap that it is told";
            findings.hole(
                &*user_key,
                format!("{user} is below the {query} of one query"),
                why,
                "at least query_memory_share_max",
            );
        }
        (Some(user), _) => findings.share(&*user_key, user, 1.0, "it is the share of S that one user may take"),
    }
    let spill_key = format!("{key}.spill_share_min");
    let Some(query) = class.query_memory_share_max else { return };
    let most = query * SPILL_OF_CAP_MAX;
    match class.spill_share_min {
        None => {
            let why = "ClickHouse's own ratio ignores max_memory_usage: GROUP BY and ORDER BY die at the cap instead of spilling";
            findings.hole(spill_key, "is missing", why, &format!("at most {}", rounded(most)));
        }
        Some(share) if share > most + ROUNDING => {
            let problem = format!("{share} is {:.0} % of the query's cap", 100.0 * share / query);
            let why = "spilling that begins above 25 % of the cap comes too late: the query dies with 241";
            findings.hole(spill_key, problem, why, &format!("at most {}", rounded(most)));
        }
        Some(share) => findings.share(spill_key, share, 1.0, "ClickHouse takes 0 for: never to disk"),
    }
}

/// A share as people write it.
fn rounded(share: f64) -> f64 {
    (share * 1e6).floor() / 1e6
}

fn reading(key: &str, class: &ClassPolicy, findings: &mut Findings) {
    let bytes = class.read_bytes_max.map(|bytes| bytes.0.as_u64());
    if class.read_rows_max.is_none() && bytes.is_none() {
        let why = "a full scan of the largest table would be admitted, as often as there are slots";
        findings.hole(
            format!("{key}.read_bytes_max"),
            "is missing, and read_rows_max too",
            why,
            "for example \"300GB\"",
        );
    }
    let counts = [
        ("read_rows_max", class.read_rows_max),
        ("read_bytes_max", bytes),
        ("result_rows_max", class.result_rows_max),
        ("temporary_bytes_max", class.temporary_bytes_max.map(|bytes| bytes.0.as_u64())),
    ];
    for (what, _) in counts.iter().filter(|(_, count)| *count == Some(0)) {
        findings.hole(
            format!("{key}.{what}"),
            "is 0",
            "ClickHouse takes 0 for unlimited",
            "a number above 0, or nothing",
        );
    }
}

fn settings(key: &str, class: &ClassPolicy, findings: &mut Findings) {
    for (setting, policy) in &class.settings {
        let at = format!("{key}.settings.{setting}");
        let taken = BY_KEY.iter().find(|(name, _)| name == setting && !class.writes);
        if let Some((_, stands_for)) = taken {
            let why = "two places would say the same thing, and could say it differently";
            findings.hole(at, "has a key of its own", why, &format!("{key}.{stands_for}"));
            continue;
        }
        match (danger_of(setting), policy) {
            (Some(Danger::OpensEverything | Danger::ChoosesWorkload), _) => {
                let why = "it is what the class itself decides: with another value nothing else holds";
                findings.hole(at, "is not for a policy to set", why, "nothing");
            }
            (Some(Danger::ThrowOnly), policy) if !is_fixed_to(policy, "throw") => {
                let why = "at the limit a part of the answer would be given as if it were the whole, silently";
                findings.hole(at, "is not \"throw\"", why, "\"throw\", or nothing: it is fixed to that");
            }
            (Some(Danger::OptsOut | Danger::RunsOn), SettingPolicy::Range(_)) => {
                findings.hole(at, "may be chosen by users", OPTS_OUT, "nothing: it is fixed");
            }
            (Some(Danger::OptsOut | Danger::RunsOn), SettingPolicy::Fixed(value))
                if value.is_zero() && !class.writes =>
            {
                findings.hole(at, "is 0", OPTS_OUT, "nothing: it is fixed to ClickHouse's default");
            }
            (Some(Danger::ZeroIsUnlimited), SettingPolicy::Fixed(value)) if value.is_zero() => {
                findings.hole(at, "is 0", "ClickHouse takes 0 for unlimited", "a number above 0");
            }
            (danger, SettingPolicy::Range(range)) => range_holds(&at, danger, range, findings),
            _ => {}
        }
    }
    for setting in &class.settings_changeable {
        let at = format!("{key}.settings_changeable");
        if danger_of(setting).is_some() {
            let problem = format!("`{setting}` is one of the settings that hold the class");
            findings.hole(at, problem, OPTS_OUT, "only settings that harm nobody, like \"session_timezone\"");
        } else if !is_setting_name(setting) {
            findings.hole(
                at,
                format!("`{setting}` is no name of a setting"),
                "ClickHouse would refuse the profile",
                "small letters, digits and _",
            );
        }
    }
    for setting in class.settings.keys().filter(|setting| !is_setting_name(setting)) {
        let at = format!("{key}.settings.{setting}");
        findings.hole(
            at,
            "is no name of a setting",
            "ClickHouse would refuse the profile",
            "small letters, digits and _",
        );
    }
}

const OPTS_OUT: &str = "whoever may change it has switched the guard off for its own queries";

fn is_fixed_to(policy: &SettingPolicy, text: &str) -> bool {
    matches!(policy, SettingPolicy::Fixed(value) if value.as_shown() == text)
}

fn is_setting_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn range_holds(at: &str, danger: Option<Danger>, range: &SettingRange, findings: &mut Findings) {
    let admits_zero = "a max without a min admits 0, which ClickHouse takes for unlimited";
    match (&range.min, &range.max) {
        (None, Some(_)) => findings.hole(at, "has a max and no min", admits_zero, "min = 1"),
        (Some(min), Some(_)) if min.is_zero() && danger == Some(Danger::ZeroIsUnlimited) => {
            findings.hole(at, "has a min of 0", admits_zero, "min = 1");
        }
        (_, None) => {
            let why = "nothing holds whoever raises it";
            findings.hole(at, "has no max", why, "min and max, or a plain value: then nobody may change it");
        }
        (Some(_), Some(_)) => {}
    }
}

/// Slots of the classes that read fit into those that writes leave them.
fn slots_together(policy: &GuardPolicy, findings: &mut Findings) {
    let wanted: u64 = readers(policy).filter_map(|(_, class)| class.slots).map(u64::from).sum();
    let there = u64::from(read_slots(policy));
    if wanted > there && there > 0 {
        findings.hole(
            "server.slots",
            format!("classes that read have {wanted} slots, and only {there} of {} are theirs", policy.server.slots),
            "reads could take every slot, and inserts would wait for them",
            &format!("at least {}, or fewer slots for the classes", slots_needed(policy, wanted)),
        );
    }
}

fn slots_needed(policy: &GuardPolicy, wanted: u64) -> u64 {
    let free_share = 1.0 - policy.server.ingest_slots_share_min;
    // A few hundred at most: what people write as slots.
    (wanted as f64 / free_share).ceil() as u64
}

/// What all readers can take at once, each class at its slots and its users at their caps, is no more than there is.
fn memory_together(policy: &GuardPolicy, findings: &mut Findings) {
    let mut together = 0.0;
    for (class_name, class) in readers(policy) {
        let (Some(query), Some(user), Some(slots)) =
            (class.query_memory_share_max, class.user_memory_share_max, class.slots)
        else {
            continue;
        };
        let tenants = policy.tenants.values().filter(|tenant| tenant.class == *class_name).count();
        let by_slots = query * f64::from(slots);
        // A class without tenants of its own in the file is used by others: only its slots hold it.
        together += if tenants == 0 { by_slots } else { by_slots.min(user * tenants as f64) };
    }
    if together > 1.0 + ROUNDING {
        findings.hole(
            "classes",
            format!("queries that read can take {:.0} % of S together, each within its caps", 100.0 * together),
            "the server runs out of memory although nobody has broken a rule, and inserts die with 241",
            "less query_memory_share_max, fewer slots, or less user_memory_share_max: per class it is the least of slots × query share and tenants × user share",
        );
    }
}

fn readers(policy: &GuardPolicy) -> impl Iterator<Item = (&String, &ClassPolicy)> {
    policy.classes.iter().filter(|(_, class)| !class.writes)
}
