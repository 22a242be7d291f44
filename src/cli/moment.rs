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

/// A time as answers of ClickHouse write it: RFC 3339, or UTC without a zone.
pub(super) fn written(text: &str) -> Option<Timestamp> {
    // A version or a number is no time.
    let looks_so = text.len() >= 16 && text.as_bytes().get(4) == Some(&b'-');
    let civil = || Timestamp::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))).ok();
    Timestamp::parse_rfc3339(text).ok().or_else(civil).filter(|_| looks_so)
}
