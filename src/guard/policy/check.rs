//! Holes of a policy: found all together before anything is compiled, each with why it is one and what to write.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{GuardPolicy, check_classes, check_tenants};
use crate::config::Span;

/// One thing by which queries would escape the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Path of the key, e.g. `classes.export.spill_share_min`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What would happen.
    pub why: String,
    /// What to write instead.
    pub write: String,
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n  why:   {}\n  write: {}", self.key, self.problem, self.why, self.write)
    }
}

/// What a look at a policy found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Findings {
    /// With these it is not compiled.
    pub holes: Vec<Hole>,
    /// Allowed, and worth a thought.
    pub warnings: Vec<Hole>,
}

impl Findings {
    pub(super) fn hole(&mut self, key: impl Into<String>, problem: impl Into<String>, why: &str, write: &str) {
        self.holes.push(entry(key, problem, why, write));
    }

    pub(super) fn warning(&mut self, key: impl Into<String>, problem: impl Into<String>, why: &str, write: &str) {
        self.warnings.push(entry(key, problem, why, write));
    }

    /// A share of S or of something else must be above 0 and at most `most`.
    pub(super) fn share(&mut self, key: impl Into<String>, share: f64, most: f64, why: &str) {
        if !(share > 0.0 && share <= most) {
            let write = format!("a number above 0 and at most {most}");
            self.hole(key, format!("{share} is no usable share"), why, &write);
        }
    }
}

fn entry(key: impl Into<String>, problem: impl Into<String>, why: &str, write: &str) -> Hole {
    Hole { key: key.into(), problem: problem.into(), why: why.to_owned(), write: write.to_owned() }
}

/// All holes as one text, as a refused policy is answered.
#[must_use]
pub fn holes_in_words(holes: &[Hole]) -> String {
    let count = holes.len();
    let lines: Vec<String> = holes.iter().map(ToString::to_string).collect();
    format!("the policy has {count} hole{}:\n{}", if count == 1 { "" } else { "s" }, lines.join("\n"))
}

/// Looks for every hole of a policy.
#[must_use]
pub fn check(policy: &GuardPolicy) -> Findings {
    let mut findings = Findings::default();
    server(policy, &mut findings);
    check_classes::classes(policy, &mut findings);
    check_tenants::tenants(policy, &mut findings);
    watchdog(policy, &mut findings);
    breaker_and_safe_mode(policy, &mut findings);
    proxy(policy, &mut findings);
    findings
}

/// Slots that reads may take together: all but those that are kept for writes.
#[must_use]
pub fn read_slots(policy: &GuardPolicy) -> u32 {
    let slots = f64::from(policy.server.slots);
    let kept = (slots * policy.server.ingest_slots_share_min.clamp(0.0, 1.0)).ceil();
    // At most `slots`, which is a u32.
    policy.server.slots.saturating_sub(kept as u32)
}

fn server(policy: &GuardPolicy, findings: &mut Findings) {
    let server = &policy.server;
    if server.ca_file.is_some() && !server.url.starts_with("https://") {
        let why =
            "the connection is not encrypted, so that nobody asks who answers it: passwords and answers are in clear";
        findings.hole("server.ca_file", format!("is for TLS, and {} is not", server.url), why, "an https:// address");
    }
    if server.memory_bytes_max.is_some_and(|bytes| bytes.0.as_u64() == 0) {
        let why = "every cap is a share of it: all would be 0, which ClickHouse takes for unlimited";
        findings.hole(
            "server.memory_bytes_max",
            "is 0",
            why,
            "the server's memory limit, or nothing: then the server is asked",
        );
    }
    if !(server.ingest_slots_share_min > 0.0 && server.ingest_slots_share_min < 1.0) {
        findings.hole(
            "server.ingest_slots_share_min",
            format!(
                "{} keeps {} for writes",
                server.ingest_slots_share_min,
                if server.ingest_slots_share_min > 0.0 { "everything" } else { "nothing" }
            ),
            "reads can take every slot, and inserts wait for them or are refused with 202",
            "a share between 0 and 1, for example 0.2",
        );
    } else if read_slots(policy) == 0 {
        let why = "reads need at least one slot, and writes keep at least one";
        findings.hole("server.slots", format!("{} slots leave none for reads", server.slots), why, "for example 40");
    }
}

fn watchdog(policy: &GuardPolicy, findings: &mut Findings) {
    let watchdog = &policy.watchdog;
    let late = "beyond it the kernel or ClickHouse itself decides who dies, and inserts die too";
    findings.share("watchdog.act_memory_share", watchdog.act_memory_share, 0.95, late);
    if watchdog.warn_memory_share >= watchdog.act_memory_share || watchdog.warn_memory_share <= 0.0 {
        let problem = format!("{} is not below act_memory_share", watchdog.warn_memory_share);
        let write = "a share below watchdog.act_memory_share, for example 0.75";
        findings.hole("watchdog.warn_memory_share", problem, "the warning would come after the kill", write);
    }
    positive("watchdog.interval", watchdog.interval, findings);
    positive("watchdog.end_timeout", watchdog.end_timeout, findings);
    if watchdog.kills_per_look_max == 0 {
        let why = "a watchdog that may kill nobody holds nothing";
        findings.hole("watchdog.kills_per_look_max", "is 0", why, "3, or watchdog.enforce = false to only look");
    }
    if watchdog.enforce && policy.classes.is_empty() {
        let why = "it cannot tell whom to kill first: no class says who is expendable, or that anybody writes";
        findings.hole("watchdog.enforce", "is on, and there are no classes", why, "classes, or enforce = false");
    }
}

fn positive(key: &str, span: Span, findings: &mut Findings) {
    if span.0.is_zero() {
        findings.hole(key, "is 0", "it would never wait, or always", "a time above 0, for example \"5s\"");
    }
}

fn breaker_and_safe_mode(policy: &GuardPolicy, findings: &mut Findings) {
    let (breaker, safe_mode) = (&policy.breaker, &policy.safe_mode);
    if breaker.offences == 0 {
        findings.hole("breaker.offences", "is 0", "every query would be refused before its first run", "3");
    }
    positive("breaker.window", breaker.window, findings);
    positive("breaker.open_min", breaker.open_min, findings);
    if breaker.open_max < breaker.open_min {
        let problem = format!("{} is shorter than open_min", breaker.open_max);
        findings.hole("breaker.open_max", problem, "a breaker could never open again for longer", "\"2h\"");
    }
    let caps =
        "above 1 a suspect gets more than an ordinary query; at 0 its cap is 0, which ClickHouse takes for unlimited";
    findings.share("breaker.probe_caps_share", breaker.probe_caps_share, 1.0, caps);
    findings.share("safe_mode.caps_share", safe_mode.caps_share, 1.0, caps);
    let slots = "safe mode leaves fewer slots than usual, and at least one";
    findings.share("safe_mode.slots_share", safe_mode.slots_share, 1.0, slots);
    let suspect = "a suspect is told by its share of the server's memory";
    findings.share("safe_mode.suspect_memory_share_min", safe_mode.suspect_memory_share_min, 1.0, suspect);
    positive("safe_mode.duration", safe_mode.duration, findings);
    if policy.black_box.bytes_max.0.as_u64() < 1 << 20 {
        let why = "a look at a busy server takes tens of kilobytes: the ring would hold seconds";
        findings.hole("black_box.bytes_max", format!("is {}", policy.black_box.bytes_max), why, "at least \"1MiB\"");
    }
    positive("black_box.interval", policy.black_box.interval, findings);
}

fn proxy(policy: &GuardPolicy, findings: &mut Findings) {
    let proxy = &policy.proxy;
    findings.share(
        "proxy.heavy_share",
        proxy.heavy_share,
        1.0,
        "a query is heavy from this share of its class's caps on",
    );
    // Port 0 is a free one each time.
    if proxy.listen == proxy.admin_listen && !proxy.listen.ends_with(":0") {
        let why = "clients would reach what operators block and unblock with";
        findings.hole("proxy.admin_listen", "is the address of proxy.listen", why, "\"127.0.0.1:8125\"");
    }
    let host = proxy.admin_listen.rsplit_once(':').map_or(proxy.admin_listen.as_str(), |(host, _)| host);
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_loopback && proxy.admin_token_file.is_none() {
        findings.hole(
            "proxy.admin_listen",
            format!("{} can be reached from elsewhere, without a token", proxy.admin_listen),
            "anybody on the network could unblock a query or switch safe mode off",
            "proxy.admin_token_file, or a loopback address",
        );
    }
    if proxy.enforce && !policy.classes.values().any(|class| !class.writes) {
        let why = "every query would be refused, or none: no class says what a query may take";
        findings.hole("proxy.enforce", "is on, and no class reads", why, "classes and tenants, or enforce = false");
    } else if proxy.enforce && policy.tenants.is_empty() {
        let why = "nobody could come in: the proxy knows its clients as tenants";
        findings.hole(
            "proxy.enforce",
            "is on, and there are no tenants",
            why,
            "[tenants.NAME] with class, password_file and databases",
        );
    }
}

/// Names of classes and tenants become names of ClickHouse objects and of XML elements.
pub(super) fn name(kind: &str, name: &str, findings: &mut Findings) {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !(starts_well && is_plain && name.len() <= NAME_BYTES_MAX) {
        findings.hole(
            format!("{kind}.{name}"),
            "is no usable name",
            "it becomes part of names of ClickHouse objects, and of elements of users.xml",
            "letters, digits, _ and -, beginning with a letter, at most 60 of them",
        );
    }
}

/// Longest name of a class, a tenant or a user.
pub(super) const NAME_BYTES_MAX: usize = 60;

/// `a, b and c`, for messages that list what there is.
pub(super) fn listed<T>(names: &BTreeMap<String, T>) -> String {
    let names: Vec<String> = names.keys().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
