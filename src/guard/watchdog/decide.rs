//! Which queries must go before the server's memory ends. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use crate::guard::black_box::{Look, QueryInFlight, share};
use crate::guard::policy::GuardPolicy;
use crate::model::Text;

/// Killing a query with less than this share of S frees nothing that matters: it is a victim, not a cause.
const KILL_SHARE_MIN: f64 = 0.01;
/// Most kills of one look, whatever the policy says: after these the next look, a second later, knows more.
pub const KILLS_PER_LOOK_MAX: u32 = 10;

/// What the watchdog goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Share of S from which it warns.
    pub warn_share: f64,
    /// Share of S from which it acts.
    pub act_share: f64,
    /// Most kills of one look.
    pub kills_per_look_max: usize,
    /// The guard's own ClickHouse user: never killed.
    pub own_user: Text,
    /// ClickHouse users of classes that go first.
    pub expendable_users: BTreeSet<Text>,
    /// ClickHouse users of classes that write: never killed.
    pub writing_users: BTreeSet<Text>,
}

impl Rules {
    /// As the policy says.
    #[must_use]
    pub fn new(policy: &GuardPolicy) -> Self {
        let users = |wanted: fn(&crate::guard::policy::ClassPolicy) -> bool| {
            let of_class = |class: &str| policy.classes.get(class).is_some_and(wanted);
            let tenants = policy.tenants.iter().filter(|(_, tenant)| of_class(&tenant.class));
            tenants.map(|(name, tenant)| Text::from(tenant.user.as_deref().unwrap_or(name))).collect::<BTreeSet<_>>()
        };
        let writing_users = users(|class| class.writes);
        Self {
            warn_share: policy.watchdog.warn_memory_share,
            act_share: policy.watchdog.act_memory_share,
            kills_per_look_max: policy.watchdog.kills_per_look_max.min(KILLS_PER_LOOK_MAX) as usize,
            own_user: Text::from(policy.server.user.as_str()),
            expendable_users: users(|class| class.expendable),
            writing_users,
        }
    }
}

/// What is known beyond the look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Fingerprints whose breaker is open.
    pub tripped: BTreeSet<Text>,
    /// Queries of a new fingerprint, or of a new version of one.
    pub new: BTreeSet<Text>,
    /// Queries that were told to stop and have not ended yet: never killed again, and their memory counts as free.
    pub leaving: BTreeSet<Text>,
    /// Queries that were told to stop and do not hear: never killed again, and their memory counts.
    pub deaf: BTreeSet<Text>,
}

/// Why a query is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillReason {
    /// Were it to double once more, memory would not do. It grows in steps, so that no slope foretells it.
    WouldNotFitTwice,
    /// The server is near its limit, and this is the one to go first.
    MemoryShort,
}

/// A query to be killed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kill {
    /// The query, as seen.
    pub query: QueryInFlight,
    /// Why.
    pub reason: KillReason,
    /// Whether its fingerprint's breaker is open.
    pub tripped: bool,
    /// Whether its fingerprint or version is new.
    pub new: bool,
    /// Whether its class goes first.
    pub expendable: bool,
}

/// Memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// Above `warn_memory_share`.
    MemoryHigh,
    /// Above `act_memory_share`, and no query that may be killed would free anything: merges, caches, writes, or the
    /// guard's own user.
    NothingToKill,
    /// The server has no limit and the policy names none: nothing can be judged.
    NoLimit,
}

/// What a look leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// This query must go.
    Kill(Box<Kill>),
    /// Tell.
    Warn(Warning),
}

/// Decides. The kills come in the order in which they are to be done.
#[must_use]
pub fn decide(look: &Look, rules: &Rules, known: &Known) -> Vec<Decision> {
    let limit = look.memory_limit_bytes;
    if limit == 0 {
        return vec![Decision::Warn(Warning::NoLimit)];
    }
    let leaving: u64 =
        look.queries.iter().filter(|q| known.leaving.contains(&q.query_id)).map(|q| q.memory_bytes).sum();
    let used = look.memory_used_bytes.saturating_sub(leaving);
    let headroom = limit.saturating_sub(used);
    let is_short = |used: u64| share(used, limit) >= rules.act_share;

    let mut candidates: Vec<Kill> = (look.queries.iter())
        .filter(|query| may_be_killed(query, rules, known) && share(query.memory_bytes, limit) >= KILL_SHARE_MIN)
        .map(|query| candidate(query, headroom, rules, known))
        .filter(|kill| is_short(used) || kill.reason == KillReason::WouldNotFitTwice)
        .collect();
    candidates.sort_by_key(order);

    let mut decisions = Vec::new();
    if share(used, limit) >= rules.warn_share {
        decisions.push(Decision::Warn(Warning::MemoryHigh));
    }
    if is_short(used) && candidates.is_empty() {
        decisions.push(Decision::Warn(Warning::NothingToKill));
    }
    decisions.extend(enough(candidates, used, limit, rules).into_iter().map(|kill| Decision::Kill(Box::new(kill))));
    decisions
}

/// As many of them, in order, as memory needs: what the earlier ones free may be enough, and then the next would die in
/// vain.
fn enough(candidates: Vec<Kill>, used: u64, limit: u64, rules: &Rules) -> Vec<Kill> {
    let mut left = used;
    let mut kills = Vec::new();
    for kill in candidates {
        let memory_bytes = kill.query.memory_bytes;
        let needed =
            share(left, limit) >= rules.act_share || would_not_fit_twice(memory_bytes, limit.saturating_sub(left));
        if needed && kills.len() < rules.kills_per_look_max {
            left = left.saturating_sub(memory_bytes);
            kills.push(kill);
        }
    }
    kills
}

/// Only what is sure to only read, was asked for here, and is nobody's of the guard.
fn may_be_killed(query: &QueryInFlight, rules: &Rules, known: &Known) -> bool {
    query.kind.only_reads()
        && query.initial
        && !query.user.is_empty()
        && query.user != rules.own_user
        && !rules.writing_users.contains(&query.user)
        && !known.leaving.contains(&query.query_id)
        && !known.deaf.contains(&query.query_id)
}

fn would_not_fit_twice(memory_bytes: u64, headroom_bytes: u64) -> bool {
    memory_bytes.saturating_mul(2) > headroom_bytes
}

fn candidate(query: &QueryInFlight, headroom: u64, rules: &Rules, known: &Known) -> Kill {
    let reason = match would_not_fit_twice(query.memory_bytes, headroom) {
        true => KillReason::WouldNotFitTwice,
        false => KillReason::MemoryShort,
    };
    Kill {
        reason,
        tripped: known.tripped.contains(&query.fingerprint),
        new: known.new.contains(&query.query_id),
        expendable: rules.expendable_users.contains(&query.user),
        query: query.clone(),
    }
}

/// Who goes first: a fingerprint that has done harm, a new one, an expendable class, the largest, the youngest.
fn order(kill: &Kill) -> (Reverse<bool>, Reverse<bool>, Reverse<bool>, Reverse<u64>, i64, Text) {
    let query = &kill.query;
    (
        Reverse(kill.tripped),
        Reverse(kill.new),
        Reverse(kill.expendable),
        Reverse(query.memory_bytes),
        query.elapsed_ms,
        query.query_id.clone(),
    )
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
