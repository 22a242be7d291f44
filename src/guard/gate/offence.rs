//! Whose fault a failure is. A query that dies of its own cap has offended; one that dies of the server's or the user's
//! limit is a victim of others, and is never charged.

use serde::{Deserialize, Serialize};

/// ClickHouse's exception codes.
const TIMEOUT_EXCEEDED: u32 = 159;
const MEMORY_LIMIT_EXCEEDED: u32 = 241;
const TOO_MANY_BYTES: u32 = 307;

/// What a query did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// Reached its own memory limit.
    Memory,
    /// Read as many bytes as it may.
    Bytes,
    /// Ran as long as it may.
    Time,
    /// The watchdog had to kill it.
    Killed,
}

/// Which offence a failure is, if any. Refusals of ClickHouse that cost nothing (too many rows, a quota, syntax) are none.
/// A timeout is judged further by whoever knows how long such queries take.
pub(super) fn offence(exception_code: u32, exception: &str) -> Option<Offence> {
    match exception_code {
        MEMORY_LIMIT_EXCEEDED if is_own_limit(exception) => Some(Offence::Memory),
        TOO_MANY_BYTES => Some(Offence::Bytes),
        TIMEOUT_EXCEEDED => Some(Offence::Time),
        _ => None,
    }
}

/// Whether the limit in a message of code 241 is the query's own. `Query memory limit exceeded: …` since 25, `Memory limit
/// (for query) exceeded: …` before; `(total)`, `User` and `(for user)` are others'. The first mention decides: what follows
/// may quote the query.
fn is_own_limit(exception: &str) -> bool {
    let lower = exception.to_ascii_lowercase();
    let own = ["query memory limit exceeded", "memory limit (for query) exceeded"];
    let others = ["(total) memory limit", "memory limit (total)", "user memory limit", "memory limit (for user)"];
    let first = |texts: &[&str]| texts.iter().filter_map(|text| lower.find(text)).min();
    match (first(&own), first(&others)) {
        (Some(own), Some(other)) => own < other,
        (own, _) => own.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_limits_are_told_from_others_in_messages_of_26_and_older() {
        let offends = |text: &str| offence(241, text) == Some(Offence::Memory);
        for own in [
            "Code: 241. DB::Exception: Query memory limit exceeded: would use 96.04 MiB (attempt to allocate chunk of \
             4.13 MiB), maximum: 95.37 MiB. Untracked memory across all threads: 2.26 MiB: While executing \
             AggregatingTransform. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1)",
            "Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 9.31 GiB (attempt to allocate chunk of \
             4219172 bytes), maximum: 9.31 GiB. OvercommitTracker decision: Query was selected to stop by OvercommitTracker.",
            "Code: 241. DB::Exception: Received from node-2:9000. DB::Exception: Memory limit (for query) exceeded: would use",
        ] {
            assert!(offends(own), "{own}");
        }
        for victim in [
            "Code: 241. DB::Exception: (total) memory limit exceeded: would use 954.68 MiB (attempt to allocate chunk of \
             6.00 MiB), current RSS: 11.56 MiB, maximum: 953.67 MiB. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1)",
            "Code: 241. DB::Exception: User memory limit exceeded: would use 96.04 MiB (attempt to allocate chunk of \
             4.13 MiB), maximum: 95.37 MiB. OvercommitTracker decision: Query was selected to stop by OvercommitTracker.",
            "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 14.40 GiB",
            "Code: 241. DB::Exception: Memory limit (for user) exceeded: would use 1 GiB",
            "Memory limit (total) exceeded: while executing 'FUNCTION equals(text, \\'Query memory limit exceeded\\')'",
            "",
        ] {
            assert!(!offends(victim), "{victim}");
        }
    }

    #[test]
    fn what_costs_nothing_is_no_offence() {
        assert_eq!(offence(307, ""), Some(Offence::Bytes));
        assert_eq!(offence(159, ""), Some(Offence::Time));
        for code in [62, 158, 201, 202, 394, 396, 745] {
            assert_eq!(offence(code, "Query memory limit exceeded"), None, "{code}");
        }
    }
}
