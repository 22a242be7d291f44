//! What a query may take, from its class, and the ClickHouse settings that hold it to that.

use crate::guard::policy::ClassPolicy;

/// Names of all settings that the gate sets: a user of a class must be allowed to change these, and only downwards.
pub const SETTINGS: [&str; 19] = [
    "cancel_http_readonly_queries_on_client_close",
    "distinct_overflow_mode",
    "group_by_overflow_mode",
    "join_overflow_mode",
    "max_bytes_before_external_group_by",
    "max_bytes_before_external_sort",
    "max_bytes_to_read",
    "max_execution_time",
    "max_memory_usage",
    "max_result_rows",
    "max_rows_to_read",
    "max_size_to_preallocate_for_aggregation",
    "max_threads",
    "read_overflow_mode",
    "result_overflow_mode",
    "set_overflow_mode",
    "sort_overflow_mode",
    "timeout_overflow_mode",
    "transfer_overflow_mode",
];

/// A repeated GROUP BY takes the memory of its remembered size at once: 3M keys took 1.04 GiB instead of 322 MiB.
const PREALLOCATED_ROWS_MAX: u64 = 10_000_000;
/// Spilling needs as much again several times over: above a quarter of the cap the query dies before it helps.
const SPILL_SHARE_MAX: u64 = 4;
/// Halving the threads leaves about this much memory, in per cent: 1352, 514, 359 MiB were taken with 8, 2, 1 threads.
const HALF_THREADS_MEMORY_PER_CENT: u64 = 70;

/// How far a query's means are reduced before it must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Rung {
    /// All of the class's caps.
    #[default]
    Full,
    /// Half the threads.
    FewerThreads,
    /// A quarter of the threads, and no more bytes than queries like it read.
    FewerBytes,
}

impl Rung {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::FewerThreads, Self::FewerBytes];

    const fn halvings(self) -> u32 {
        match self {
            Self::Full => 0,
            Self::FewerThreads => 1,
            Self::FewerBytes => 2,
        }
    }

    /// Halvings that `threads` allow.
    fn halved(self, threads: Option<u32>) -> u32 {
        self.halvings().min(threads.map_or(u32::MAX, |threads| threads.max(1).ilog2()))
    }

    /// Memory at this rung of what takes `bytes` with all of `threads`.
    pub(super) fn memory_bytes(self, bytes: u64, threads: Option<u32>) -> u64 {
        (0..self.halved(threads)).fold(bytes, |bytes, _| per_cent(bytes, HALF_THREADS_MEMORY_PER_CENT))
    }

    /// The other way round: with all of `threads` of what took `bytes` at this rung.
    pub(super) fn memory_bytes_full(self, bytes: u64, threads: Option<u32>) -> u64 {
        let full = |bytes: u128, _| bytes * 100 / u128::from(HALF_THREADS_MEMORY_PER_CENT);
        u64::try_from((0..self.halved(threads)).fold(u128::from(bytes), full)).unwrap_or(u64::MAX)
    }
}

/// Caps of a query, absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Caps {
    pub(super) memory_bytes: Option<u64>,
    pub(super) spill_bytes: Option<u64>,
    pub(super) read_rows: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) result_rows: Option<u64>,
    pub(super) duration_ms: Option<u64>,
    /// Absent: as many as ClickHouse thinks, as neither the policy nor the server has said.
    pub(super) threads: Option<u32>,
}

impl Caps {
    /// Caps of a class on a server of `limit_bytes` and `cores`; `share` of them in safe mode and for a probe.
    pub(super) fn of(class: &ClassPolicy, limit_bytes: u64, cores: Option<u32>, share: f64) -> Self {
        let of_limit = |of: Option<f64>| of.map(|of| portion(limit_bytes, of * share));
        let memory_bytes = of_limit(class.query_memory_share_max);
        let quarter = memory_bytes.map_or(u64::MAX, |bytes| bytes / SPILL_SHARE_MAX);
        let threads = class.threads_max.or(cores.map(|cores| cores / 2));
        let fewer = |threads: u32| u32::try_from(portion(u64::from(threads.max(1)), share)).unwrap_or(threads).max(1);
        Self {
            memory_bytes,
            spill_bytes: of_limit(class.spill_share_min).map(|spill| spill.min(quarter)),
            read_rows: class.read_rows_max.map(|rows| portion(rows, share)),
            read_bytes: class.read_bytes_max.map(|bytes| portion(bytes.0.as_u64(), share)),
            result_rows: class.result_rows_max,
            duration_ms: class.duration_max.map(|span| u64::try_from(span.as_millis()).unwrap_or(0)),
            threads: threads.map(fewer),
        }
    }

    /// Those of a rung. `usual_read_bytes`: p95 of queries like it.
    pub(super) fn at(mut self, rung: Rung, usual_read_bytes: Option<u64>) -> Self {
        let halvings = rung.halvings();
        self.threads = match self.threads {
            Some(threads) => Some((threads >> halvings).max(1)),
            None => (halvings > 0).then_some(1),
        };
        if rung == Rung::FewerBytes {
            // Twice the usual, so that an ordinary run of it still succeeds. Without a cap there is nothing to lower: a user
            // may change only what its profile holds.
            let usual = usual_read_bytes.map_or(u64::MAX, |bytes| bytes.saturating_mul(2).max(1));
            self.read_bytes = self.read_bytes.map(|cap| cap.min(usual));
        }
        self
    }

    /// As ClickHouse settings. `limit_trap`: the text may read far fewer rows than ClickHouse counts beforehand, because of
    /// a LIMIT; then `max_rows_to_read` would refuse it wrongly, and bytes alone are limited.
    pub(super) fn settings(&self, limit_trap: bool) -> Vec<(&'static str, String)> {
        let mut settings = vec![("cancel_http_readonly_queries_on_client_close", "1".to_owned())];
        let mut set = |name, value: Option<u64>| settings.extend(value.map(|value| (name, value.to_string())));
        set("max_memory_usage", self.memory_bytes);
        set("max_bytes_before_external_group_by", self.spill_bytes);
        set("max_bytes_before_external_sort", self.spill_bytes);
        set("max_size_to_preallocate_for_aggregation", self.memory_bytes.map(|_| PREALLOCATED_ROWS_MAX));
        set("max_rows_to_read", self.read_rows.filter(|_| !limit_trap));
        set("max_bytes_to_read", self.read_bytes);
        set("max_result_rows", self.result_rows);
        set("max_execution_time", self.duration_ms.map(|ms| (ms / 1_000).max(1)));
        set("max_threads", self.threads.map(u64::from));
        // `break` and `any` would cut results short without saying so.
        let modes = SETTINGS.iter().filter(|name| name.ends_with("_overflow_mode"));
        settings.extend(modes.map(|name| (*name, "throw".to_owned())));
        settings
    }
}

/// `share` of `whole`, rounded down, as the compiled policy does it: a cap that is a byte above a profile's is refused.
pub(super) fn portion(whole: u64, share: f64) -> u64 {
    // One product of two floats: the same on any machine.
    (whole as f64 * share.clamp(0.0, 1.0)) as u64
}

fn per_cent(whole: u64, per_cent: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(per_cent) / 100).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::policy::GuardPolicy;

    const GIB: u64 = 1 << 30;

    fn class(name: &str) -> ClassPolicy {
        let policy = GuardPolicy::parse(include_str!("../../../config/guard.toml")).unwrap();
        policy.classes[name].clone()
    }

    #[test]
    fn a_class_becomes_settings() {
        let settings = Caps::of(&class("ad_hoc"), 100 * GIB, Some(16), 1.0).settings(false);
        let get = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        assert_eq!(get("max_memory_usage"), Some((5 * GIB).to_string().as_str()));
        assert_eq!(get("max_bytes_before_external_sort"), Some((5 * GIB / 4).to_string().as_str()));
        assert_eq!(get("max_rows_to_read"), Some("5000000000"));
        assert_eq!(get("max_bytes_to_read"), Some("300000000000"));
        assert_eq!(get("max_execution_time"), Some("30"));
        assert_eq!(get("max_threads"), Some("8"));
        assert_eq!(get("group_by_overflow_mode"), Some("throw"));
        assert!(settings.iter().all(|(name, _)| SETTINGS.contains(name)));
        let unknown = Caps::of(&class("ad_hoc"), 100 * GIB, None, 1.0);
        assert_eq!((unknown.threads, unknown.at(Rung::FewerThreads, None).threads), (None, Some(1)));
        assert!(SETTINGS.is_sorted());
    }

    #[test]
    fn a_limit_is_not_held_to_the_rows_of_the_whole_table() {
        let settings = Caps::of(&class("ad_hoc"), GIB, Some(4), 1.0).settings(true);
        assert!(settings.iter().all(|(name, _)| *name != "max_rows_to_read"));
        assert!(settings.iter().any(|(name, _)| *name == "max_bytes_to_read"));
    }

    #[test]
    fn a_policy_that_spills_too_late_is_put_right() {
        let class =
            ClassPolicy { query_memory_share_max: Some(0.1), spill_share_min: Some(0.09), ..Default::default() };
        let caps = Caps::of(&class, 1_000, Some(4), 1.0);
        assert_eq!((caps.memory_bytes, caps.spill_bytes), (Some(100), Some(25)));
    }

    #[test]
    fn rungs_take_threads_first_and_then_bytes() {
        let caps = Caps::of(&class("export"), 100 * GIB, Some(16), 1.0);
        assert_eq!(caps.at(Rung::FewerThreads, Some(GIB)).threads, Some(4));
        assert_eq!(caps.at(Rung::FewerThreads, Some(GIB)).read_bytes, caps.read_bytes);
        assert_eq!(caps.at(Rung::FewerBytes, Some(GIB)).read_bytes, Some(2 * GIB));
        assert_eq!(Rung::FewerBytes.memory_bytes(1_000, Some(8)), 490);
        assert_eq!(Rung::FewerBytes.memory_bytes(1_000, Some(1)), 1_000, "one thread cannot be halved");
        assert!(Rung::FewerBytes.memory_bytes_full(490, Some(8)) >= 999);
    }
}
