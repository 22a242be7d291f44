//! The wall clock, in one place: the shell reads it here and hands the moment on; the core never does.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// The current wall-clock time. A clock set before 1970 reads as the epoch.
#[must_use]
// The one reader of the wall clock: everything else takes the time as a parameter.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
