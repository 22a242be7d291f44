//! What may be set for a user: a profile with `readonly = 1` refuses every setting that is not its own, and a setting that
//! is refused would fail a query that runs without the guard.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// After a question that ClickHouse did not answer, so long what was known before still counts.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// ClickHouse's exception code for a user who may not do that.
const ACCESS_DENIED: u32 = 497;
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

/// What may be set for one user.
#[derive(Debug, Default)]
struct Known {
    /// Held while it is asked for, so that it is asked for once.
    asking: tokio::sync::Mutex<()>,
    /// The last answer, and until when it counts without asking; absent before the first one.
    last: Mutex<Option<(Arc<Access>, Instant)>>,
}

/// What is known of users.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    known: Mutex<HashMap<[u8; 32], Arc<Known>>>,
}

impl Access {
    /// Whether the setting may be given that value.
    pub(super) fn allows(&self, name: &str, value: &str) -> bool {
        let Some((least, most)) = self.settable.get(name) else { return false };
        let Ok(number) = value.parse::<f64>() else { return true };
        least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
    }
}

/// The names that are asked for: those of the gate, the proxy's own, and one of its estimates.
fn names() -> Parameters {
    let names = SETTINGS.into_iter().chain(["log_comment", "readonly", "workload"]);
    let quoted: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    let mut parameters = Parameters::default();
    parameters.set("param_names", format!("[{}]", quoted.join(",")));
    parameters
}

impl Accesses {
    /// What may be set for whoever asks. When ClickHouse does not say so in time, it is what could be set before, or
    /// nothing.
    ///
    /// # Errors
    /// ClickHouse does not take the credentials.
    pub(super) async fn of(&self, identity: &Identity, upstream: &Upstream) -> Result<Arc<Access>, UpstreamError> {
        let known = self.known(identity);
        if let Some(access) = known.current() {
            return Ok(access);
        }
        let _asking = match (known.asking.try_lock(), known.last()) {
            (Ok(asking), _) => asking,
            // Another asks already; what it is told will hardly differ.
            (Err(_), Some(access)) => return Ok(access),
            (Err(_), None) => known.asking.lock().await,
        };
        if let Some(access) = known.current() {
            return Ok(access);
        }
        let rows = upstream.rows(sql::SETTABLE.to_owned(), names(), identity, ASK_TIMEOUT).await;
        match settled(rows, known.last()) {
            Ok((access, counts_for)) => {
                *lock(&known.last) = Some((Arc::clone(&access), Instant::now() + counts_for));
                Ok(access)
            }
            Err(error) => {
                // Wrong passwords must not push out what is known of right ones.
                lock(&self.known).remove(&identity.key);
                Err(error)
            }
        }
    }

    fn known(&self, identity: &Identity) -> Arc<Known> {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_MAX && !known.contains_key(&identity.key) {
            known.clear();
        }
        Arc::clone(known.entry(identity.key).or_default())
    }
}

impl Known {
    fn current(&self) -> Option<Arc<Access>> {
        lock(&self.last).as_ref().filter(|(_, until)| Instant::now() < *until).map(|(access, _)| Arc::clone(access))
    }

    fn last(&self) -> Option<Arc<Access>> {
        lock(&self.last).as_ref().map(|(access, _)| Arc::clone(access))
    }
}

/// Nothing panics under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an answer says, and how long that counts.
fn settled(
    rows: Result<Vec<SettableRow>, UpstreamError>,
    before: Option<Arc<Access>>,
) -> Result<(Arc<Access>, Duration), UpstreamError> {
    let rows = match rows {
        Ok(rows) => rows,
        Err(error @ UpstreamError::Exception(192 | 193 | 194 | 516, _)) => return Err(error),
        // A user who may not look at `system.settings` gets none.
        Err(UpstreamError::Exception(ACCESS_DENIED, _)) => Vec::new(),
        // A server that is busy, or a user whose quota is used up: that says nothing of what may be set, and the caps
        // are wanted most just then.
        Err(error) => {
            tracing::debug!(%error, "what may be set for a user is not known");
            return Ok((before.unwrap_or_default(), ASKED_AGAIN_AFTER));
        }
    };
    let range = |row: SettableRow| {
        let bound = |text: Option<String>| text.and_then(|text| text.parse().ok());
        (row.name, (bound(row.least), bound(row.most)))
    };
    Ok((Arc::new(Access { settable: rows.into_iter().map(range).collect() }), KNOWN_FOR))
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

    #[test]
    fn an_exception_of_a_busy_server_takes_nothing_away() {
        let before = Arc::new(Access { settable: BTreeMap::from([("log_comment".to_owned(), (None, None))]) });
        let exception = |code| Err(UpstreamError::Exception(code, String::new()));
        for code in [201, 202, 241, 745] {
            let (access, counts_for) = settled(exception(code), Some(Arc::clone(&before))).unwrap();
            assert!(access.allows("log_comment", "x"), "{code}");
            assert_eq!(counts_for, ASKED_AGAIN_AFTER);
            assert_eq!(settled(exception(code), None).unwrap().1, ASKED_AGAIN_AFTER);
        }
        let (access, counts_for) = settled(exception(ACCESS_DENIED), Some(Arc::clone(&before))).unwrap();
        assert!(!access.allows("log_comment", "x"));
        assert_eq!(counts_for, KNOWN_FOR);
        assert!(settled(exception(516), Some(before)).is_err());
    }
}
