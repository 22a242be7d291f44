//! When the server went away, as far as looks tell. Pure.

use serde::Serialize;

use crate::guard::black_box::look::{Entry, Look};
use crate::guard::black_box::restart::{is_away, is_restart};
use crate::model::{DurationMs, Timestamp};

/// A time that is asked for means the crash nearest to it, when there is one this near.
const NEAR_MS: DurationMs = 300_000;

/// A server that only takes its time is back within this: until then its last restart is what people ask about.
const SLOW_MS_MAX: DurationMs = 5_000;
/// A last look says what ran when the records end this soon after it.
const TELLING_MS: DurationMs = 60_000;
/// The code of a look that was given up, where the server may well be there.
const TIMED_OUT: &str = "timed_out";

/// How a crash shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashKind {
    /// The server came back with another start time.
    Restarted,
    /// The server does not answer, and did not until the last record.
    Unreachable,
    /// The records end although nobody stopped the guard: it died too, perhaps with the machine.
    RecordsEnd,
    /// No crash: the moment was asked for.
    AskedFor,
}

/// When the server went away.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crash {
    /// How it shows.
    pub kind: CrashKind,
    /// The last look before.
    pub last_look_at: Timestamp,
    /// The first look that failed after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Why that one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When the server answered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_at: Option<Timestamp>,
    /// Whether queries had not ended when the server did; absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclean: Option<bool>,
    /// Place of the last look among the records.
    #[serde(skip)]
    pub(super) place: usize,
}

/// A server that answers and lets the guard see nothing: no crash, but nobody knows what runs either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LooksRefused {
    /// Since when.
    pub since: Timestamp,
    /// What the server said first.
    pub why: String,
}

/// Whether the records end with looks that the server refused.
#[must_use]
pub fn looks_refused(entries: &[Entry]) -> Option<LooksRefused> {
    let mut refused: Option<LooksRefused> = None;
    for entry in entries {
        match entry {
            Entry::Look(_) => refused = None,
            Entry::LookFailed { code, .. } if is_away(code) => refused = None,
            Entry::LookFailed { at, why, .. } => {
                refused.get_or_insert_with(|| LooksRefused { since: *at, why: why.clone() });
            }
            _ => {}
        }
    }
    refused
}

/// The crash that is asked about: the latest, or the one nearest to `at`, or else the last look at or before `at`. Nothing
/// when there is none. `is_written`: a guard still writes, so that records that end mean nothing.
pub(super) fn find(entries: &[Entry], at: Option<Timestamp>, is_written: bool) -> Option<Crash> {
    let all = all(entries, is_written);
    let Some(at) = at else { return all.into_iter().next_back() };
    let distance = |crash: &Crash| crash.last_look_at.since(at).abs();
    all.into_iter().filter(|crash| distance(crash) <= NEAR_MS).min_by_key(distance).or_else(|| asked_for(entries, at))
}

/// Looks that failed one after the other, by which the server may be gone.
struct Failure<'a> {
    since: Timestamp,
    why: &'a str,
    until: Timestamp,
    /// Whether all of them were given up, and none was told that there is no server.
    timed_out_only: bool,
}

impl Failure<'_> {
    fn may_be_slowness(&self) -> bool {
        self.timed_out_only && self.until.since(self.since) < SLOW_MS_MAX
    }
}

fn all(entries: &[Entry], is_written: bool) -> Vec<Crash> {
    let mut crashes: Vec<Crash> = Vec::new();
    let mut last: Option<(usize, &Look)> = None;
    let mut failure: Option<Failure<'_>> = None;
    let mut lost = false;
    let crash = |kind, place, look: &Look, failure: Option<&Failure<'_>>, back_at| Crash {
        kind,
        last_look_at: look.at,
        failed_at: failure.map(|failure| failure.since),
        failure: failure.map(|failure| failure.why.to_owned()),
        back_at,
        unclean: None,
        place,
    };
    for (place, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Look(look) => {
                if let Some((place, before)) = last.filter(|(_, last)| is_restart(last, look, lost)) {
                    crashes.push(crash(CrashKind::Restarted, place, before, failure.as_ref(), Some(look.at)));
                }
                (last, failure, lost) = (Some((place, look)), None, false);
            }
            Entry::LookFailed { code, .. } if !is_away(code) => lost = true,
            Entry::LookFailed { at, code, why } => {
                lost = true;
                let streak = failure.get_or_insert(Failure { since: *at, why, until: *at, timed_out_only: true });
                streak.until = *at;
                streak.timed_out_only &= code == TIMED_OUT;
            }
            Entry::Restarted { unclean, .. } => {
                if let Some(crash) = crashes.last_mut() {
                    crash.unclean = *unclean;
                }
            }
            Entry::Killed { .. } | Entry::Began { .. } | Entry::Ended { .. } => {}
        }
    }
    let stopped = matches!(entries.last(), Some(Entry::Ended { .. }));
    if let Some((place, look)) = last {
        if let Some(failure) = failure {
            if crashes.is_empty() || !failure.may_be_slowness() {
                crashes.push(crash(CrashKind::Unreachable, place, look, Some(&failure), None));
            }
        } else if !stopped && !is_written && ends_soon_after(entries, look) {
            crashes.push(crash(CrashKind::RecordsEnd, place, look, None, None));
        }
    }
    crashes
}

/// Whether the records end so soon after the last look that it says what ran: not when the server refused all looks since.
fn ends_soon_after(entries: &[Entry], look: &Look) -> bool {
    entries.last().is_none_or(|last| last.at().since(look.at) <= TELLING_MS)
}

fn asked_for(entries: &[Entry], at: Timestamp) -> Option<Crash> {
    let before = |entry: &Entry| entry.look().is_some_and(|look| look.at <= at);
    let place = entries.iter().rposition(before)?;
    Some(Crash {
        kind: CrashKind::AskedFor,
        last_look_at: entries[place].at(),
        failed_at: None,
        failure: None,
        back_at: None,
        unclean: None,
        place,
    })
}
