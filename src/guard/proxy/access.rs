//! What may be set for a user: a profile with `readonly = 1` refuses every setting that is not its own, and a setting that
//! is refused would fail a query that runs without the guard.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::credentials::Identity;
use super::parameters::Parameters;
use super::upstream::{Upstream, UpstreamError};
use crate::guard::gate::SETTINGS;
use crate::guard::sql;

/// How long an answer counts: so long a changed profile may be unknown.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Users that are remembered at a time. At the bound all are forgotten, and asked for again.
const KNOWN_MAX: usize = 4_096;
/// Asking takes milliseconds; a server too busy for it gets the query without settings.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// What may be set for a user.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// Name, and the range within which it may be.
    settable: BTreeMap<String, (Option<f64>, Option<f64>)>,
}

#[derive(Debug, Deserialize)]
struct SettableRow {
    name: String,
    least: Option<String>,
    most: Option<String>,
}

/// What may be set for a user, and since when that is known.
type Known = (Instant, Arc<Access>);

/// What is known of users.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    known: Mutex<HashMap<[u8; 32], Known>>,
}

impl Access {
    /// Whether the setting may be given that value.
    pub(super) fn allows(&self, name: &str, value: &str) -> bool {
        let Some((least, most)) = self.settable.get(name) else { return false };
        let Ok(number) = value.parse::<f64>() else { return true };
        least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
    }
}

/// The names that are asked for: those of the gate, and the proxy's own.
fn names() -> Parameters {
    let names = SETTINGS.into_iter().chain(["log_comment", "workload"]);
    let quoted: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    let mut parameters = Parameters::default();
    parameters.set("param_names", format!("[{}]", quoted.join(",")));
    parameters
}

impl Accesses {
    /// What may be set for whoever asks.
    ///
    /// # Errors
    /// ClickHouse does not take the credentials. When it does not answer in time, nothing may be set.
    pub(super) async fn of(&self, identity: &Identity, upstream: &Upstream) -> Result<Arc<Access>, UpstreamError> {
        if let Some(access) = self.remembered(identity) {
            return Ok(access);
        }
        let rows: Result<Vec<SettableRow>, _> =
            upstream.rows(sql::SETTABLE.to_owned(), names(), identity, ASK_TIMEOUT).await;
        let rows = match rows {
            Err(error @ UpstreamError::Exception(192 | 193 | 194 | 516, _)) => return Err(error),
            // A user who may not look at `system.settings` gets none.
            Err(UpstreamError::Exception(..)) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "what may be set for a user is not known");
                return Ok(Arc::default());
            }
            Ok(rows) => rows,
        };
        let range = |row: SettableRow| {
            let bound = |text: Option<String>| text.and_then(|text| text.parse().ok());
            (row.name, (bound(row.least), bound(row.most)))
        };
        let access = Arc::new(Access { settable: rows.into_iter().map(range).collect() });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(identity.key, (Instant::now(), Arc::clone(&access)));
        Ok(access)
    }

    fn remembered(&self, identity: &Identity) -> Option<Arc<Access>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, access) = known.get(&identity.key)?;
        (at.elapsed() < KNOWN_FOR).then(|| Arc::clone(access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_given_only_within_its_range() {
        let range = (Some(1.0), Some(1_000.0));
        let settable =
            BTreeMap::from([("max_memory_usage".to_owned(), range), ("log_comment".to_owned(), (None, None))]);
        let access = Access { settable };
        assert!(access.allows("max_memory_usage", "1000") && access.allows("log_comment", "x"));
        assert!(!access.allows("max_memory_usage", "0") && !access.allows("max_memory_usage", "1001"));
        assert!(!access.allows("workload", "x"));
    }
}
