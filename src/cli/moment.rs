//! Moments as people give them to commands.

use super::CliError;
use crate::model::Timestamp;

/// A time in RFC 3339, or how long before `now`.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.plus(-i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    Timestamp::parse_rfc3339(text).map_err(|_| {
        CliError::Usage(format!("\"{text}\" is neither a time (2026-03-01T00:00:00Z) nor a duration (30d)"))
    })
}
