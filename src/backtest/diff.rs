//! How the pages of two rule sets differ.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Page;
use crate::model::{AlertName, Dimensions, DurationMs, Timestamp};

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the new rules fire.
    New,
    /// Only the old rules fire.
    Gone,
    /// The new rules fire sooner.
    Earlier,
    /// The new rules fire later.
    Later,
    /// Another severity, at the same moment or not.
    Severity,
    /// No difference.
    Same,
}

impl Change {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Earlier => "earlier",
            Self::Later => "later",
            Self::Severity => "severity",
            Self::Same => "same",
        }
    }
}

/// A page of the old rules, of the new, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What became of it.
    pub change: Change,
    /// By how much the new rules fire later (negative: sooner), in milliseconds.
    pub shift_ms: DurationMs,
    /// What the old rules say.
    pub old: Option<Page>,
    /// What the new rules say.
    pub new: Option<Page>,
}

impl Diff {
    fn of(old: Option<Page>, new: Option<Page>) -> Self {
        let shift_ms = old.as_ref().zip(new.as_ref()).map_or(0, |(old, new)| new.fired_at.since(old.fired_at));
        let change = match (&old, &new) {
            (None, _) => Change::New,
            (_, None) => Change::Gone,
            // Whether it wakes anybody matters more than when; `shift_ms` still says that.
            (Some(old), Some(new)) if old.severity != new.severity => Change::Severity,
            (Some(_), Some(_)) if shift_ms < 0 => Change::Earlier,
            (Some(_), Some(_)) if shift_ms > 0 => Change::Later,
            _ => Change::Same,
        };
        Self { change, shift_ms, old, new }
    }

    /// The page, by the new rules where they have it.
    #[must_use]
    pub fn page(&self) -> Option<&Page> {
        self.new.as_ref().or(self.old.as_ref())
    }

    fn order(&self) -> Option<Timestamp> {
        [&self.old, &self.new].into_iter().flatten().map(|page| page.fired_at).min()
    }
}

/// Matches pages of the same alert and labels whose times overlap, the nearest beginnings first and, of these, the same
/// severity; each has one partner at most. In the order of time.
#[must_use]
pub fn diff(old: Vec<Page>, new: Vec<Page>) -> Vec<Diff> {
    let mut subjects: BTreeMap<(AlertName, Dimensions), (Vec<Page>, Vec<Page>)> = BTreeMap::new();
    for page in old {
        subjects.entry((page.alert, page.labels.clone())).or_default().0.push(page);
    }
    for page in new {
        subjects.entry((page.alert, page.labels.clone())).or_default().1.push(page);
    }
    let mut diffs: Vec<Diff> = subjects.into_values().flat_map(|(old, new)| match_up(old, new)).collect();
    // Stable: of the same moment, by alert and labels.
    diffs.sort_by_key(Diff::order);
    diffs
}

fn match_up(old: Vec<Page>, new: Vec<Page>) -> Vec<Diff> {
    let mut pairs: Vec<(DurationMs, bool, usize, usize)> = Vec::new();
    for (i, a) in old.iter().enumerate() {
        for (j, b) in new.iter().enumerate().filter(|(_, b)| overlap(a, b)) {
            pairs.push((a.fired_at.since(b.fired_at).abs(), a.severity != b.severity, i, j));
        }
    }
    pairs.sort_unstable();
    let (mut old, mut new): (Vec<_>, Vec<_>) =
        (old.into_iter().map(Some).collect(), new.into_iter().map(Some).collect());
    let mut diffs = Vec::new();
    for (_, _, i, j) in pairs {
        if old[i].is_some() && new[j].is_some() {
            diffs.push(Diff::of(old[i].take(), new[j].take()));
        }
    }
    diffs.extend(old.into_iter().flatten().map(|page| Diff::of(Some(page), None)));
    diffs.extend(new.into_iter().flatten().map(|page| Diff::of(None, Some(page))));
    diffs
}

fn overlap(a: &Page, b: &Page) -> bool {
    let ends_after = |page: &Page, at: Timestamp| page.resolved_at.is_none_or(|end| end >= at);
    ends_after(a, b.fired_at) && ends_after(b, a.fired_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimension, Severity};

    fn page(source: &str, severity: Severity, from_s: i64, to_s: Option<i64>) -> Page {
        let at = |seconds: i64| Timestamp::from_millis(1_772_409_600_000 + seconds * 1_000);
        Page {
            alert: AlertName::RestartLoop,
            severity,
            labels: Dimensions::new([(Dimension::Source, source.into())]),
            fired_at: at(from_s),
            resolved_at: to_s.map(at),
            summary: String::new(),
        }
    }

    fn changes(old: Vec<Page>, new: Vec<Page>) -> Vec<(Change, i64)> {
        diff(old, new).into_iter().map(|diff| (diff.change, diff.shift_ms / 1_000)).collect()
    }

    #[test]
    fn pages_are_matched_by_subject_and_time() {
        let one = |from, to| page("a", Severity::Critical, from, to);
        assert_eq!(changes(vec![one(10, Some(60))], vec![one(10, Some(90))]), [(Change::Same, 0)]);
        assert_eq!(changes(vec![one(10, Some(60))], vec![one(30, None)]), [(Change::Later, 20)]);
        assert_eq!(changes(vec![one(30, None)], vec![one(10, Some(60))]), [(Change::Earlier, -20)]);
        // No overlap: another occasion.
        assert_eq!(changes(vec![one(10, Some(20))], vec![one(21, Some(60))]), [(Change::Gone, 0), (Change::New, 0)]);
        let other = page("b", Severity::Critical, 10, None);
        assert_eq!(changes(vec![one(10, None)], vec![other]), [(Change::Gone, 0), (Change::New, 0)]);
        let ticket = page("a", Severity::Warning, 10, None);
        assert_eq!(changes(vec![one(10, None)], vec![ticket]), [(Change::Severity, 0)]);
        let later_ticket = page("a", Severity::Warning, 70, None);
        assert_eq!(changes(vec![one(10, None)], vec![later_ticket]), [(Change::Severity, 60)]);
    }

    #[test]
    fn two_pages_that_become_one_are_one_match_and_one_gone() {
        let old = vec![page("a", Severity::Critical, 10, Some(60)), page("a", Severity::Critical, 70, Some(90))];
        let new = vec![page("a", Severity::Critical, 12, Some(90))];
        assert_eq!(changes(old, new), [(Change::Later, 2), (Change::Gone, 0)]);
    }
}
