//! `[query]`: questions that people and programs ask over HTTP: what they may take of ClickHouse, and as whom they are asked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteCount, Problem, Secret, SecretFileError, Span};

/// Longest time of a question. A connection on which nothing moves is closed after a minute.
pub const QUERY_SECONDS_MAX: i64 = 50;
/// Most questions at once, of either kind: each holds a connection of ours and of ClickHouse.
const AT_ONCE_MAX: u32 = 32;

/// Ad-hoc SQL and named queries over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Ad-hoc questions that run at a time.
    pub at_once_max: u32,
    /// Of these of one token, those that wait and those whose cost is being looked at included.
    pub at_once_per_token_max: u32,
    /// Ad-hoc questions that wait.
    pub waiting_max: u32,
    /// And for how long.
    pub wait_max: Span,
    /// Longest time of an ad-hoc question, its answer included.
    pub timeout: Span,
    /// Memory of ClickHouse that one may take.
    pub memory_bytes_max: ByteCount,
    /// Rows that one may read.
    pub read_rows_max: u64,
    /// Bytes that one may read.
    pub read_bytes_max: ByteCount,
    /// Rows of its answer.
    pub result_rows_max: u64,
    /// Bytes of its answer, in ClickHouse's memory.
    pub result_bytes_max: ByteCount,
    /// Threads of ClickHouse that one may have.
    pub threads_max: u32,
    /// Named queries that run at a time, each within its own budget.
    pub named_at_once_max: u32,
    /// Of these of one token, curves included.
    pub named_at_once_per_token_max: u32,
    /// ClickHouse user that questions are asked as, who needs SELECT on `clickhouse.database` and no more. Absent:
    /// `clickhouse.user`.
    pub user: Option<String>,
    /// Its password, better from the environment; it comes before `password_file`.
    pub password: Option<Secret>,
    /// File that holds its password.
    pub password_file: Option<PathBuf>,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            at_once_max: 4,
            at_once_per_token_max: 2,
            waiting_max: 8,
            wait_max: Span::from_secs(5),
            timeout: Span::from_secs(30),
            memory_bytes_max: ByteCount::mib(1_024),
            read_rows_max: 500_000_000,
            read_bytes_max: ByteCount::mib(64 * 1_024),
            result_rows_max: 1_000_000,
            result_bytes_max: ByteCount::mib(512),
            threads_max: 2,
            named_at_once_max: 8,
            named_at_once_per_token_max: 4,
            user: None,
            password: None,
            password_file: None,
        }
    }
}

impl QueryConfig {
    /// The user's password, wherever it comes from.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, SecretFileError> {
        Secret::resolve(self.password.as_ref(), self.password_file.as_deref())
    }

    /// Everything that is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem { key: format!("query.{key}"), message: message.to_owned() });
            }
        };
        let at_once = 1..=AT_ONCE_MAX;
        require(at_once.contains(&self.at_once_max), "at_once_max", "must lie between 1 and 32");
        let of_one = 1..=self.at_once_max;
        require(
            of_one.contains(&self.at_once_per_token_max),
            "at_once_per_token_max",
            "must lie between 1 and at_once_max",
        );
        require(at_once.contains(&self.named_at_once_max), "named_at_once_max", "must lie between 1 and 32");
        require(
            at_once.contains(&self.named_at_once_per_token_max),
            "named_at_once_per_token_max",
            "must lie between 1 and 32",
        );
        require(self.waiting_max <= 1_000, "waiting_max", "must be at most 1000");
        require((0..=30_000).contains(&self.wait_max.as_millis()), "wait_max", "must be at most 30s");
        let timeout_max_ms = QUERY_SECONDS_MAX * 1_000;
        require((1_000..=timeout_max_ms).contains(&self.timeout.as_millis()), "timeout", "must lie between 1s and 50s");
        // A connection on which nothing moves is closed after a minute.
        let together_ms = self.timeout.as_millis() + self.wait_max.as_millis();
        require(together_ms <= 55_000, "wait_max", "must be at most 55s together with query.timeout");
        require(self.memory_bytes_max.as_usize() >= 1 << 20, "memory_bytes_max", "must be at least 1MiB");
        // To ClickHouse 0 is no limit at all.
        require(self.read_rows_max > 0, "read_rows_max", "must be at least 1");
        require(self.read_bytes_max.as_usize() >= 1 << 20, "read_bytes_max", "must be at least 1MiB");
        require(self.result_rows_max > 0, "result_rows_max", "must be at least 1");
        require(self.result_bytes_max.as_usize() >= 1 << 20, "result_bytes_max", "must be at least 1MiB");
        require((1..=64).contains(&self.threads_max), "threads_max", "must lie between 1 and 64");
        let has_password = self.password.is_some() || self.password_file.is_some();
        require(self.user.is_some() || !has_password, "user", "is missing: there is a password for nobody");
        require(self.user.as_ref().is_none_or(|user| !user.is_empty()), "user", "must not be empty");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_can_be_switched_off() {
        let none = QueryConfig {
            at_once_max: 0,
            at_once_per_token_max: 0,
            waiting_max: 9_999,
            wait_max: Span::from_secs(31),
            timeout: Span::from_secs(51),
            memory_bytes_max: ByteCount::mib(0),
            read_rows_max: 0,
            read_bytes_max: ByteCount::mib(0),
            result_rows_max: 0,
            result_bytes_max: ByteCount::mib(0),
            threads_max: 0,
            named_at_once_max: 0,
            named_at_once_per_token_max: 0,
            user: Some(String::new()),
            ..QueryConfig::default()
        };
        assert_eq!(none.problems().len(), 15);
        assert_eq!(QueryConfig::default().problems(), []);
    }
}
