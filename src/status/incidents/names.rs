//! Names that internal incidents hold: they may never be public.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::{IncidentReport, Text};

/// Internal incidents whose names are remembered; the oldest that nothing public is about makes room.
pub const INCIDENTS_MAX: usize = 200;
/// Names of one of them.
pub const NAMES_MAX: usize = 200;
/// Longer names are cut: nobody types more of one.
const NAME_CHARS_MAX: usize = 200;

/// The names of recent internal incidents, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct KnownNames(VecDeque<(Text, BTreeSet<String>)>);

impl KnownNames {
    /// Takes the names of a report; gives those of this incident that are new.
    pub(super) fn learn(&mut self, report: &IncidentReport, is_needed: impl Fn(&Text) -> bool) -> BTreeSet<String> {
        let names = names_of(report);
        let place = self.0.iter().position(|(incident, _)| *incident == report.incident);
        let mut known = place.and_then(|place| self.0.remove(place)).map(|(_, names)| names).unwrap_or_default();
        let new: BTreeSet<String> = names.into_iter().filter(|name| !known.contains(name)).collect();
        known.extend(new.iter().take(NAMES_MAX.saturating_sub(known.len())).cloned());
        self.0.push_back((report.incident.clone(), known));
        if self.0.len() > INCIDENTS_MAX {
            let oldest = self.0.iter().position(|(incident, _)| !is_needed(incident)).unwrap_or_default();
            self.0.remove(oldest);
        }
        new
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(_, names)| names.iter().map(String::as_str))
    }
}

/// Every name in a report: values of dimensions, customers, and what looks like a name in its sentences.
fn names_of(report: &IncidentReport) -> BTreeSet<String> {
    let mut names = BTreeSet::from([report.incident.to_string()]);
    for value in report.causes.iter().flat_map(|cause| cause.dimensions.0.values()) {
        names.insert(value.to_string());
        names.extend(pieces(value));
    }
    for customer in &report.customers {
        names.insert(customer.subscription.to_string());
    }
    for ruled_out in &report.ruled_out {
        names.extend(subjects(&ruled_out.candidate));
        names.extend(pieces(&ruled_out.candidate));
    }
    for sentence in report.actions.iter().chain([&report.summary]) {
        names.extend(pieces(sentence));
    }
    names.into_iter().map(|name| name.chars().take(NAME_CHARS_MAX).collect()).collect()
}

/// What a refused candidate is about: `memory growth of container/api-1`, `deploy of checkout at 2026-03-01T10:00:00Z`.
fn subjects(candidate: &str) -> Option<String> {
    let (_, subject) = candidate.split_once(" of ")?;
    let subject = subject.split_once(" at ").map_or(subject, |(subject, _)| subject);
    (subject != "demand").then(|| subject.to_owned())
}

/// Parts of a text that look like names and not like words: with digits, dots, slashes or capitals inside.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let parts =
        text.split(|character: char| character.is_whitespace() || matches!(character, ',' | '/' | '(' | ')' | '"'));
    let parts = parts.map(|part| part.trim_matches(|character: char| !character.is_alphanumeric()));
    parts.filter(|part| looks_like_name(part)).map(str::to_owned)
}

fn looks_like_name(part: &str) -> bool {
    let letters = part.chars().filter(|character| character.is_alphabetic()).count();
    let has_inside = |is: fn(char) -> bool| part.chars().skip(1).any(is);
    let has_case_inside = has_inside(char::is_uppercase) && part.chars().any(char::is_lowercase) && !part.contains('-');
    // `5xx`, `10m`, `60/min` are no names.
    let begins_with_digit = part.starts_with(|character: char| character.is_ascii_digit());
    letters >= 2
        && part.chars().count() >= crate::status::words::NAME_CHARS_MIN
        && !begins_with_digit
        && (has_inside(|character| character.is_ascii_digit() || matches!(character, '.' | '_' | ':'))
            || has_case_inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_name_is_one() {
        let found = |text: &str| pieces(text).collect::<Vec<_>>();
        assert_eq!(found("memory growth of container/api-1"), ["api-1"]);
        assert_eq!(
            found("Limit these now (429 with Retry-After), heaviest first: acme_prod, big.co."),
            ["acme_prod", "big.co"]
        );
        assert_eq!(found("Let CacheWarmer ask once a key; at most 3 attempts, 5xx, 10min."), ["CacheWarmer"]);
        assert_eq!(subjects("deploy of checkout at 2026-03-01T10:00:00Z").as_deref(), Some("checkout"));
        assert_eq!(subjects("growth of demand"), None);
    }
}
