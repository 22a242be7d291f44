//! Repeats of requests that tell neither attempt nor key, inferred from their own failures.
//!
//! Each stream is its own control, as in a self-controlled case series (Farrington, Biometrics 51, 1995): requests soon
//! after a failure are held against those that the stream's own pace brings in the same time. Who asks at a fixed interval
//! whatever the answer, and who is busy anyway, gives no evidence.

use rustc_hash::{FxHashMap, FxHashSet};

use super::chain::{Chain, Links};
use super::demand::{Demands, Pace, StreamKey, seconds};
use super::excess::Account;
use super::names::Name;
use super::window::{Cell, CellKey};
use crate::model::{DurationMs, Timestamp};

/// Streams in trouble followed at once; repeats of further ones are not seen, and are counted.
const TROUBLED_MAX: usize = 100_000;
/// Client versions of one stream followed at once.
const VERSIONS_MAX: usize = 4;
/// A later request is no repeat: SDKs back off for 20 to 60 s at most (AWS SDK 20 s, gRPC 120 s, with jitter half of it).
const PATIENCE_MS_MAX: DurationMs = 60_000;
/// Nor is one that comes no sooner than this share of the stream's usual gap.
const PATIENCE_SHARE: f64 = 0.5;
/// Requests a second from which on nothing can be told from when a request comes.
const BUSY_PACE: f64 = 0.5;
/// A request that comes by chance after a chain brings up to two repeats of its own, which count as beyond the third too.
const CHANCE_CLUSTER: f64 = 3.0;

/// What is inferred of requests without attempt and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inferred {
    /// Requests soon after a failure of their stream, or paid for by failures. They count in `Cell::resends` too.
    pub resends: u64,
    /// As many of these as the stream's own pace brings, in thousandths.
    pub resends_by_chance_milli: u64,
    /// Of the resends, those beyond the third attempt. They do not count in `Cell::resends_beyond_budget`.
    pub beyond_budget: u64,
    /// As many of these as the stream's own pace brings, in thousandths.
    pub beyond_by_chance_milli: u64,
    /// Requests that came after no failure.
    pub firsts: u64,
    /// As many of these as the stream's own pace brings, in thousandths.
    pub firsts_expected_milli: u64,
}

impl Inferred {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.resends += other.resends;
        self.resends_by_chance_milli += other.resends_by_chance_milli;
        self.beyond_budget += other.beyond_budget;
        self.beyond_by_chance_milli += other.beyond_by_chance_milli;
        self.firsts += other.firsts;
        self.firsts_expected_milli += other.firsts_expected_milli;
    }

    /// Takes away what was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.resends -= other.resends;
        self.resends_by_chance_milli -= other.resends_by_chance_milli;
        self.beyond_budget -= other.beyond_budget;
        self.beyond_by_chance_milli -= other.beyond_by_chance_milli;
        self.firsts -= other.firsts;
        self.firsts_expected_milli -= other.firsts_expected_milli;
    }
}

/// A request without attempt and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmarked {
    /// Where it was counted.
    pub cell: CellKey,
    /// When.
    pub timestamp: Timestamp,
    /// How it was answered.
    pub answer: Answer,
}

/// How a request was answered, as far as repeats go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Served, or refused for good.
    Settled,
    /// Turned away (429).
    TurnedAway,
    /// Failed: a 5xx, or none at all.
    Failed,
}

impl Answer {
    /// Of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            429 => Self::TurnedAway,
            0 | 500.. => Self::Failed,
            _ => Self::Settled,
        }
    }
}

#[derive(Debug, Default)]
struct Trouble {
    chains: Vec<((Name, Name), Chain)>,
    account: Account,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.chains.is_empty() && self.account.is_over()
    }
}

/// The window being closed.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: Timestamp,
    end: Timestamp,
}

/// State over closed windows.
#[derive(Debug, Default)]
pub struct Repeats {
    demands: Demands,
    troubled: FxHashMap<StreamKey, Trouble>,
    overflowed: u64,
}

impl Repeats {
    /// Counts what can be inferred from the `unmarked` requests of a window into its `cells`.
    pub fn infer(
        &mut self,
        (start, end): (Timestamp, Timestamp),
        unmarked: &mut Vec<Unmarked>,
        cells: &mut FxHashMap<CellKey, Cell>,
        cells_max: usize,
    ) {
        let span = Span { start, end };
        self.demands.sweep(start);
        let failing = unmarked.iter().filter(|request| request.answer != Answer::Settled);
        let mut troubled: FxHashSet<StreamKey> = failing.map(|request| StreamKey::of(&request.cell)).collect();
        troubled.extend(self.troubled.keys());
        self.learn(span, &troubled, cells);
        if troubled.is_empty() {
            return;
        }
        unmarked.retain(|request| troubled.contains(&StreamKey::of(&request.cell)));
        unmarked.sort_unstable_by_key(|r| {
            (StreamKey::of(&r.cell), r.timestamp, r.answer, r.cell.client, r.cell.client_version)
        });
        let mut add = |key: CellKey, inferred: Inferred| {
            // A chain that waits in vain is evidence too, in a window without requests of its own.
            if inferred != Inferred::default() && (cells.len() < cells_max || cells.contains_key(&key)) {
                let cell = cells.entry(key).or_default();
                cell.resends += inferred.resends;
                cell.inferred.add(&inferred);
            }
        };
        for requests in unmarked.chunk_by(|a, b| StreamKey::of(&a.cell) == StreamKey::of(&b.cell)) {
            let stream = StreamKey::of(&requests[0].cell);
            troubled.remove(&stream);
            self.follow(stream, requests, span, &mut add);
        }
        for stream in troubled {
            self.follow(stream, &[], span, &mut add);
        }
    }

    /// What a bound left out.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed + self.demands.overflowed()
    }

    /// Learns the pace of streams without trouble.
    fn learn(&mut self, span: Span, troubled: &FxHashSet<StreamKey>, cells: &mut FxHashMap<CellKey, Cell>) {
        let counts =
            |key: &CellKey, cell: &Cell| key.subscription != Name::OTHER && cell.requests > cell.attempts_known;
        let mut streams: FxHashMap<StreamKey, (u64, f64)> = FxHashMap::default();
        for (key, cell) in cells.iter().filter(|(key, cell)| counts(key, cell)) {
            let stream = StreamKey::of(key);
            if !troubled.contains(&stream) {
                streams.entry(stream).or_default().0 += cell.requests - cell.attempts_known;
            }
        }
        let window_s = seconds(span.end.since(span.start));
        for (stream, (requests, expected)) in &mut streams {
            let pace = self.demands.pace(*stream, window_s);
            let elapsed_s = self.demands.learn(*stream, *requests, span.start, span.end);
            *expected = pace.map_or(0.0, |pace| pace.mean * elapsed_s);
        }
        for (key, cell) in cells.iter_mut().filter(|(key, cell)| counts(key, cell)) {
            if let Some((requests, expected)) = streams.get(&StreamKey::of(key)).filter(|(_, expected)| *expected > 0.0)
            {
                let own = cell.requests - cell.attempts_known;
                cell.inferred.firsts += own;
                cell.inferred.firsts_expected_milli += milli(*expected * super::ratio(own, *requests));
            }
        }
    }

    /// Follows a stream in trouble through a window.
    fn follow(
        &mut self,
        stream: StreamKey,
        requests: &[Unmarked],
        span: Span,
        add: &mut impl FnMut(CellKey, Inferred),
    ) {
        let window_s = seconds(span.end.since(span.start));
        let pause_s = self.demands.skip(stream, span.start, span.end);
        let Some(pace) = self.demands.pace(stream, window_s) else { return };
        if self.troubled.len() >= TROUBLED_MAX && !self.troubled.contains_key(&stream) {
            self.overflowed += 1;
            return;
        }
        let trouble = self.troubled.entry(stream).or_default();
        if pace.in_bursts >= BUSY_PACE {
            settle(trouble, requests, pace, window_s, add);
        } else {
            link(trouble, stream, requests, pace, (span, pause_s), add);
        }
        if trouble.is_over() {
            self.troubled.remove(&stream);
        }
    }
}

/// Streams slow enough to tell a repeat from when it comes.
fn link(
    trouble: &mut Trouble,
    stream: StreamKey,
    requests: &[Unmarked],
    pace: Pace,
    (span, pause_s): (Span, f64),
    add: &mut impl FnMut(CellKey, Inferred),
) {
    for request in requests {
        let version = (request.cell.client, request.cell.client_version);
        let known = trouble.chains.iter().any(|(of, _)| *of == version);
        if !known && trouble.chains.len() < VERSIONS_MAX {
            trouble.chains.push((version, Chain::new(span.start)));
        }
    }
    #[allow(clippy::cast_possible_truncation)] // at most PATIENCE_MS_MAX
    let patience_ms = (PATIENCE_SHARE * 1_000.0 / pace.in_bursts).min(PATIENCE_MS_MAX as f64) as DurationMs;
    let control_s = pause_s + seconds(span.end.since(span.start));
    let versions = trouble.chains.len() as f64;
    for (version, chain) in &mut trouble.chains {
        let of_version = requests.iter().filter(|r| (r.cell.client, r.cell.client_version) == *version);
        let answers: Vec<(Timestamp, bool)> =
            of_version.map(|request| (request.timestamp, request.answer != Answer::Settled)).collect();
        let links = chain.follow(&answers, span.end, patience_ms);
        add(stream.with_version(*version), inferred(links, pace, control_s, versions));
    }
    trouble.chains.retain(|(_, chain)| !chain.is_over());
}

fn inferred(links: Links, pace: Pace, control_s: f64, versions: f64) -> Inferred {
    Inferred {
        resends: links.resends,
        resends_by_chance_milli: milli(pace.in_bursts * links.resend_s),
        beyond_budget: links.beyond_budget,
        beyond_by_chance_milli: milli(CHANCE_CLUSTER * pace.in_bursts * links.beyond_s),
        firsts: links.firsts,
        firsts_expected_milli: milli(pace.mean * (control_s - links.resend_s).max(0.0) / versions),
    }
}

/// Streams so busy that only growth tells.
fn settle(
    trouble: &mut Trouble,
    requests: &[Unmarked],
    pace: Pace,
    window_s: f64,
    add: &mut impl FnMut(CellKey, Inferred),
) {
    let answers: Vec<(Timestamp, bool)> =
        requests.iter().map(|request| (request.timestamp, request.answer == Answer::Failed)).collect();
    let excess = trouble.account.settle(&answers, pace, window_s);
    let mut failures: FxHashMap<CellKey, (u64, u64)> = FxHashMap::default();
    for request in requests {
        let of = failures.entry(request.cell).or_default();
        of.0 += 1;
        of.1 += u64::from(request.answer == Answer::Failed);
    }
    let all: u64 = failures.values().map(|(_, failed)| failed).sum();
    for (key, (own, failed)) in failures {
        let share = super::ratio(failed, all);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // neither negative nor more than the requests
        let resends = ((excess.resends * share) as u64).min(own);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let beyond_budget = ((excess.beyond_budget * share) as u64).min(resends);
        let beyond_by_chance_milli = milli(excess.beyond_by_chance * share);
        // Whether first requests have become more frequent cannot be told here: they are taken to be as usual.
        add(key, Inferred { resends, beyond_budget, beyond_by_chance_milli, ..Inferred::default() });
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative
fn milli(value: f64) -> u64 {
    (value * 1_000.0).round() as u64
}
