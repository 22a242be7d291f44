//! Which query of the last look is likeliest to have taken the memory, and why. Pure.
//!
//! A query counts by what it held, how much of the growth was its own, whether it would have fitted twice, and whether it
//! was new. One that stayed within what its pattern usually takes, or did not grow at all, is more likely a victim.

use serde::Serialize;

use crate::guard::black_box::history::{History, Newness};
use crate::guard::black_box::look::{Look, QueryInFlight, share};
use crate::model::{DurationMs, Timestamp};

/// Growth is what came within this long before the last look.
pub(super) const GROWTH_MS: DurationMs = 60_000;
/// Growth of this long before the last look counts half: the one that grows when a server dies is the likeliest.
const FRESH_HALF_LIFE_MS: f64 = 2_000.0;
/// Slopes are of this long, and who did not change in it is steady.
const RECENT_MS: DurationMs = 5_000;
/// Memory that changed by less than this share of itself is steady.
const STEADY_SHARE: f64 = 0.05;
/// A query is steady only when it was seen for this long.
const STEADY_MS: DurationMs = 2_000;
/// A pattern's earlier runs plus this much is still usual.
const USUAL_SHARE: f64 = 1.2;
/// Newness counts in full after a history of this length.
const HISTORY_FULL_MS: f64 = 600_000.0;

/// What a query of the last look is held to have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// The query, as last seen.
    #[serde(flatten)]
    pub query: QueryInFlight,
    /// From 0 to 100; comparable within one report only.
    pub score: f64,
    /// What it gained in its last minute, in bytes.
    pub growth_bytes: u64,
    /// Bytes a second over its last five seconds.
    pub slope_bytes_per_second: i64,
    /// Whether it had not changed for seconds.
    pub steady: bool,
    /// Whether twice its memory was more than what was free.
    pub would_not_fit_twice: bool,
    /// Most memory of earlier runs of its pattern, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_memory_bytes: Option<u64>,
    /// What about it was new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Newness>,
    /// How long the history was that did not have it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_after_ms: Option<DurationMs>,
}

impl Suspect {
    /// Whether earlier runs of its pattern took as much and ended. What is new has no custom yet.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.new.is_none()
            && self.usual_memory_bytes.is_some_and(|usual| self.query.memory_bytes as f64 <= usual as f64 * USUAL_SHARE)
    }
}

/// The queries of the last of `looks`, the likeliest first. `looks` are those of the last minute, of one run of the server.
pub(super) fn rank(looks: &[&Look], history: &History) -> Vec<Suspect> {
    let Some(last) = looks.last() else { return Vec::new() };
    let mut suspects: Vec<Suspect> = last.queries.iter().map(|query| suspect(query, looks, last, history)).collect();
    let held: u64 = suspects.iter().map(|suspect| suspect.query.memory_bytes).sum();
    let grown: u64 = suspects.iter().map(|suspect| suspect.growth_bytes).sum();
    let fresh: Vec<f64> = suspects.iter().map(|suspect| fresh_growth(&suspect.query, looks, last)).collect();
    let all_fresh: f64 = fresh.iter().sum();
    for (suspect, fresh) in suspects.iter_mut().zip(fresh) {
        let shares = Shares {
            held: share(suspect.query.memory_bytes, held),
            grown: share(suspect.growth_bytes, grown),
            grown_fresh: if all_fresh > 0.0 { fresh / all_fresh } else { 0.0 },
        };
        suspect.score = score(suspect, last, &shares);
    }
    suspects.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        let by_memory = b.query.memory_bytes.cmp(&a.query.memory_bytes);
        by_score.then(by_memory).then_with(|| a.query.query_id.cmp(&b.query.query_id))
    });
    suspects
}

fn suspect(query: &QueryInFlight, looks: &[&Look], last: &Look, history: &History) -> Suspect {
    let newness = history.newness(query, last.at);
    let track: Vec<(Timestamp, u64)> =
        looks.iter().filter_map(|look| Some((look.at, memory_in(look, query)?))).collect();
    let headroom = last.headroom_bytes();
    Suspect {
        score: 0.0,
        growth_bytes: growth_since(query, looks.first().copied()),
        slope_bytes_per_second: slope(&track, query),
        steady: is_steady(&track),
        would_not_fit_twice: headroom.is_some_and(|headroom| query.memory_bytes.saturating_mul(2) > headroom),
        usual_memory_bytes: history.usual_memory_bytes(&query.fingerprint),
        new: newness.map(|(new, _)| new),
        new_after_ms: newness.map(|(_, after_ms)| after_ms),
        query: query.clone(),
    }
}

/// What of all queries' memory and growth was its own.
struct Shares {
    held: f64,
    /// In the last minute.
    grown: f64,
    /// So too, but halved for every two seconds that it is old.
    grown_fresh: f64,
}

/// What it gained from look to look, the latest counting most.
fn fresh_growth(query: &QueryInFlight, looks: &[&Look], last: &Look) -> f64 {
    let mut before = 0;
    let mut fresh = 0.0;
    for look in looks {
        let now = memory_in(look, query).unwrap_or(0);
        let age_ms = last.at.since(look.at) as f64;
        fresh += now.saturating_sub(before) as f64 * libm::exp2(-age_ms / FRESH_HALF_LIFE_MS);
        before = now;
    }
    fresh
}

fn score(suspect: &Suspect, last: &Look, shares: &Shares) -> f64 {
    let query = &suspect.query;
    let (usual, steady) = (suspect.is_usual(), suspect.steady);
    // A victim: it does what it always does, or nothing at all.
    let blame = if usual || steady { 0.4 } else { 1.0 };
    let headroom = last.headroom_bytes().unwrap_or(u64::MAX).max(1);
    let twice = (query.memory_bytes as f64 * 2.0 / headroom as f64).min(1.0);
    let new = suspect.new_after_ms.map_or(0.0, |after_ms| (after_ms as f64 / HISTORY_FULL_MS).min(1.0));
    let beyond_usual = match suspect.usual_memory_bytes {
        Some(usual) => (share(query.memory_bytes, usual.max(1)) - USUAL_SHARE).clamp(0.0, 1.0),
        None => 0.5,
    };
    // New and tiny is not worth a look: what is said about it counts by what it holds.
    let weight = (shares.held * 4.0).min(1.0);
    let growth = 15.0 * shares.grown + 30.0 * shares.grown_fresh;
    let points = blame * (30.0 * shares.held + growth + 10.0 * twice) + weight * (10.0 * new + 5.0 * beyond_usual);
    (points * 10.0).round() / 10.0
}

/// What it has more than at an earlier look, where it may not have been.
fn growth_since(query: &QueryInFlight, earlier: Option<&Look>) -> u64 {
    let before = earlier.and_then(|look| memory_in(look, query)).unwrap_or(0);
    query.memory_bytes.saturating_sub(before)
}

fn memory_in(look: &Look, query: &QueryInFlight) -> Option<u64> {
    // The same id again is another run when it has run for a shorter time than has passed.
    let same = |other: &&QueryInFlight| other.query_id == query.query_id && other.elapsed_ms <= query.elapsed_ms;
    look.queries.iter().find(same).map(|other| other.memory_bytes)
}

fn slope(track: &[(Timestamp, u64)], query: &QueryInFlight) -> i64 {
    let Some((last_at, last)) = track.last() else { return 0 };
    let within = track.iter().find(|(at, _)| last_at.since(*at) <= RECENT_MS);
    let (milliseconds, before) = match within {
        Some((at, memory)) if at < last_at => (last_at.since(*at), *memory),
        // Seen once: all that it has came since it began.
        _ => (query.elapsed_ms.max(1), 0),
    };
    let difference = i128::from(*last) - i128::from(before);
    i64::try_from(difference * 1_000 / i128::from(milliseconds)).unwrap_or(i64::MAX)
}

fn is_steady(track: &[(Timestamp, u64)]) -> bool {
    let (Some((first_at, _)), Some((last_at, last))) = (track.first(), track.last()) else { return false };
    let seen = track.iter().filter(|(at, _)| last_at.since(*at) <= RECENT_MS).map(|(_, memory)| *memory);
    let least = seen.min().unwrap_or(0);
    last_at.since(*first_at) >= STEADY_MS && last.saturating_sub(least) as f64 <= *last as f64 * STEADY_SHARE
}
