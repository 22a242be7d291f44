//! What the black box says after a crash: what ran, who took the memory, and why it is thought so. Pure.

mod crash;
mod rank;
mod words;

pub use crash::{Crash, CrashKind, LooksRefused, looks_refused};
pub use rank::Suspect;

use std::collections::BTreeMap;

use serde::Serialize;

use super::history::History;
use super::look::{Entry, Look, share};
use super::restart::is_restart;
use crate::model::{DurationMs, Text, Timestamp};

/// A server this full was in danger, whatever grew.
const DANGER_SHARE: f64 = 0.75;
/// Merges and mutations with this share of the limit are named beside the queries.
const MERGES_SHARE: f64 = 0.25;
/// The first is certain when it has this many times the score of the second.
const LEAD_TIMES: f64 = 1.5;
/// What had run within this long before the last look, and had ended.
const BEFORE_MS: DurationMs = 60_000;
/// As many patterns of what had run before are told.
const BEFORE_MAX: usize = 10;

/// What took the server down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first of the queries.
    Query,
    /// Merges and mutations held the memory, no query did.
    Merges,
    /// Nothing that ran: memory was free and nothing grew. It was killed from outside, or failed otherwise.
    Calm,
    /// Nothing ran.
    NothingInFlight,
    /// It was stopped in order: everything that ran had ended.
    StoppedInOrder,
}

/// How sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It stands out.
    High,
    /// Another one is near.
    Medium,
}

/// What the black box says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Postmortem {
    /// When the server went away.
    pub crash: Crash,
    /// What took it down.
    pub verdict: Verdict,
    /// How sure that is.
    pub confidence: Confidence,
    /// In a sentence or two.
    pub summary: String,
    /// Seconds the server had been up at the last look.
    pub uptime_seconds: u64,
    /// Memory in use at the last look, in bytes.
    pub memory_used_bytes: u64,
    /// Its limit S, in bytes; 0: none.
    pub memory_limit_bytes: u64,
    /// Memory of merges and mutations, in bytes.
    pub merges_memory_bytes: u64,
    /// What the server gained in its last minute, in bytes a second.
    pub memory_slope_bytes_per_second: i64,
    /// Queries in flight at the last look, those included that are not listed.
    pub in_flight: u64,
    /// The queries in flight, the likeliest culprit first.
    pub queries: Vec<RankedQuery>,
    /// What had run in the minute before and had ended; the largest first.
    pub before: Vec<EarlierRuns>,
    /// How far back the records go.
    pub records_from: Timestamp,
    /// Looks among them.
    pub looks: usize,
}

/// A query in flight, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedQuery {
    /// The query.
    #[serde(flatten)]
    pub suspect: Suspect,
    /// Reasons, the weightiest first.
    pub why: Vec<String>,
}

/// Runs of one pattern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EarlierRuns {
    /// Its fingerprint.
    pub fingerprint: Text,
    /// Beginning of the normalised text.
    pub text: Text,
    /// Who ran it last.
    pub user: Text,
    /// Where that came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Text>,
    /// Runs that were seen.
    pub runs: usize,
    /// Most memory of one of them, in bytes.
    pub memory_peak_bytes: u64,
}

/// What happened, by the records: at the latest crash, or around `at`. Nothing without a crash, or without a look before
/// `at`. `suspect_share_min` is the share of S below which no query is named; `is_written` says that a guard still writes.
#[must_use]
pub fn postmortem(
    entries: &[Entry],
    at: Option<Timestamp>,
    suspect_share_min: f64,
    is_written: bool,
) -> Option<Postmortem> {
    let crash = crash::find(entries, at, is_written)?;
    let looks: Vec<&Look> = entries[..=crash.place].iter().filter_map(Entry::look).collect();
    let last = *looks.last()?;
    let recent = recent(&looks, last);
    let suspects = rank::rank(&recent, &History::of(&entries[..=crash.place]));
    let (verdict, confidence) = judge(&crash, last, &recent, &suspects, suspect_share_min);
    let slope = server_slope(&recent);
    Some(Postmortem {
        summary: words::summary(&crash, verdict, confidence, last, &suspects),
        verdict,
        confidence,
        uptime_seconds: last.uptime_seconds,
        memory_used_bytes: last.memory_used_bytes,
        memory_limit_bytes: last.memory_limit_bytes,
        merges_memory_bytes: last.merges_memory_bytes,
        memory_slope_bytes_per_second: slope,
        in_flight: last.in_flight,
        before: before(&recent, last),
        records_from: entries[0].at(),
        looks: looks.len(),
        queries: suspects.into_iter().map(|suspect| ranked(suspect, last)).collect(),
        crash,
    })
}

fn ranked(suspect: Suspect, last: &Look) -> RankedQuery {
    RankedQuery { why: words::reasons(&suspect, last), suspect }
}

/// Looks of the last minute, of the run of the server that ended.
fn recent<'a>(looks: &[&'a Look], last: &Look) -> Vec<&'a Look> {
    let begin = (1..looks.len()).rev().find(|i| is_restart(looks[i - 1], looks[*i], true)).unwrap_or(0);
    looks[begin..].iter().copied().filter(|look| last.at.since(look.at) <= rank::GROWTH_MS).collect()
}

fn server_slope(recent: &[&Look]) -> i64 {
    let (Some(first), Some(last)) = (recent.first(), recent.last()) else { return 0 };
    let milliseconds = i128::from(last.at.since(first.at).max(1));
    let difference = i128::from(last.memory_used_bytes) - i128::from(first.memory_used_bytes);
    i64::try_from(difference * 1_000 / milliseconds).unwrap_or(0)
}

fn judge(
    crash: &Crash,
    last: &Look,
    recent: &[&Look],
    suspects: &[Suspect],
    suspect_share_min: f64,
) -> (Verdict, Confidence) {
    if crash.unclean == Some(false) && last.in_flight > 0 {
        return (Verdict::StoppedInOrder, Confidence::High);
    }
    // Without a limit, shares are of the most that was ever in use.
    let most = recent.iter().map(|look| look.memory_used_bytes).max().unwrap_or(0);
    let whole = if last.memory_limit_bytes > 0 { last.memory_limit_bytes } else { most };
    let merges = share(last.merges_memory_bytes, whole) >= MERGES_SHARE;
    let Some(first) = suspects.first() else {
        // Merges need no query to fill a server.
        return if merges {
            (Verdict::Merges, Confidence::Medium)
        } else {
            (Verdict::NothingInFlight, Confidence::High)
        };
    };
    let large = share(first.query.memory_bytes, whole) >= suspect_share_min;
    let grew = share(first.growth_bytes, whole) >= suspect_share_min && !first.is_usual();
    let in_danger = share(last.memory_used_bytes, whole) >= DANGER_SHARE;
    // One that does what it always does, or nothing, is there when memory ends, and not why.
    let blamable = grew || !(first.is_usual() || first.steady);
    let outweighed = merges && !grew && last.merges_memory_bytes > first.query.memory_bytes;
    let certain = suspects.get(1).is_none_or(|second| first.score >= second.score * LEAD_TIMES) && !merges;
    let confidence = if certain { Confidence::High } else { Confidence::Medium };
    if large && blamable && !outweighed && (grew || in_danger || first.would_not_fit_twice) {
        (Verdict::Query, confidence)
    } else if merges {
        (Verdict::Merges, Confidence::Medium)
    } else if large && in_danger {
        // Memory was short, and nothing else is known to have held it.
        (Verdict::Query, Confidence::Medium)
    } else {
        (Verdict::Calm, Confidence::High)
    }
}

fn before(recent: &[&Look], last: &Look) -> Vec<EarlierRuns> {
    let running: Vec<&Text> = last.queries.iter().map(|query| &query.query_id).collect();
    let mut patterns: BTreeMap<&Text, (EarlierRuns, Vec<&Text>)> = BTreeMap::new();
    for look in recent.iter().filter(|look| last.at.since(look.at) <= BEFORE_MS) {
        for query in look.queries.iter().filter(|query| !running.contains(&&query.query_id)) {
            let (runs, ids) = patterns.entry(&query.fingerprint).or_insert_with(|| {
                let runs = EarlierRuns {
                    fingerprint: query.fingerprint.clone(),
                    text: query.text.clone(),
                    user: query.user.clone(),
                    origin: query.origin.clone(),
                    runs: 0,
                    memory_peak_bytes: 0,
                };
                (runs, Vec::new())
            });
            if !ids.contains(&&query.query_id) {
                ids.push(&query.query_id);
            }
            runs.runs = ids.len();
            runs.user.clone_from(&query.user);
            runs.memory_peak_bytes = runs.memory_peak_bytes.max(query.memory_peak_bytes);
        }
    }
    let mut before: Vec<EarlierRuns> = patterns.into_values().map(|(runs, _)| runs).collect();
    before.sort_by_key(|runs| std::cmp::Reverse(runs.memory_peak_bytes));
    before.truncate(BEFORE_MAX);
    before
}

#[cfg(test)]
mod tests;
