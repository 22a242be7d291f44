//! The policy file, `config/guard.toml`: classes, tenants, and what watchdog, breaker, safe mode and proxy may do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::setting::SettingPolicy;
use crate::config::{ByteCount, Secret, Span, without_secrets};
use crate::model::did_you_mean;

/// A guard's policy, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardPolicy {
    /// The server that is guarded.
    pub server: ServerPolicy,
    /// Classes of queries by name: `dashboard`, `ad_hoc`, `export`, `ingest`, or others.
    pub classes: BTreeMap<String, ClassPolicy>,
    /// Who asks, by name. Each is of one class.
    pub tenants: BTreeMap<String, TenantPolicy>,
    /// Acts on what runs.
    pub watchdog: WatchdogPolicy,
    /// Refuses what has done harm.
    pub breaker: BreakerPolicy,
    /// What is refused after an unclean restart.
    pub safe_mode: SafeModePolicy,
    /// What is remembered of queries in flight.
    pub black_box: BlackBoxPolicy,
    /// The way in.
    pub proxy: ProxyPolicy,
}

/// The server that is guarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerPolicy {
    /// `http://host:port` of ClickHouse's HTTP interface.
    pub url: String,
    /// User that applies the policy, watches `system.processes` and kills.
    pub user: String,
    /// Its password, better from the environment or `password_file`.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities (PEM) to trust for an `https://` server instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Server memory limit S, that the classes' shares are of. Absent: what the server says (`max_server_memory_usage`).
    pub memory_bytes_max: Option<ByteCount>,
    /// Queries that may run at once, all classes together.
    pub slots: u32,
    /// Share of `slots` that no read can take, so that inserts never wait for reads.
    pub ingest_slots_share_min: f64,
}

impl Default for ServerPolicy {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            user: "default".to_owned(),
            password: None,
            password_file: None,
            ca_file: None,
            memory_bytes_max: None,
            slots: 40,
            ingest_slots_share_min: 0.2,
        }
    }
}

/// What a class of queries may take. Shares are of the server's memory limit S.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassPolicy {
    /// Whether its queries write. Writers have no caps below, are never killed and never charged.
    pub writes: bool,
    /// Memory of one query, share of S.
    pub query_memory_share_max: Option<f64>,
    /// Memory of all queries of one user, share of S.
    pub user_memory_share_max: Option<f64>,
    /// GROUP BY and ORDER BY go to disk from here, share of S; at most a quarter of `query_memory_share_max`.
    pub spill_share_min: Option<f64>,
    /// Bytes one query may have on disk when it spills. Absent: no limit but the disk's.
    pub temporary_bytes_max: Option<ByteCount>,
    /// Rows one query may read.
    pub read_rows_max: Option<u64>,
    /// Bytes one query may read.
    pub read_bytes_max: Option<ByteCount>,
    /// Rows of one result.
    pub result_rows_max: Option<u64>,
    /// Time of one query.
    pub duration_max: Option<Span>,
    /// Threads of one query. Absent: half of the cores.
    pub threads_max: Option<u32>,
    /// Queries of the class that run at once.
    pub slots: Option<u32>,
    /// Queries of the class that wait for a slot; further ones are refused.
    pub waiting_max: Option<u32>,
    /// Longest wait for a slot.
    pub wait_max: Option<Span>,
    /// Whether the watchdog takes this class before others, and safe mode switches it off.
    pub expendable: bool,
    /// Further ClickHouse settings of the class, each fixed, or with the range within which users may choose.
    pub settings: BTreeMap<String, SettingPolicy>,
    /// Settings that users of a class that reads may set freely, besides `log_comment`.
    pub settings_changeable: Vec<String>,
}

/// Who asks: one user of ClickHouse, or several behind the proxy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPolicy {
    /// Name of its class.
    pub class: String,
    /// ClickHouse user that its queries run as. Absent: the tenant's name.
    pub user: Option<String>,
    /// File that holds the password with which it comes to the proxy, and with which its user is made.
    pub password_file: Option<PathBuf>,
    /// The password itself, better from a file.
    pub password: Option<Secret>,
    /// Databases (or `database.table`) it may read; and write, when its class writes.
    pub databases: Vec<String>,
    /// Weight in the fair queue among the tenants of its class.
    pub weight: Option<u32>,
    /// Queries in an hour.
    pub queries_per_hour_max: Option<u64>,
    /// Bytes read in an hour.
    pub read_bytes_per_hour_max: Option<ByteCount>,
}

/// The watchdog: acts before the server's limit is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogPolicy {
    /// Whether it kills. Not: it writes down what it would have killed.
    pub enforce: bool,
    /// How often it looks.
    pub interval: Span,
    /// Share of S from which it warns.
    pub warn_memory_share: f64,
    /// Share of S from which it acts.
    pub act_memory_share: f64,
    /// Most queries that are killed at one look.
    pub kills_per_look_max: u32,
    /// A killed query that still runs by then is said to be deaf.
    pub end_timeout: Span,
}

impl Default for WatchdogPolicy {
    fn default() -> Self {
        Self {
            enforce: false,
            interval: Span::from_secs(1),
            warn_memory_share: 0.75,
            act_memory_share: 0.85,
            kills_per_look_max: 3,
            end_timeout: Span::from_secs(5),
        }
    }
}

/// The circuit breaker of a fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Offences that open it.
    pub offences: u32,
    /// Within this time.
    pub window: Span,
    /// First time that it stays open; doubled each time it opens again.
    pub open_min: Span,
    /// Longest time that it stays open.
    pub open_max: Span,
    /// Caps of the probe that half-opens it while other reads run, as a share of the class's; alone it has all of them.
    pub probe_caps_share: f64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            offences: 3,
            window: Span::from_secs(600),
            open_min: Span::from_secs(600),
            open_max: Span::from_secs(7_200),
            probe_caps_share: 0.5,
        }
    }
}

/// Safe mode, after an unclean restart of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SafeModePolicy {
    /// How long it lasts.
    pub duration: Span,
    /// Share of the slots that are left.
    pub slots_share: f64,
    /// Share of the caps that are left.
    pub caps_share: f64,
    /// A query in flight at the restart with more memory than this share of S is a suspect, and blocked.
    pub suspect_memory_share_min: f64,
    /// Two unclean restarts within this time: only writes, until an operator ends it.
    pub second_restart_window: Span,
}

impl Default for SafeModePolicy {
    fn default() -> Self {
        Self {
            duration: Span::from_secs(300),
            slots_share: 0.25,
            caps_share: 0.5,
            suspect_memory_share_min: 0.05,
            second_restart_window: Span::from_secs(900),
        }
    }
}

/// The black box: a ring of looks at `system.processes`, on disk, outside ClickHouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BlackBoxPolicy {
    /// Directory of the ring, the audit log and the guard's other state.
    pub directory: PathBuf,
    /// Size of the ring; the oldest looks are overwritten.
    pub bytes_max: ByteCount,
    /// How often it looks.
    pub interval: Span,
}

impl Default for BlackBoxPolicy {
    fn default() -> Self {
        Self { directory: PathBuf::from("data/guard"), bytes_max: ByteCount::mib(64), interval: Span::from_secs(1) }
    }
}

/// The proxy: ClickHouse's HTTP interface with an admission in front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyPolicy {
    /// Where clients connect.
    pub listen: String,
    /// Where operators do: `guard block`, `unblock`, `safe-mode`, `status`, and metrics.
    pub admin_listen: String,
    /// File that holds the token operators send. Absent: only loopback is answered.
    pub admin_token_file: Option<PathBuf>,
    /// Whether queries are refused. Not: all run, and what would have been refused is counted and said.
    pub enforce: bool,
    /// Whether identical queries in flight of one tenant share one answer.
    pub collapse_identical: bool,
    /// A query is taken for heavy when its estimate is above this share of its class's caps.
    pub heavy_share: f64,
}

impl Default for ProxyPolicy {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8124".to_owned(),
            admin_listen: "127.0.0.1:8125".to_owned(),
            admin_token_file: None,
            enforce: false,
            collapse_identical: true,
            heavy_share: 0.25,
        }
    }
}

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read guard policy {path}: {source}")]
    Unreadable {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not what a policy looks like; the message names line and key.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// The parser's message.
        message: String,
    },
}

impl GuardPolicy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| PolicyError::Unreadable { path: shown.clone(), source })?;
        Self::parse(&text).map_err(|error| PolicyError::Syntax { path: shown, message: explained(&error) })
    }

    /// From the text of a policy file.
    ///
    /// # Errors
    /// What the parser says, with line and key.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// The parser's message, without the secrets of the line it quotes, and with the key that was probably meant.
fn explained(error: &toml::de::Error) -> String {
    let message = without_secrets(error.to_string().trim_end());
    let names: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    let meant = match names.split_first() {
        Some((written, known)) if error.message().starts_with("unknown field") => {
            did_you_mean(written, known.iter().copied())
        }
        _ => None,
    };
    match meant {
        Some(known) => format!("{message}\ndid you mean `{known}`?"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_the_one_that_was_meant() {
        let explain = |text: &str| explained(&GuardPolicy::parse(text).unwrap_err());
        assert!(explain("[classes.a]\nslotz = 3\n").contains("did you mean `slots`?"));
        assert!(!explain("[classes.a]\nxyzzy = 3\n").contains("did you mean"));
    }

    #[test]
    fn a_message_never_quotes_a_password() {
        let error = GuardPolicy::parse("[server]\npassword = hunter2\n").unwrap_err();
        assert!(!explained(&error).contains("hunter2"), "{}", explained(&error));
    }
}
