//! Which change may be behind a query's new behaviour: that of its version, else of its origin, else the nearest one.

use crate::flow::ChangeLog;
use crate::model::{Change, DurationMs, Timestamp};

/// A change longer ago than this is not looked at.
const CHANGE_MS_MAX: DurationMs = 14 * 86_400_000;
/// A change of something else counts as "nearest" only this shortly before.
const NEAR_MS: DurationMs = 3_600_000;
/// Clocks of deployment tools and gateways differ by so much.
const SKEW_MS: DurationMs = 30_000;

/// How a change and a query are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bond {
    /// Nothing but time.
    Near,
    /// It changed what asks.
    Origin,
    /// It brought the version that asks.
    Version,
}

/// The change that best explains what `origin` (in `version`) does since `since`: the strongest bond, then the newest.
#[must_use]
pub fn change_behind<'a>(
    changes: &'a ChangeLog,
    origin: &str,
    version: Option<&str>,
    since: Timestamp,
) -> Option<(Bond, &'a Change)> {
    let until = since.plus(SKEW_MS);
    let old = |change: &&Change| since.since(change.timestamp) <= CHANGE_MS_MAX;
    let bound = changes.until(until).filter(old).filter_map(|change| {
        let near = since.since(change.timestamp) <= NEAR_MS;
        let bond = bond(change, origin, version);
        (bond > Bond::Near || near).then_some((bond, change))
    });
    bound.max_by_key(|(bond, change)| (*bond, change.timestamp))
}

/// How a change is connected with what `origin` asks in `version`.
#[must_use]
pub fn bond(change: &Change, origin: &str, version: Option<&str>) -> Bond {
    if version.is_some() && change.version.as_deref() == version {
        Bond::Version
    } else if is_part(&change.service, origin) || is_part(origin, &change.service) {
        Bond::Origin
    } else {
        Bond::Near
    }
}

/// Whether `part` is `whole`, or a run of its words: `dashboard` of `dashboard /usage`.
pub(super) fn is_part(part: &str, whole: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        split.map(str::to_lowercase).collect()
    };
    let (part, whole) = (words(part), words(whole));
    !part.is_empty() && whole.windows(part.len()).any(|run| run == part)
}

/// The change in words, with its age at `since`.
#[must_use]
pub fn describe(change: &Change, since: Timestamp) -> String {
    let version = change.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let age = super::words::duration(since.since(change.timestamp));
    format!("{} of {}{version} at {} ({age} before)", change.kind.as_str(), change.service, change.timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attributes, ChangeKind, Text};

    fn change(minutes: i64, service: &str, version: Option<&str>) -> Change {
        Change {
            timestamp: Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000),
            kind: ChangeKind::Deploy,
            service: Text::from(service),
            version: version.map(Text::from),
            title: None,
            url: None,
            attributes: Attributes::default(),
        }
    }

    #[test]
    fn the_version_beats_the_origin_and_the_origin_the_nearest() {
        let mut log = ChangeLog::default();
        let since = change(100, "", None).timestamp;
        log.insert(&change(95, "gateway", Some("8")));
        let found = |log: &ChangeLog| {
            change_behind(log, "web dashboard", Some("5.2"), since).map(|(b, c)| (b, c.service.to_string()))
        };
        assert_eq!(found(&log), Some((Bond::Near, "gateway".to_owned())));
        log.insert(&change(-500, "dashboard", None));
        assert_eq!(found(&log), Some((Bond::Origin, "dashboard".to_owned())));
        log.insert(&change(-5_000, "frontend", Some("5.2")));
        assert_eq!(found(&log), Some((Bond::Version, "frontend".to_owned())));
        log.insert(&change(101, "dashboard", Some("5.2")));
        assert_eq!(found(&log).map(|(_, service)| service), Some("frontend".to_owned()), "after the onset");
    }
}
