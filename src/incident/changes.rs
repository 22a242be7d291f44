//! Releases, deploys, configuration and flags as causes: what touched the culprit before the onset, however long ago when
//! its version says so.

use super::Adoption;
use super::open::Root;
use crate::detect::{duration, percent};
use crate::flow::{ChangeLog, Name};
use crate::model::{Cause, Change, ChangeKind, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// A change of what is named in the labels is suspected for this long.
const TOUCHING_MS: DurationMs = 2 * 3_600_000;
/// Any change is suspected, a little, for this long.
const RECENT_MS: DurationMs = 900_000;
/// A version is remembered for this long: customers adopt releases late.
const VERSION_MS: DurationMs = 30 * 86_400_000;
/// An onset is told at the end of a window, a change to the second: so much before is still "before".
const SLACK_MS: DurationMs = 30_000;
/// Changes told of as causes.
const SUSPECTS_MAX: usize = 3;

/// How a change may have to do with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    /// It happened shortly before, no more is known.
    Recent,
    /// It changed what the alert is about, shortly before.
    Touches,
    /// It brought the version that the alert names.
    Brought,
}

/// Whether a change is the release of the culprit itself.
#[must_use]
pub fn is_release_of(change: &Change, root: &Root) -> bool {
    let version = root.labels.get(Dimension::ClientVersion);
    let client = root.labels.get(Dimension::Client);
    version.is_some() && change.version.as_deref() == version && client.is_none_or(|client| change.service == client)
}

/// Changes that may have caused what `root` describes, the likeliest first. The release of a retrying client is told in
/// that client's own evidence, not here.
pub fn suspects<'a>(root: &Root, changes: &'a ChangeLog) -> Vec<(&'a Change, Cause)> {
    let mut suspects: Vec<(Link, &Change)> = changes
        .until(root.since.plus(SLACK_MS))
        .filter(|change| !is_release_of(change, root))
        .filter_map(|change| Some((link(change, root)?, change)))
        .collect();
    // Newest of the strongest link first; the log is in time order, so equal times keep a fixed order.
    suspects.reverse();
    suspects.sort_by_key(|(link, _)| std::cmp::Reverse(*link));
    suspects.truncate(SUSPECTS_MAX);
    suspects.into_iter().map(|(link, change)| (change, cause(link, change, root))).collect()
}

fn link(change: &Change, root: &Root) -> Option<Link> {
    let age_ms = root.since.since(change.timestamp);
    let all = || root.labels.0.iter().chain(&root.dimensions.0);
    let version = all().find(|(dimension, _)| **dimension == Dimension::Version).map(|(_, version)| version);
    if version.is_some() && change.version.as_ref() == version && age_ms <= VERSION_MS {
        return Some(Link::Brought);
    }
    let named = |(dimension, value): (&Dimension, &Text)| {
        let service = change.service.as_str();
        match dimension {
            Dimension::Service | Dimension::Caller | Dimension::Origin | Dimension::Node => value == service,
            Dimension::Source => value.split('/').any(|part| part == service || is_replica(part, service)),
            _ => false,
        }
    };
    if all().any(named) && age_ms <= TOUCHING_MS {
        return Some(Link::Touches);
    }
    // A release reaches customers when they install it; its moment says nothing.
    (age_ms <= RECENT_MS && change.kind != ChangeKind::Release).then_some(Link::Recent)
}

/// `api-7` is a replica of `api`.
fn is_replica(part: &str, service: &str) -> bool {
    part.strip_prefix(service).is_some_and(|rest| rest.starts_with('-'))
}

fn cause(link: Link, change: &Change, root: &Root) -> Cause {
    let version = change.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let why = match link {
        Link::Brought => "it brought this version",
        Link::Touches => "it changed what this is about",
        Link::Recent => "nothing more is known to connect them",
    };
    let age_ms = root.since.since(change.timestamp).max(0);
    let pairs =
        [Some((Dimension::Service, change.service.clone())), change.version.clone().map(|v| (Dimension::Version, v))];
    Cause {
        dimensions: Dimensions::new(pairs.into_iter().flatten()),
        share: 1.0,
        confidence: if link == Link::Recent { Confidence::Low } else { Confidence::Medium },
        evidence: format!(
            "{} of {}{version} at {}, {} before the onset; {why}",
            change.kind.as_str(),
            change.service,
            change.timestamp,
            duration(age_ms),
        ),
    }
}

/// What is known of the release behind the culprit, and how traffic moved to it.
#[must_use]
pub fn release_evidence(
    root: &Root,
    version: Option<(Name, Name)>,
    changes: &ChangeLog,
    adoption: &Adoption,
    now: Timestamp,
) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(change) = changes.until(now).rev().find(|change| is_release_of(change, root)) {
        let age = duration(root.since.since(change.timestamp));
        parts.push(format!("released {} ({age} before the onset)", change.timestamp));
    }
    if let Some(version) = version
        && let Some(now_share) = adoption.share_at(version, now.plus(-1))
        && let Some(before_share) = adoption.share_at(version, root.since.plus(-1_800_000))
    {
        let (before, after) = (percent(before_share), percent(now_share));
        parts.push(format!("its share of new requests went from {before} half an hour before the onset to {after}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertName, Attributes};

    const HOUR_MS: i64 = 3_600_000;

    fn change(hours_before: f64, kind: ChangeKind, service: &str, version: &str) -> Change {
        #[allow(clippy::cast_possible_truncation)]
        let ms = (hours_before * HOUR_MS as f64) as i64;
        Change {
            timestamp: onset().plus(-ms),
            kind,
            service: Text::from(service),
            version: Some(Text::from(version)),
            title: None,
            url: None,
            attributes: Attributes::default(),
        }
    }

    fn onset() -> Timestamp {
        Timestamp::from_millis(1_772_352_000_000)
    }

    fn suspected(labels: &[(Dimension, &str)], changes: &[Change]) -> Vec<(String, Confidence)> {
        let mut log = ChangeLog::default();
        changes.iter().for_each(|change| log.insert(change));
        let labels = Dimensions::new(labels.iter().map(|(dimension, value)| (*dimension, Text::from(*value))));
        let root = Root {
            alert: AlertName::RequestAmplification,
            dimensions: labels.clone(),
            labels,
            since: onset(),
            explains: true,
        };
        let told = suspects(&root, &log).into_iter();
        told.map(|(_, cause)| (cause.dimensions.to_string(), cause.confidence)).collect()
    }

    #[test]
    fn a_deploy_of_what_is_named_beats_one_that_was_merely_recent() {
        let changes = [
            change(0.1, ChangeKind::Deploy, "website", "9"),
            change(1.0, ChangeKind::Deploy, "rebuild", "7"),
            change(5.0, ChangeKind::Deploy, "rebuild", "6"),
            change(-1.0, ChangeKind::Deploy, "rebuild", "8"),
        ];
        let found = suspected(&[(Dimension::Caller, "rebuild"), (Dimension::Service, "database")], &changes);
        let expected = [
            ("service = rebuild, version = 7", Confidence::Medium),
            ("service = website, version = 9", Confidence::Low),
        ];
        assert_eq!(found, expected.map(|(dimensions, confidence)| (dimensions.to_owned(), confidence)));
    }

    #[test]
    fn a_version_adopted_a_week_late_is_still_its_release() {
        let changes = [change(170.0, ChangeKind::Release, "reports", "5.2")];
        let found = suspected(&[(Dimension::Fingerprint, "f"), (Dimension::Version, "5.2")], &changes);
        assert_eq!(found, [("service = reports, version = 5.2".to_owned(), Confidence::Medium)]);
        assert_eq!(suspected(&[(Dimension::Fingerprint, "f")], &changes), []);
    }

    #[test]
    fn a_replica_is_touched_by_a_deploy_of_its_service() {
        let changes = [change(1.5, ChangeKind::Config, "api", "1")];
        assert_eq!(suspected(&[(Dimension::Source, "container/api-7")], &changes).len(), 1);
        assert_eq!(suspected(&[(Dimension::Source, "container/apiary-7")], &changes).len(), 0);
    }
}
